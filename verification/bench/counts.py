"""What an order makes of AWS: calls of the functions, DynamoDB's units, events, invocations, messages and log bytes.

Orders go through the deployed stack, one after the other, with `recording` between the functions and the embedded AWS.
A story ends when every event that was published has been handled by every function that a rule delivers it to; what was
recorded since the last story belongs to it. Events may overtake each other, which is harmless and costs a write more or
less. So a call that publishes the next status, or notifies the customer, waits until the order has the previous status.
Then nothing depends on how long anything takes.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

from local.emulator.waiting import until
from operations.customer import ShopAccount
from operations.stack import Stack
from tools import topology
from verification import matching
from verification.bench.journey import envelope_of
from verification.bench.recording import RecordedCall, Recording
from verification.bench.units import Meter, Units

EMAIL = "anna.schmidt@example.com"
PHONE = "+4915112345678"
ORDER = {"items": [{"sku": "MUG", "quantity": 2}], "paymentMethod": "tok_visa"}
ENTRY = 26
"""Bytes that CloudWatch Logs bills for each log event, beside its text."""
_REQUEST_ID = re.compile(r'"correlationId": {"S": "([0-9a-f-]{36})"')
_SHORT = 16  # characters of API Gateway's request ids, such as JKJaXmPLvHcESHA=; the embedded AWS's have 36
_LOGGED_ID = re.compile(f'("correlationId":"[^"]{{{_SHORT}}})[^"]*')
_LAMBDAS_OWN = ("START RequestId", "END RequestId", "REPORT RequestId")
_TIMEOUT_SECONDS = 60
_ATTEMPTS = 5

Counts = dict[str, Any]
"""One story, as it stands in results/counts.json."""


class Overtaken(Exception):
    """An event was handled before the one that led to it, in every attempt: the machine is too busy."""


class Recorded(NamedTuple):
    counts: Counts
    calls: Sequence[RecordedCall]


class MeteredStack:
    """The deployed stack, its calls as they are recorded, and a customer."""

    def __init__(self, stack: Stack, record: Recording, email: str = EMAIL) -> None:
        self.stack = stack
        self._meter = Meter(stack.outputs["OrdersTableName"], stack.outputs["AuditLogTableName"])
        self._record = record
        self._logs = stack.client("logs")
        self.customer = ShopAccount(stack.client("cognito-idp"), stack.outputs, stack.api_url, email)
        # The reconciler runs when it is invoked here: a scheduled run's calls would be among another story's.
        stack.client("events").disable_rule(Name=f"{stack.function('reconciler')}-rule-1")
        record.is_due = self._is_due
        self._read = 0
        self._answered = 0
        self._begun = self._logged()

    def post(self, *, key: str | None = None, **changes: Any) -> str:
        """`POST /orders`; the order's id."""
        headers = {"authorization": f"Bearer {self.customer.token}", "content-type": "application/json"}
        headers |= {"idempotency-key": key} if key else {}
        request = Request(f"{self.stack.api_url}/orders", json.dumps({**ORDER, **changes}).encode(), headers)
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            content = answer.read()
        self._answered += len(content)
        return str(json.loads(content)["orderId"])

    def invoke(self, function: str, event: Mapping[str, Any]) -> None:
        """Run a function, as AWS would; returns when it has ended."""
        client, name = self.stack.client("lambda"), self.stack.function(function)
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
        if "FunctionError" in answer:
            raise RuntimeError(f"{function} failed: {answer['Payload'].read().decode()}")

    def deliver(self, envelope: Mapping[str, Any]) -> int:
        """Deliver an event to each function that a rule matches, to Notification as its queue does; how many."""
        reached = matching.consumers(envelope)
        for function in reached:
            message = {"messageId": envelope["id"], "body": json.dumps(envelope)}
            self.invoke(function, {"Records": [message]} if function == "notification" else envelope)
        return len(reached)

    def recorded(self, *, invoked: int) -> Recorded:
        """What so many invocations from outside caused, once all of it has ended."""
        until(
            lambda: self._ended() >= invoked + sum(map(len, reached(self._new_calls()))),
            seconds=_TIMEOUT_SECONDS,
            what="the end of what was begun",
            every=0.1,
        )
        raw, logged = self._new_calls(), self._new_lines()
        calls = as_on_aws(raw)
        before, answered = self._meter.stored, self._answered
        self._meter.largest = {}
        units = [self._meter.units(*call[1:]) for call in calls]
        self._read, self._answered, self._begun = self._read + len(raw), 0, self._logged()
        return Recorded(
            {
                **counted(calls, units),
                "largest item": self._meter.largest,
                "stored bytes": self._meter.stored.tables - before.tables,
                "stored index bytes": self._meter.stored.indexes - before.indexes,
                "answer bytes": answered,
                "invocations": {name: _ends(lines) for name, lines in logged.items() if lines},
                "log lines": sum(len(ours(lines)) for lines in logged.values()),
                "log bytes": sum(billed(ours(lines)) for lines in logged.values()),
            },
            calls,
        )

    def _is_due(self, function: str, action: str) -> bool:
        if (function, action) not in {("fulfillment", "events:PutEvents"), ("notification", "dynamodb:UpdateItem")}:
            return True
        moved = sum(call.function == "orderStatusUpdater" for call in self._new_calls())
        return moved >= sum("orderStatusUpdater" in functions for functions in reached(self._new_calls()))

    def _new_calls(self) -> list[RecordedCall]:
        return self._record.calls[self._read :]

    def _ended(self) -> int:
        return sum(map(_ends, self._new_lines().values()))

    def _new_lines(self) -> Mapping[str, list[str]]:
        return {name: lines[len(self._begun[name]) :] for name, lines in self._logged().items()}

    def _logged(self) -> Mapping[str, list[str]]:
        """Each function's log, line by line."""
        pages = self._logs.get_paginator("filter_log_events").paginate
        return {
            name: [
                event["message"]
                for page in pages(logGroupName=f"/aws/lambda/{self.stack.function(name)}")
                for event in page["events"]
            ]
            for name in topology.functions()
        }


# --- what is counted --------------------------------------------------------------------------------------------------


def counted(calls: Iterable[RecordedCall], units: Iterable[Units]) -> Counts:
    """Of recorded calls, and the units that each of them costs."""
    calls, units = list(calls), list(units)
    sent = Counter(call.action for call in calls if call.action in {"ses:SendEmail", "sns:Publish"})
    to_topic = sum("notification" in functions for functions in reached(calls))
    return {
        "calls": dict(Counter(f"{call.function} {call.action}" for call in calls)),
        "read units": sum(each.reads for each in units),
        "write units": sum(each.writes for each in units),
        "index write units": sum(each.index_writes for each in units),
        "events": dict(Counter(str(envelope["detail-type"]) for envelope in published(calls))),
        "event bytes": sum(len(json.dumps(envelope)) for envelope in published(calls)),
        "sns publications": to_topic,
        "sqs requests": 3 * to_topic,  # SNS sends, Lambda receives and deletes
        "e-mails": sent["ses:SendEmail"],
        "text messages": sent["sns:Publish"],
    }


def as_on_aws(calls: Iterable[RecordedCall]) -> list[RecordedCall]:
    """With request ids as short as API Gateway's: an order keeps one, and so do its events and log lines."""
    text = json.dumps(list(calls))
    for long in set(_REQUEST_ID.findall(text)):
        text = text.replace(long, long[:_SHORT])
    return [RecordedCall(*each) for each in json.loads(text)]


def published(calls: Iterable[RecordedCall]) -> Iterator[Mapping[str, Any]]:
    """The events that the bus accepted, as their targets get them."""
    for call in calls:
        if call.action == "events:PutEvents":
            for entry, taken in zip(call.request["Entries"], call.answer["Entries"], strict=True):
                yield envelope_of(entry, taken["EventId"])


def reached(calls: Iterable[RecordedCall]) -> list[list[str]]:
    """The functions that each published event reaches."""
    return [matching.consumers(envelope) for envelope in published(calls)]


def ours(lines: Iterable[str]) -> list[str]:
    """What the code logs, outcomes and metrics, without Lambda's own lines."""
    return [line for line in lines if not line.startswith(_LAMBDAS_OWN)]


def billed(lines: Iterable[str]) -> int:
    return sum(len(_LOGGED_ID.sub(r"\1", line).encode()) + ENTRY for line in lines)


def _ends(lines: Iterable[str]) -> int:
    return sum(line.startswith("END RequestId") for line in lines)


# --- the stories ------------------------------------------------------------------------------------------------------


def measure(metered: MeteredStack) -> dict[str, Counts]:
    """Every story of results/counts.json."""
    _warm(metered)
    approved = _order(metered)
    result = {
        "approved": approved.counts,
        "approved, with phone": _order(metered, phone=PHONE).counts,
        "declined": (declined := _order(metered, paymentMethod="tok_declined")).counts,
        "replayed request": _replayed(metered),
    }
    for story in (approved, declined):
        for envelope in published(story.calls):
            result.setdefault(f"duplicate {envelope['detail-type']}", _duplicate(metered, envelope))
    order_id = str(next(published(approved.calls))["detail"]["data"]["orderId"])
    for name, path in {"GET order": f"/orders/{order_id}", "GET timeline": f"/orders/{order_id}/events"}.items():
        metered.customer.get(path)
        result[name] = metered.recorded(invoked=1).counts
    result["reconciler, nothing due"] = reconciled(metered)
    return result


def reconciled(metered: MeteredStack) -> Counts:
    metered.invoke("reconciler", {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}})
    return metered.recorded(invoked=1).counts


def _warm(metered: MeteredStack) -> None:
    """Start every function, so that none comes so late that events overtake each other."""
    metered.post()
    metered.recorded(invoked=1)


def _order(metered: MeteredStack, **changes: Any) -> Recorded:
    """An order from its request to its end, with every step in its turn."""
    for _ in range(_ATTEMPTS):
        metered.post(**changes)
        recorded = metered.recorded(invoked=1)
        if in_turn(recorded.calls):
            return recorded
    raise Overtaken("; ".join(f"{call.function} {call.action} {call.status}" for call in recorded.calls))


def in_turn(calls: Sequence[RecordedCall]) -> bool:
    """Whether no event overtook another: every condition held, and the receipt closed the order."""
    refused = [call for call in calls if call.status != 200]
    closing = [call for call in calls if call.request.get("UpdateExpression", "").startswith("REMOVE #openShard")]
    return not refused and not closing


def _replayed(metered: MeteredStack) -> Counts:
    metered.post(key="the same")
    metered.recorded(invoked=1)
    metered.post(key="the same")
    return metered.recorded(invoked=1).counts


def _duplicate(metered: MeteredStack, envelope: Mapping[str, Any]) -> Counts:
    """Every consumer gets an event again whose order has ended."""
    return metered.recorded(invoked=metered.deliver(envelope)).counts
