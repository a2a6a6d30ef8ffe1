"""`npm run replay`: put events on their way once more. Consumers bear it: what is finished starts nothing.

A span of time comes from the archive: EventBridge puts its events on the bus again, marked with `replay-name`, which
the audit log's rule leaves out. On AWS the archive takes up to ten minutes to hold an event, and a replay keeps no
order.

One order comes from its rows in AuditLog, since an archive can't choose one: each event goes, marked alike and oldest
first, to the targets of the deployed rules that match it.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

from rich.console import Console

from operations.stack import Stack, StackUnavailable, add_stage, find
from orders.audit import AuditLog

_UNDER_WAY = {"STARTING", "RUNNING", "CANCELLING"}


class Replay(NamedTuple):
    """A replay under way: its state, and up to which event it has come."""

    name: str
    state: str
    reached: str


class Delivery(NamedTuple):
    """One event of an order, handed once more to one target."""

    event_type: str
    target: str


def replay_span(stack: Stack, start: datetime, end: datetime) -> Iterator[Replay]:
    """Replay what was archived from `start` to `end`; yields its progress until it has ended.

    Whoever stops listening before that cancels the replay.
    """
    events = stack.client("events")
    bus = events.describe_event_bus(Name=stack.outputs["EventBusName"])["Arn"]
    archive = events.describe_archive(ArchiveName=stack.outputs["EventArchiveName"])["ArchiveArn"]
    name = f"replay-{uuid4()}"
    events.start_replay(
        ReplayName=name, EventSourceArn=archive, EventStartTime=start, EventEndTime=end, Destination={"Arn": bus}
    )
    state = "STARTING"
    try:
        while state in _UNDER_WAY:
            answer = events.describe_replay(ReplayName=name)
            state = answer["State"]
            yield Replay(name, state, str(answer.get("EventLastReplayedTime", "-")))
            time.sleep(0.5)  # between two looks at a replay of minutes
    finally:
        if state in _UNDER_WAY:
            events.cancel_replay(ReplayName=name)


def replay_order(stack: Stack, order_id: str) -> Iterator[Delivery]:
    """Hand each event of an order to the targets that the deployed rules lead it to; yields each delivery."""
    name = f"replay-{uuid4()}"
    routes = list(_routes(stack))
    log = AuditLog(stack.client("dynamodb"), stack.outputs["AuditLogTableName"])
    for entry in log.trail(order_id):
        envelope = {**_envelope(stack, entry), "replay-name": name}
        for pattern, target in routes:
            if _matches(stack, pattern, envelope):
                stack.deliver(target, json.dumps(envelope))
                yield Delivery(entry["eventType"], target)


def _routes(stack: Stack) -> Iterator[tuple[str, str]]:
    """The pattern and each target of every rule on the bus, as deployed."""
    events, bus = stack.client("events"), stack.outputs["EventBusName"]
    for page in events.get_paginator("list_rules").paginate(EventBusName=bus):
        for rule in page["Rules"]:
            # An archive has a rule of its own on the bus, whose target is not ours.
            if rule["State"] == "ENABLED" and "EventPattern" in rule and "ManagedBy" not in rule:
                for target in events.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus)["Targets"]:
                    yield rule["EventPattern"], target["Arn"]


def _envelope(stack: Stack, entry: Mapping[str, Any]) -> dict[str, Any]:
    account = stack.outputs["OrderNotificationTopicArn"].split(":")[4]
    detail = entry["detail"]
    return {
        "version": "0",
        "id": entry["eventId"],
        "detail-type": entry["eventType"],
        "source": entry["source"],
        "account": account,
        "time": entry["timestamp"].partition(".")[0] + "Z",
        "region": stack.session.region_name,
        "resources": [],
        "detail": json.loads(detail) if isinstance(detail, str) else detail,
    }


def _matches(stack: Stack, pattern: str, envelope: Mapping[str, Any]) -> bool:
    answer = stack.client("events").test_event_pattern(EventPattern=pattern, Event=json.dumps(envelope))
    return bool(answer["Result"])


def main() -> int:
    arguments = _parser().parse_args()
    console = Console()
    try:
        stack = find(arguments.stage)
    except StackUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.order:
        count = 0
        for delivery in replay_order(stack, arguments.order):
            count += 1
            console.print(f"[green]✓[/] {delivery.event_type} ─▶ {delivery.target.rpartition(':')[2]}")
        console.print(f"{count} deliveries")
        return 0
    with console.status("replaying …") as status:
        for progress in replay_span(stack, arguments.start, arguments.end or datetime.now(UTC)):
            status.update(f"{progress.name}: {progress.state}, up to {progress.reached}")
    console.print(f"{progress.name}: {progress.state}")
    return 0 if progress.state == "COMPLETED" else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="npm run replay --", description=__doc__.partition("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--from", dest="start", type=_time, help="a time, such as 2026-01-31T09:00Z")
    what.add_argument("--order", metavar="ID", help="one order instead of a span of time")
    parser.add_argument("--to", dest="end", type=_time, help="a time; default: now")
    add_stage(parser)
    return parser


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
