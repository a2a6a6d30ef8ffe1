"""AWS as serverless.yml deploys it: the bus and its rules, Lambda's retries, the queues, the schedule.

What is modelled is what AWS documents: deliveries at least once and in any order; asynchronous invocations repeated
twice, after one and two minutes, then kept in the on-failure queue; messages that return after their visibility
time-out, and end in the dead-letter queue after so many receives; indexes that lag.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any
from uuid import UUID

from operations.envelope import envelope
from orders import clock
from tools import topology
from verification import matching
from verification.evidence import Envelope, TakenCharge, order_id_of
from verification.simulation.faults import DELIVERY, INVOCATION, FaultKind, Faults
from verification.simulation.network import Network
from verification.simulation.online_checker import OnlineChecker
from verification.simulation.queues import Queue, QueueMessage
from verification.simulation.random_source import RandomSource
from verification.simulation.trace import Trace
from verification.simulation.world import BEGINNING, LARGEST_SKEW, Ended, Killed, Process, World
from verification.tables import Table, Write

DEAD_LETTERS = "https://sqs.invalid/DeadLetterQueue"
NOTIFICATIONS = "https://sqs.invalid/NotificationQueue"
DEAD_NOTIFICATIONS = "https://sqs.invalid/NotificationDeadLetterQueue"
_LAMBDA = "arn:aws:lambda:us-east-1:000000000000:function:"
_TOPIC = "arn:aws:sns:us-east-1:000000000000:OrderNotificationTopic"
_PROVIDER_REMEMBERS = 24 * 3600
"""Seconds for which the payment provider honours an idempotency key: Stripe's rule, which others follow."""


@dataclass(frozen=True)
class _Context:
    aws_request_id: str
    get_remaining_time_in_millis: Callable[[], float]


class Cloud:
    def __init__(self, world: World, faults: Faults, rng: RandomSource, trace: Trace) -> None:
        self.world = world
        self.checker = OnlineChecker(world)
        self.network = Network(world, faults, rng, trace)
        self.writes: dict[tuple[str, str, str], Write] = {}
        """The first write with each pair of expressions, on each table."""
        self.archive: list[tuple[Envelope, str]] = []
        """Every event that the bus took, with the name that the trace has for it."""
        shapes = topology.of_type("AWS::DynamoDB::Table")
        self.tables = {
            name: Table(name, shapes[f"{name}Table"], lambda: world.now, self.checker.wrote)
            for name in ("Orders", "AuditLog")
        }
        self.queues = {url: Queue(lambda: world.now) for url in (DEAD_LETTERS, NOTIFICATIONS, DEAD_NOTIFICATIONS)}
        self._faults = faults
        self._rng = rng
        self._trace = trace
        self._charged: dict[str, float] = {}
        self._counted: Counter[str] = Counter()
        self._polls = 0

    # --- for the clients ------------------------------------------------------------------------------------------

    def new_id(self) -> str:
        return str(UUID(bytes=self._rng.random_bytes(16), version=4))

    def milliseconds(self, at: float) -> float:
        return (BEGINNING.timestamp() + at) * 1000

    def letters(self, queue_url: str) -> list[Envelope]:
        """The events in a dead-letter queue."""
        bodies = [_event_in(message.body) for message in self.queues[queue_url].messages.values()]
        return [body.get("requestPayload", body) for body in bodies]

    def index_lag(self, query: str, order_id: str) -> float:
        """How many seconds behind an index is with an order."""
        place = f"{query} index {self.checker.labels.get(order_id, '')}"
        fault = self._faults.at(place, (FaultKind.INDEX_LAGS,))
        if not fault:
            return 0.0
        self._trace.record(self.world.process, "reads the index", fault, place)
        return self._rng.between(place, 0.1, 300)

    def charge(self, key: str, amount: int, currency: str, payment_id: str) -> None:
        """The provider takes the money, unless it has seen the idempotency key lately."""
        [order_id] = [each for each, name in self.checker.labels.items() if name == self.world.process.order]
        self.checker.asked_to_charge(order_id)
        seen = self._charged.get(key)
        if seen is None or self.world.now - seen > _PROVIDER_REMEMBERS:
            self._charged[key] = self.world.now
            self.checker.charged(TakenCharge(order_id, payment_id, amount, currency))

    def gateway_is_down(self) -> bool:
        """Outages last for minutes or for hours."""
        fault = None
        for length in (600, 7200):
            place = f"gateway {length} {int(self.world.now / length)}"
            fault = fault or self._faults.at(place, (FaultKind.GATEWAY_DOWN,))
        if fault:
            self.world.process.faults.append(fault)
            self.world.process.excused = True
            self._trace.record(self.world.process, "Charge", fault, place)
        return fault is not None

    def keys_are_left_out(self) -> bool:
        """For half a minute a throttled table leaves out all that BatchGetItem asks for, call after call."""
        place = f"keys {int(self.world.now / 30)}"
        fault = self._faults.at(place, (FaultKind.KEYS_LEFT_OUT,))
        if fault:
            self.world.process.faults.append(fault)
            self.checker.failed_inside(self.world.process, fault)
            self._trace.record(self.world.process, "BatchGetItem", fault, place)
        return fault is not None

    # --- EventBridge ----------------------------------------------------------------------------------------------

    def put_event(self, entry: Mapping[str, str], *, forged: bool = False) -> str:
        detail = json.loads(entry["Detail"])
        label = self._label({"detail": detail})
        event_id = self.new_id()
        now = clock.timestamp(self.world.moment())
        event = envelope(entry["DetailType"], entry["Source"], detail, event_id=event_id, timestamp=now)
        if forged:
            self.checker.forged.add(event_id)
        self.checker.took(event)
        name = self._numbered(f"{label}.{'forged' if forged else ''}{entry['DetailType']}")
        self.archive.append((event, name))
        self.route(event, name)
        return event_id

    def route(self, envelope: Envelope, name: str) -> None:
        """Hand an event to the targets of the rules that match it."""
        for rule, function in _targets(envelope["source"], envelope["detail-type"], "replay-name" in envelope):
            self._deliver(envelope, function, f"{name}>{rule}")

    def _deliver(self, envelope: Envelope, function: str, name: str) -> None:
        kinds = DELIVERY[:-1] if function == "auditLogger" else DELIVERY  # EventBridge does not lose what it took
        fault = self._faults.at(name, kinds)
        delay = self._rng.between(f"delay {name}", 0.01, 0.5)
        if fault:
            self._trace.record(name, f"to {function}", fault, name)
        match fault:
            case FaultKind.DROPPED:
                return
            case FaultKind.LATE:
                delay = self._rng.between(f"late {name}", 1, 7200)
            case FaultKind.TO_DEAD_LETTERS:
                target = _TOPIC if function == "notification" else f"{_LAMBDA}{function}"
                attributes = {"TARGET_ARN": target, "ERROR_MESSAGE": fault.value}
                self.queues[DEAD_LETTERS].send(json.dumps(envelope), name, attributes)
                return
            case FaultKind.TWICE:
                again = self._rng.between(f"again {name}", 0.01, 600)
                self.world.later(again, lambda: self._hand_over(envelope, function, f"{name} again"))
        self.world.later(delay, lambda: self._hand_over(envelope, function, name))

    def _hand_over(self, envelope: Envelope, function: str, name: str) -> None:
        if function == "notification":
            self.queue_for_notification(json.dumps(envelope), name)
        else:
            self._invoke_asynchronously(function, envelope, name)

    # --- Lambda ---------------------------------------------------------------------------------------------------

    def redriven(self, function_arn: str, payload: str) -> None:
        """An operator hands an event to a function once more."""
        event = json.loads(payload)
        function = function_arn.rpartition(":")[2]
        name = self._numbered(f"{self._label(event)}.{event.get('detail-type')}.redriven>{function}")
        self._invoke_asynchronously(function, event, name)

    def _invoke_asynchronously(self, function: str, event: Envelope, name: str, attempt: int = 1) -> None:
        place = f"{name}#{attempt}"
        started = self._starts(place)
        if not started:
            wait = self._rng.between(f"throttled {place}", 1, 300)
            self.world.later(wait, lambda: self._invoke_asynchronously(function, event, f"{name}~", attempt))
            return

        def ended(_result: Any, error: BaseException | None) -> None:
            if error is None:
                if self._faults.at(f"{place} again", (FaultKind.TWICE,)):
                    self._trace.record(place, f"{function} is run again", FaultKind.TWICE, f"{place} again")
                    again = self._rng.between(f"{place} again", 0.01, 600)
                    self.world.later(again, lambda: self._invoke_asynchronously(function, event, f"{name}+", attempt))
            elif attempt <= topology.retries(function):
                self.world.later(60 * attempt, lambda: self._invoke_asynchronously(function, event, name, attempt + 1))
            else:
                self._keep(function, event, name, attempt, error)

        self.invoke(function, event, place, self._label(event), ended, events=[event])

    def _keep(self, function: str, event: Envelope, name: str, attempts: int, error: BaseException) -> None:
        record = {
            "requestContext": {
                "functionArn": f"{_LAMBDA}{function}:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": attempts,
            },
            "requestPayload": event,
            "responsePayload": {"errorMessage": str(error) or "the process died"},
        }
        self._trace.record(name, f"{function} fails for the last time: dead-letter queue")
        self.queues[DEAD_LETTERS].send(json.dumps(record), name)

    def _starts(self, place: str) -> bool:
        fault = self._faults.at(f"{place} start", (FaultKind.NOT_STARTED,))
        if fault:
            self._trace.record(place, "is not started", fault, f"{place} start")
        return fault is None

    def invoke(
        self,
        function: str,
        payload: Mapping[str, Any],
        name: str,
        order: str,
        ended: Ended,
        *,
        events: list[Envelope],
    ) -> None:
        """Run a handler as a process of its own, for as long as its time-out lets it."""
        process = Process(name, order, skew=(2 * self._rng.draw(f"skew {name}") - 1) * LARGEST_SKEW)
        fault = self._faults.at(name, INVOCATION[:2])
        if fault:
            process.faults.append(fault)
            process.excused = True
        self._trace.record(process, f"{function} begins", fault, name)
        handler = _handler(function)
        time_out = topology.time_out(function)

        def remaining() -> float:
            return 1000 * (process.started + time_out - self.world.now)

        def body() -> Any:
            if fault is FaultKind.DIES_AT_START:
                process.die()
            result = handler(payload, _Context(name, remaining))
            if fault is FaultKind.DIES_AT_END:
                process.die()
            return result

        def over(result: Any, error: BaseException | None) -> None:
            failed = events if error else _given_back(result, payload, events)
            taken = [event for event in events if event not in failed]
            self._trace.record(process, _ending(function, error, len(failed)))
            if failed or error:
                self.checker.failed(process, error, failed)
            self.checker.succeeded(process, taken, function, orders.items.values())
            ended(result, error)

        orders = self.tables["Orders"]
        about = {order_id_of(event) for event in events}
        self.checker.began(process, function, [orders.items[key] for key in orders.items if key[0] in about])
        self.world.later(time_out, lambda: self.world.kill(process), for_ever=True)
        self.world.start(process, body, over)

    # --- SNS and SQS ----------------------------------------------------------------------------------------------

    def queue_for_notification(self, body: str, name: str) -> None:
        self.queues[NOTIFICATIONS].send(body, name)
        self.world.later(self._rng.between(f"poll {name}", 0.005, 0.5), self._poll)

    def _poll(self) -> None:
        """What Lambda's event source mapping does: receive a batch, invoke, delete what was handled."""
        trigger = _trigger()
        if self._polls >= trigger.concurrency:
            self.world.later(0.5, self._poll)
            return
        queue = self.queues[NOTIFICATIONS]
        batch = []
        for message in queue.receive(trigger.batch_size, trigger.visibility):
            if message.received > trigger.most_receives:
                queue.delete(message.name)
                self._trace.record(message.name, "notification fails for the last time: dead-letter queue")
                self.queues[DEAD_NOTIFICATIONS].send(message.body, message.name)
            else:
                batch.append(message)
                self.world.later(trigger.visibility, self._poll)
                if self._faults.at(f"{message.name} held", (FaultKind.TWICE,)):
                    self._trace.record(message.name, "is seen by another", FaultKind.TWICE, f"{message.name} held")
                    queue.hide(message.name, 0)
                    self.world.later(self._rng.between(f"held {message.name}", 0.005, 20), self._poll)
        if not batch:
            return
        name = f"{batch[0].name}.{batch[0].received}"
        if not self._starts(name):
            return
        self._polls += 1
        self._notify(batch, name)

    def _notify(self, batch: list[QueueMessage], name: str) -> None:
        events = [_event_in(message.body) for message in batch]
        records = [{"messageId": message.name, "body": message.body} for message in batch]

        def ended(result: Any, error: BaseException | None) -> None:
            self._polls -= 1
            if error is None:
                failed = {each["itemIdentifier"] for each in result["batchItemFailures"]}
                for message in batch:
                    if message.name not in failed:
                        self.queues[NOTIFICATIONS].delete(message.name)

        label = "+".join(dict.fromkeys(self._label(event) for event in events))
        self.invoke("notification", {"Records": records}, name, label, ended, events=events)

    # --- the schedule ---------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Every minute: the reconciler's rule. A run that would find nothing due is left out, for speed alone."""
        due = [item for item in self.tables["Orders"].items.values() if "dueAt" in item]
        now = clock.timestamp(self.world.moment())
        if any(item["dueAt"]["S"] <= now for item in due):
            name = f"reconciler.{int(self.world.now / 60)}"
            event = {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}, "id": name}
            self._invoke_asynchronously("reconciler", event, name)
            if self._faults.at(f"{name} twice", (FaultKind.TWICE,)):
                self._trace.record(name, "runs twice", FaultKind.TWICE, f"{name} twice")
                self._invoke_asynchronously("reconciler", event, f"{name}b")
        self.world.later(60, self.tick, for_ever=True)

    # --------------------------------------------------------------------------------------------------------------

    def _label(self, event: Envelope) -> str:
        return self.checker.labels.get(order_id_of(event), "?")

    def _numbered(self, name: str) -> str:
        self._counted[name] += 1
        return f"{name}.{self._counted[name]}"


@dataclass(frozen=True)
class _Trigger:
    """The queue of the notification function, and how Lambda reads it."""

    batch_size: int
    concurrency: int
    visibility: int
    most_receives: int


@cache
def _trigger() -> _Trigger:
    [trigger] = [each["sqs"] for each in topology.service()["functions"]["notification"]["events"]]
    assert trigger["functionResponseType"] == "ReportBatchItemFailures"
    queue = topology.of_type("AWS::SQS::Queue")["NotificationQueue"]
    return _Trigger(
        batch_size=int(trigger["batchSize"]),
        concurrency=int(topology.setting(trigger["maximumConcurrency"])),
        visibility=int(queue["VisibilityTimeout"]),
        most_receives=int(topology.setting(queue["RedrivePolicy"]["maxReceiveCount"])),
    )


@cache
def _targets(source: str, detail_type: str, replayed: bool) -> list[tuple[str, str]]:
    """The rules that an event matches, and the function that each leads to."""
    envelope = {
        "source": source,
        "detail-type": detail_type,
        "detail": {},
        **({"replay-name": "r"} if replayed else {}),
    }
    return [(rule, function) for rule, pattern, function in topology.rules() if matching.matches(pattern, envelope)]


@cache
def _handler(function: str) -> Callable[[Any, Any], Any]:
    return import_module(topology.handler(function)).handler  # type: ignore[no-any-return]


def _event_in(body: str) -> Envelope:
    """What a message holds; of what is no JSON, something that can be told apart at least."""
    try:
        return json.loads(body)  # type: ignore[no-any-return]
    except ValueError:
        return {"id": body}


def _given_back(result: Any, payload: Mapping[str, Any], events: list[Envelope]) -> list[Envelope]:
    if "Records" not in payload:
        return []
    failed = {each["itemIdentifier"] for each in result["batchItemFailures"]}
    return [event for record, event in zip(payload["Records"], events, strict=True) if record["messageId"] in failed]


def _ending(function: str, error: BaseException | None, failed: int) -> str:
    if isinstance(error, Killed):
        return f"{function} is dead"
    if error:
        return f"{function} fails: {type(error).__name__}: {error}"
    return f"{function} gives {failed} back" if failed else f"{function} is done"
