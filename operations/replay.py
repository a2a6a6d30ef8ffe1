"""`npm run replay`: publish events again. Consumers are idempotent: a finished order starts nothing.

A period is replayed from the archive: EventBridge puts its events on the bus again, marked with `replay-name`, and the
audit log's rule does not match those. On AWS it takes up to ten minutes until the archive has an event, and a replay
does not keep the order of events.

One order is replayed from its rows in AuditLog, since an archive can't select an order: each event is delivered, with
the same mark and oldest first, to the targets of the deployed rules that match it.
"""

import argparse
import json
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

from botocore.exceptions import ClientError

from operations.command import Parser, moment, run
from operations.envelope import envelope
from operations.errors import OperatorError
from operations.repetition import detail_of, full_id, order_id, trail
from operations.screen import console, filled
from operations.stack import Stack, add_stage
from operations.targets import Targets

_POLL_INTERVAL_SECONDS = 0.5
"""A replay takes minutes. It is polled for as long as EventBridge runs it; Ctrl-C cancels it."""

_NOT_ENDED = {"STARTING", "RUNNING", "CANCELLING"}


class ReplayFailed(OperatorError):
    """Some events were not replayed."""


class Replay(NamedTuple):
    """A replay under way: its state, and the time of the last event that it has replayed."""

    name: str
    state: str
    reached: str


class Delivery(NamedTuple):
    """One event of an order, delivered again to one target."""

    event_type: str
    target: str


def replay_span(stack: Stack, start: datetime, end: datetime) -> Generator[Replay, None, None]:
    """Replay the events archived from `start` to `end`; yields its progress until it has ended.

    Closing the generator before that cancels the replay. Raises ReplayFailed.
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
        while state in _NOT_ENDED:
            response = events.describe_replay(ReplayName=name)
            state = response["State"]
            yield Replay(name, state, str(response.get("EventLastReplayedTime", "-")))
            time.sleep(_POLL_INTERVAL_SECONDS)
    finally:
        if state in _NOT_ENDED:
            _cancel(events, name)
    if state != "COMPLETED":
        raise ReplayFailed(f"{name} ended as {state}: {response.get('StateReason', 'EventBridge does not say why')}")


def _cancel(events: Any, name: str) -> None:
    try:
        events.cancel_replay(ReplayName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "IllegalStatusException":  # it has ended meanwhile
            raise


def replay_order(stack: Stack, order: str) -> Iterator[Delivery]:
    """Deliver each event of an order to the targets of the deployed rules that match it; yields each delivery.

    A target that can't be reached does not hold up the others. Raises UnknownOrder, and at the end ReplayFailed.
    """
    name = f"replay-{uuid4()}"
    routes, targets, failures = list(_routes(stack)), Targets(stack), []
    for entry in trail(stack, order):
        event = {**_envelope(stack, entry), "replay-name": name}
        for pattern, target in routes:
            if _matches(stack, pattern, event):
                try:
                    targets.deliver(target, json.dumps(event))
                except (ClientError, ValueError) as error:
                    failures.append(f"{entry['eventType']} could not be delivered: {error}")
                else:
                    yield Delivery(entry["eventType"], target)
    if failures:
        raise ReplayFailed("; ".join(dict.fromkeys(failures)))


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
    return envelope(
        entry["eventType"],
        entry["source"],
        detail_of(entry),
        event_id=entry["eventId"],
        timestamp=entry["timestamp"],
        account=account,
        region=stack.session.region_name,
    )


def _matches(stack: Stack, pattern: str, event: Mapping[str, Any]) -> bool:
    response = stack.client("events").test_event_pattern(EventPattern=pattern, Event=json.dumps(event))
    return bool(response["Result"])


def main() -> int:
    return run(_parser(), _work, _fault)


def _work(stack: Stack, arguments: argparse.Namespace) -> int:
    screen = console(soft_wrap=True)
    if arguments.order is not None:
        count = 0
        for delivery in replay_order(stack, full_id(stack, arguments.order)):
            count += 1
            consumer = delivery.target.rpartition(":")[2]
            screen.print(filled("[green]✓[/] {event} ─▶ {consumer}", event=delivery.event_type, consumer=consumer))
        screen.print(f"{count} deliveries")
        return 0
    with (
        screen.status("replaying …") as status,
        closing(replay_span(stack, arguments.start, arguments.end or datetime.now(UTC))) as replay,
    ):
        for progress in replay:
            status.update(f"{progress.name}: {progress.state}, up to {progress.reached}")
    screen.print(f"{progress.name}: {progress.state}")
    return 0


def _fault(arguments: argparse.Namespace) -> str | None:
    """What is wrong with the period."""
    now = datetime.now(UTC)
    if arguments.order is not None:
        return "--to needs --from; --order replays all of the order" if arguments.end else None
    if arguments.start >= now:
        return f"--from {arguments.start:%Y-%m-%dT%H:%M:%SZ} is in the future: nothing was archived then"
    if arguments.end and arguments.start >= arguments.end:
        return "--from has to be before --to"
    return None


def _parser() -> Parser:
    parser = Parser(prog="npm run replay --", description=__doc__.partition("\n")[0].partition(": ")[2])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--from", dest="start", type=moment, metavar="TIME", help="such as 2026-01-31T09:00Z")
    what.add_argument(
        "--order", metavar="ID", type=order_id, help="one order, by its id or number, instead of a period"
    )
    parser.add_argument("--to", dest="end", type=moment, metavar="TIME", help="default: now")
    add_stage(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
