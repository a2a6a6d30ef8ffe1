"""The simulated AWS, as serverless.yml deploys it: the bus and its rules, Lambda's retries, the queues, the schedule.

It does what AWS documents: the bus delivers at least once and in any order; a failed asynchronous invocation is retried
twice, after one and two minutes, and then kept in the on-failure queue; a message is visible again after its visibility
time-out, and moves to the dead-letter queue after its last receive; indexes lag.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from operations.envelope import envelope
from orders import clock
from tools import flow, topology
from verification.evidence import Envelope, order_id_of
from verification.simulation import deployment
from verification.simulation.deployment import DEAD_LETTER_QUEUE_URL, QUEUES, SCHEDULED_FUNCTIONS, QueueTrigger
from verification.simulation.faults import DELIVERY, DELIVERY_TO_RECORDER, INVOCATION, FaultKind, Faults
from verification.simulation.network import Network
from verification.simulation.online_checker import LEDGER, OnlineChecker
from verification.simulation.queues import Queue, QueueMessage
from verification.simulation.random_source import RandomSource
from verification.simulation.trace import Trace
from verification.simulation.world import LARGEST_SKEW_SECONDS, START, Ended, Killed, Process, World
from verification.tables import Table, Write

_SCHEDULE_SECONDS = 60


@dataclass(frozen=True)
class _Context:
    aws_request_id: str
    get_remaining_time_in_millis: Callable[[], float]


class SimulatedCloud:
    def __init__(self, world: World, faults: Faults, rng: RandomSource, trace: Trace) -> None:
        self.world = world
        self.checker = OnlineChecker(world)
        self.network = Network(world, faults, rng, trace)
        self.writes: dict[tuple[str, str, str], Write] = {}
        """The first write with each pair of expressions, on each table."""
        self.archive: list[tuple[Envelope, str]] = []
        """Every event that the bus accepted, with its name in the trace."""
        shapes = topology.of_type("AWS::DynamoDB::Table")
        self.tables = {
            name: Table(name, shapes[f"{name}Table"], lambda: world.now, self.checker.wrote)
            for name in ("Orders", "AuditLog", LEDGER, "Feed")
        }
        self.queues = {deployment.queue_url(name): Queue(lambda: world.now) for name in QUEUES}
        self._faults = faults
        self._rng = rng
        self._trace = trace
        self._counted: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        """By function, the batches that it handles at the moment."""

    # --- for the clients ------------------------------------------------------------------------------------------

    def new_id(self) -> str:
        return str(UUID(bytes=self._rng.random_bytes(16), version=4))

    def milliseconds(self, at: float) -> float:
        return (START.timestamp() + at) * 1000

    def dead_letters(self, queue_url: str) -> list[Envelope]:
        """The events in a dead-letter queue."""
        bodies = [_event_in(message.body) for message in self.queues[queue_url].messages.values()]
        return [body.get("requestPayload", body) for body in bodies]

    def index_lag(self, query: str, order_id: str) -> float:
        """The seconds by which an index lags behind an order."""
        place = f"{query} index {self.checker.labels.get(order_id, '')}"
        fault = self._faults.at(place, (FaultKind.INDEX_LAGS,))
        if not fault:
            return 0.0
        self._trace.record(self.world.process, "reads the index", fault, place)
        return self._rng.between(place, 0.1, 300)

    def carry_out_later(self, write: Callable[[], object]) -> None:
        """Let a write of the provider take effect when nobody waits for its response any more."""
        thread = self.world.thread
        name = f"{thread.name}/{thread.calls} later"
        late = Process(name, thread.process.order)

        def ended(_result: object, error: BaseException | None) -> None:
            self._trace.record(late, f"is refused: {error}" if error else "took effect")

        def begin() -> None:
            self.world.start(late, write, ended)

        self.world.later(self._rng.between(name, 1, 1800), begin)

    def is_down(self, name: str, outage: FaultKind) -> bool:
        """Whether the gateway or the bus is in an outage, which lasts for minutes or for hours."""
        fault = None
        for seconds in (600, 7200):
            place = f"{name} {seconds} {int(self.world.now / seconds)}"
            fault = fault or self._faults.at(place, (outage,))
        if fault:
            self.world.process.faults.append(fault)
            self.world.process.excused = True
            self._trace.record(self.world.process, name.capitalize(), fault, place)
        return fault is not None

    def failed_entries(self, number: int) -> set[int]:
        """Which of a call's entries fail while it succeeds: at least one."""
        name = f"{self.world.thread.name}/{self.world.thread.calls}"
        drawn = {entry for entry in range(number) if self._rng.hits(f"entry {entry} of {name}", 0.5)}
        return drawn or {0}

    def keys_are_left_out(self) -> bool:
        """Whether the table is throttled for half a minute, in which BatchGetItem leaves out every key."""
        place = f"keys {int(self.world.now / 30)}"
        fault = self._faults.at(place, (FaultKind.KEYS_LEFT_OUT,))
        if fault:
            self.world.process.faults.append(fault)
            self.checker.retries(self.world.process, fault)
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
        self.checker.event_accepted(event)
        name = self._numbered(f"{label}.{'forged' if forged else ''}{entry['DetailType']}")
        self.archive.append((event, name))
        self.route(event, name)
        return event_id

    def route(self, envelope: Envelope, name: str) -> None:
        """Deliver an event to the targets of the rules that match it."""
        for rule, function in deployment.targets(
            envelope["source"], envelope["detail-type"], "replay-name" in envelope
        ):
            self._deliver(envelope, function, f"{name}>{rule}")

    def _deliver(self, envelope: Envelope, function: str, name: str) -> None:
        fault = self._faults.at(name, DELIVERY_TO_RECORDER if function in flow.recorders() else DELIVERY)
        delay = self._rng.between(f"delay {name}", 0.01, 0.5)
        if fault:
            self._trace.record(name, f"to {function}", fault, name)
        match fault:
            case FaultKind.DROPPED:
                return
            case FaultKind.LATE:
                delay = self._rng.between(f"late {name}", 1, 7200)
            case FaultKind.TO_DEAD_LETTERS:
                trigger = deployment.queue_trigger(function)
                target = trigger.topic_arn if trigger else deployment.function_arn(function)
                attributes = {"TARGET_ARN": target, "ERROR_MESSAGE": fault.value}
                self.queues[DEAD_LETTER_QUEUE_URL].send(json.dumps(envelope), name, attributes)
                return
            case FaultKind.TWICE:
                again = self._rng.between(f"again {name}", 0.01, 600)
                self.world.later(again, lambda: self._hand_to(envelope, function, f"{name} again"))
        self.world.later(delay, lambda: self._hand_to(envelope, function, name))

    def _hand_to(self, envelope: Envelope, function: str, name: str) -> None:
        if trigger := deployment.queue_trigger(function):
            self.enqueue(trigger, json.dumps(envelope), name)
        else:
            self._invoke_asynchronously(function, envelope, name)

    # --- Lambda ---------------------------------------------------------------------------------------------------

    def redrive(self, function_arn: str, payload: str) -> None:
        """Invoke a function with an event again, for an operator."""
        event = json.loads(payload)
        function = function_arn.rpartition(":")[2]
        name = self._numbered(f"{self._label(event)}.{event.get('detail-type')}.redriven>{function}")
        self._invoke_asynchronously(function, event, name)

    def _invoke_asynchronously(self, function: str, event: Envelope, name: str, attempt: int = 1) -> None:
        place = f"{name}#{attempt}"
        if self._is_throttled(place):
            wait = self._rng.between(f"throttled {place}", 1, 300)
            self.world.later(wait, lambda: self._invoke_asynchronously(function, event, f"{name}~", attempt))
            return

        def ended(_result: Any, error: BaseException | None) -> None:
            if error is None:
                if self._faults.at(f"{place} again", (FaultKind.TWICE,)):
                    self._trace.record(place, f"{function} is invoked again", FaultKind.TWICE, f"{place} again")
                    again = self._rng.between(f"{place} again", 0.01, 600)
                    self.world.later(again, lambda: self._invoke_asynchronously(function, event, f"{name}+", attempt))
            elif attempt <= topology.retries(function):
                self.world.later(60 * attempt, lambda: self._invoke_asynchronously(function, event, name, attempt + 1))
            else:
                self._keep_dead_letter(function, event, name, attempt, error)

        self.invoke(function, event, place, self._label(event), ended, events=[event])

    def _keep_dead_letter(self, function: str, event: Envelope, name: str, attempts: int, error: BaseException) -> None:
        record = {
            "requestContext": {
                "functionArn": f"{deployment.function_arn(function)}:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": attempts,
            },
            "requestPayload": event,
            "responsePayload": {"errorMessage": str(error) or "the process died"},
        }
        self._trace.record(name, f"{function} fails for the last time: dead-letter queue")
        self.queues[DEAD_LETTER_QUEUE_URL].send(json.dumps(record), name)

    def _is_throttled(self, place: str) -> bool:
        fault = self._faults.at(f"{place} start", (FaultKind.NOT_STARTED,))
        if fault:
            self._trace.record(place, "is not invoked", fault, f"{place} start")
        return fault is not None

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
        """Run a handler as a process of its own, and kill it after the function's time-out."""
        process = Process(name, order, skew=(2 * self._rng.draw(f"skew {name}") - 1) * LARGEST_SKEW_SECONDS)
        fault = self._faults.at(name, INVOCATION[:2])
        if fault:
            process.faults.append(fault)
            process.excused = True
        self._trace.record(process, f"{function} begins", fault, name)
        handler = deployment.handler(function)
        timeout_seconds = topology.time_out(function)

        def remaining_ms() -> float:
            return 1000 * (process.started + timeout_seconds - self.world.now)

        def body() -> Any:
            if fault is FaultKind.DIES_AT_START:
                process.die()
            result = handler(payload, _Context(name, remaining_ms))
            if fault is FaultKind.DIES_AT_END:
                process.die()
            return result

        def over(result: Any, error: BaseException | None) -> None:
            failed = events if error else _batch_item_failures(result, payload, events)
            handled = [event for event in events if event not in failed]
            self._trace.record(process, _outcome(function, error, len(failed)))
            if failed or error:
                self.checker.failed(process, error, failed)
            self.checker.succeeded(process, handled, function)
            ended(result, error)

        orders = self.tables["Orders"]
        about = {(order_id_of(event),) for event in events}
        self.checker.began(process, function, [orders.items[key] for key in about & orders.items.keys()])
        self.world.later(timeout_seconds, lambda: self.world.kill(process), for_ever=True)
        self.world.start(process, body, over)

    # --- SNS and SQS ----------------------------------------------------------------------------------------------

    def send_to(self, address: str, body: str, name: str) -> None:
        """Send a message to a queue by its URL, or to a topic by its ARN, for an operator."""
        [trigger] = [each for each in deployment.QUEUE_TRIGGERS if address in (each.queue_url, each.topic_arn)]
        self.enqueue(trigger, body, name)

    def enqueue(self, trigger: QueueTrigger, body: str, name: str) -> None:
        self.queues[trigger.queue_url].send(body, name)
        self.world.later(self._rng.between(f"poll {name}", 0.005, 0.5), lambda: self._poll(trigger))

    def _poll(self, trigger: QueueTrigger) -> None:
        """Do what Lambda's event source mapping does: receive a batch, invoke, delete the handled messages."""
        if self._running[trigger.function] >= trigger.concurrency:
            self.world.later(0.5, lambda: self._poll(trigger))
            return
        queue = self.queues[trigger.queue_url]
        batch = []
        for message in queue.receive(trigger.batch_size, trigger.visibility_timeout_seconds):
            if message.received > trigger.max_receives:
                queue.delete(message.name)
                self._trace.record(message.name, f"{trigger.function} fails for the last time: dead-letter queue")
                self.queues[trigger.dead_letter_queue_url].send(message.body, message.name)
            else:
                batch.append(message)
                self.world.later(trigger.visibility_timeout_seconds, lambda: self._poll(trigger))
                if self._faults.at(f"{message.name} held", (FaultKind.TWICE,)):
                    self._trace.record(message.name, "is received again", FaultKind.TWICE, f"{message.name} held")
                    queue.hide(message.name, 0)
                    wait = self._rng.between(f"held {message.name}", 0.005, 20)
                    self.world.later(wait, lambda: self._poll(trigger))
        if not batch:
            return
        name = f"{batch[0].name}.{batch[0].received}"
        if not self._is_throttled(name):
            self._handle(trigger, batch, name)

    def _handle(self, trigger: QueueTrigger, batch: list[QueueMessage], name: str) -> None:
        self._running[trigger.function] += 1
        events = [_event_in(message.body) for message in batch]
        records = [{"messageId": message.name, "body": message.body} for message in batch]

        def ended(result: Any, error: BaseException | None) -> None:
            self._running[trigger.function] -= 1
            if error is None:
                failed = {each["itemIdentifier"] for each in result["batchItemFailures"]}
                for message in batch:
                    if message.name not in failed:
                        self.queues[trigger.queue_url].delete(message.name)

        label = "+".join(dict.fromkeys(self._label(event) for event in events))
        self.invoke(trigger.function, {"Records": records}, name, label, ended, events=events)

    # --- the schedule ---------------------------------------------------------------------------------------------

    def run_schedule(self) -> None:
        """Invoke the scheduled functions once a minute, but only if an order is due: other runs would do nothing."""
        due = [item for item in self.tables["Orders"].items.values() if "dueAt" in item]
        now = clock.timestamp(self.world.moment())
        if any(item["dueAt"]["S"] <= now for item in due):
            for function in SCHEDULED_FUNCTIONS:
                name = f"{function}.{int(self.world.now / _SCHEDULE_SECONDS)}"
                event = {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}, "id": name}
                self._invoke_asynchronously(function, event, name)
                if self._faults.at(f"{name} twice", (FaultKind.TWICE,)):
                    self._trace.record(name, "runs twice", FaultKind.TWICE, f"{name} twice")
                    self._invoke_asynchronously(function, event, f"{name}b")
        self.world.later(_SCHEDULE_SECONDS, self.run_schedule, for_ever=True)

    # --------------------------------------------------------------------------------------------------------------

    def _label(self, event: Envelope) -> str:
        return self.checker.labels.get(order_id_of(event), "?")

    def _numbered(self, name: str) -> str:
        self._counted[name] += 1
        return f"{name}.{self._counted[name]}"


def _event_in(body: str) -> Envelope:
    """The event in a message; a body that isn't JSON becomes the event's id."""
    try:
        return json.loads(body)  # type: ignore[no-any-return]
    except ValueError:
        return {"id": body}


def _batch_item_failures(result: Any, payload: Mapping[str, Any], events: list[Envelope]) -> list[Envelope]:
    if "Records" not in payload:
        return []
    failed = {each["itemIdentifier"] for each in result["batchItemFailures"]}
    return [event for record, event in zip(payload["Records"], events, strict=True) if record["messageId"] in failed]


def _outcome(function: str, error: BaseException | None, failed: int) -> str:
    if isinstance(error, Killed):
        return f"{function} is dead"
    if error:
        return f"{function} fails: {type(error).__name__}: {error}"
    return f"{function} reports {failed} batch item failures" if failed else f"{function} is done"
