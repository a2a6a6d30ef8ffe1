"""Check every effect when it takes place, and report at once one that breaks a promise.

What can be checked only at the end is in verification/promises.py; the checker keeps the evidence for it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf
from typing import Any

from orders import clock
from orders.aws.backoff import ATTEMPTS
from orders.aws.dynamodb import Item, from_item
from tools import flow, topology
from verification.evidence import Envelope, SentMessage, TakenCharge, order_id_of
from verification.simulation.faults import FaultKind
from verification.simulation.world import LARGEST_SKEW_SECONDS, START, Killed, Process, World

_TRANSITIONS = {
    ("PLACED", "PAID"): ("payment", "COMPLETED"),
    ("PLACED", "PAYMENT_FAILED"): ("payment", "FAILED"),
    ("PLACED", "FULFILLED"): ("fulfillment", None),
    ("PAID", "FULFILLED"): ("fulfillment", None),
}
"""The legal transitions of a status, and the result that must be stored for each."""
_FIXED = ("orderId", "customerId", "email", "phone", "items", "totalAmount", "currency", "paymentMethod", "placedAt")
_FINAL = ({"S": "FULFILLED"}, {"S": "PAYMENT_FAILED"})
_ONCE = ("payment", "fulfillment", "notification", "sms")
_CONSUMERS = {function for functions in flow.consumers().values() for function in functions}
_PUBLISHING_CONSUMERS = {function for function in _CONSUMERS if flow.publishes(function)}
"""They publish the next event of an open order, or fail."""
_RECORDERS = set(flow.recorders())
"""They record forged events as well."""


@dataclass
class _Sent:
    message: SentMessage
    by: Process
    faults_before: int


@dataclass
class OnlineChecker:
    """What it has seen so far. `violations` is empty as long as every promise holds."""

    world: World
    violations: list[str] = field(default_factory=list)
    accepted: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    published: list[Envelope] = field(default_factory=list)
    charges: list[TakenCharge] = field(default_factory=list)
    forged: set[str] = field(default_factory=set)
    stored: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Each order as it was last written, as plain values."""
    labels: dict[str, str] = field(default_factory=dict)
    """Order id → its label in the trace."""
    _sent: list[_Sent] = field(default_factory=list)
    _claims: dict[str, dict[str, float]] = field(default_factory=dict)
    """Order id → the invocations that claimed the right to notify its customer, and until when."""
    _closed_for: dict[Process, set[str]] = field(default_factory=dict)
    _orders_of_key: dict[str, set[str]] = field(default_factory=dict)
    _created: Counter[str] = field(default_factory=Counter)

    rejected: set[tuple[str, str]] = field(default_factory=set)
    _wrote: set[Process] = field(default_factory=set)
    _paid_for: dict[Process, set[str]] = field(default_factory=dict)
    _must_publish: dict[Process, set[str]] = field(default_factory=dict)
    """Orders whose next event an invocation must publish, or else fail."""
    _found_ended: dict[Process, set[str]] = field(default_factory=dict)
    """Orders that an invocation reconciled though they had ended: it may close them, and nothing else."""
    _reconciled: dict[Process, set[str]] = field(default_factory=dict)
    """By run of the reconciler, the orders that it reconciled: it may publish these, and no others."""

    def broken(self, what: str) -> None:
        self.violations.append(what)

    # --- effects --------------------------------------------------------------------------------------------------

    def wrote(self, table: str, before: Item | None, after: Item) -> None:
        """A table stored an item."""
        if table != "Orders":
            if before is not None:
                self.broken("a row of the audit log was overwritten")
            return
        new = from_item(after)
        order_id = new["orderId"]
        old = self.stored.get(order_id)
        self.stored[order_id] = new
        process = self.world.process
        if old is None:
            self._wrote.add(process)
            self.labels.setdefault(order_id, process.order)
            if new.get("status") != "PLACED" or not set(_FIXED) - {"phone", "email"} <= new.keys():
                self.broken(f"order {order_id} was created as {new}")
            return
        if old != new:
            self._check_open(order_id, "changes it")
        self._check_change(order_id, old, new)
        if old.get("attempt", 1) != new.get("attempt", 1):
            reconciled = self._found_ended if self._has_ended(new) else self._must_publish
            reconciled.setdefault(process, set()).add(order_id)
            self._reconciled.get(process, set()).add(order_id)
        claims = self._claims.setdefault(order_id, {})
        claims.update(dict.fromkeys(_owners(old), self.world.now))
        claims.update(dict.fromkeys(_owners(new), inf))

    def _check_change(self, order_id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        for name in _FIXED:
            if old.get(name) != new.get(name):
                self.broken(f"order {order_id} had its {name} changed")
        for name in _ONCE:
            if name in old and old[name] != new.get(name):
                self.broken(f"order {order_id} had its {name} changed from {old[name]} to {new.get(name)}")
        if old["status"] != new["status"]:
            needed = _TRANSITIONS.get((old["status"], new["status"]))
            stored = new.get(needed[0]) if needed else None
            if not needed or not stored or (needed[1] and stored["status"] != needed[1]):
                self.broken(f"order {order_id} went from {old['status']} to {new['status']}, which it must not")
        if "fulfillment" in new and new.get("payment", {}).get("status") != "COMPLETED":
            self.broken(f"order {order_id} is shipped and not paid")
        history = old.get("statusHistory", [])
        if new.get("statusHistory", [])[: len(history)] != history:
            self.broken(f"order {order_id} had its history changed")
        if "dueAt" in old and "dueAt" not in new and not self._has_ended(new):
            self.broken(f"order {order_id} was closed too early, as {new['status']}")
        if new.get("attempt", 1) not in {old.get("attempt", 1), old.get("attempt", 1) + 1}:
            self.broken(
                f"order {order_id} had its attempt changed from {old.get('attempt', 1)} to {new.get('attempt', 1)}"
            )
        if old.get("attempt", 1) != new.get("attempt", 1) and old.get("dueAt", "") > self._latest_now():
            self.broken(f"order {order_id} was reconciled before it was due")
        if "dueAt" not in old and "dueAt" in new:
            self.broken(f"order {order_id} was opened again")

    def event_accepted(self, envelope: Envelope) -> None:
        """The bus accepted an event."""
        self.published.append(envelope)
        if envelope["id"] not in self.forged:
            order_id = envelope["detail"]["data"]["orderId"]
            self._check_open(order_id, f"publishes {envelope['detail-type']}")
            self._must_publish.get(self.world.process, set()).discard(order_id)
            if order_id not in self._reconciled.get(self.world.process, {order_id}):
                self.broken(f"{self.world.process.name} publishes order {order_id}, which another run reconciled")
            if order_id in self._found_ended.get(self.world.process, ()):
                self.broken(f"{self.world.process.name} publishes order {order_id}, which it found ended")

    def charged(self, charge: TakenCharge) -> None:
        self.charges.append(charge)
        self._check_open(charge.order_id, "charges it")

    def gateway_called(self, order_id: str) -> None:
        """The payment gateway was called, whether it charged or not."""
        process = self.world.process
        if order_id in self._paid_for.get(process, ()):
            self.broken(f"order {order_id} had a payment when {process.name} began, which calls the gateway again")

    def sent(self, message: SentMessage) -> None:
        process = self.world.process
        if any(sent.by is process and sent.message == message for sent in self._sent):
            self.broken(f"{process.name} sends the {message.channel} of order {message.order_id} a second time")
        self._sent.append(_Sent(message, process, len(process.faults)))
        self._check_open(message.order_id, f"sends its {message.channel}")

    def _check_open(self, order_id: str, what: str) -> None:
        process = self.world.process
        if order_id in self._closed_for.get(process, ()):
            self.broken(f"order {order_id} had ended when {process.name} began, which {what}")

    # --- invocations ----------------------------------------------------------------------------------------------

    def began(self, process: Process, function: str, orders: Iterable[Item]) -> None:
        """An invocation for these orders began."""
        items = list(orders)
        notifies = topology.trigger(function) == "queue"  # it may still have a text message to send
        self._closed_for[process] = {
            item["orderId"]["S"]
            for item in items
            if "dueAt" not in item and not (notifies and "phone" in item and "sms" not in item)
        }
        self._paid_for[process] = {item["orderId"]["S"] for item in items if "payment" in item}
        if topology.trigger(function) == "schedule":
            self._reconciled[process] = set()
        if function in _PUBLISHING_CONSUMERS:
            self._must_publish[process] = {item["orderId"]["S"] for item in items if not self._has_ended(item)}

    def failed(self, process: Process, error: BaseException | None, events: Iterable[Envelope]) -> None:
        """An invocation failed for these events: a fault, a forged event or another's claim must explain it."""
        self._forget(process)
        if process.excused or (isinstance(error, Killed) and process.faults):
            return
        if self.used_up_retries(process):
            return
        for event in events:
            claims = self._claims.get(order_id_of(event), {})
            if any(until >= process.started for owner, until in claims.items() if owner != process.name):
                continue  # another invocation was notifying the customer
            if event.get("id") in self.forged:
                continue
            reason = f"{type(error).__name__}: {error}" if error else "reported as a batch item failure"
            self.broken(f"{process.name} failed, and nothing went wrong: {reason}")

    def succeeded(self, process: Process, events: Iterable[Envelope], function: str, orders: Iterable[Item]) -> None:
        """An invocation succeeded for these events; `orders` are all orders as they are now."""
        for event in events:
            if event.get("id") in self.forged and function not in _RECORDERS:
                self.broken(f"{process.name} accepted the forged {event.get('detail-type')}")
        unpublished = self._must_publish.get(process, set())
        for order in orders:
            if order["orderId"]["S"] in unpublished and not self._has_ended(order):
                self.broken(f"{process.name} succeeded, and did not publish the event of order {order['orderId']['S']}")
        self._forget(process)

    def _forget(self, process: Process) -> None:
        for known in (self._closed_for, self._paid_for, self._must_publish, self._found_ended, self._reconciled):
            known.pop(process, None)

    def retries(self, process: Process, fault: FaultKind) -> None:
        """A call succeeded with a partial failure, which the process may retry, but not without end."""
        if process.faults.count(fault) > _MOST_RETRIES:
            self.broken(f"{process.name} retries without end: {fault.value}")

    @staticmethod
    def used_up_retries(process: Process) -> bool:
        """Whether so many partial failures struck that the retries of `orders.aws.backoff` may be used up."""
        return any(process.faults.count(fault) >= ATTEMPTS for fault in _PARTIAL_FAILURES)

    def responded(
        self, process: Process, key: str | None, response: Mapping[str, Any], order: Mapping[str, Any]
    ) -> None:
        """The API responded to `POST /orders`. `key` is customer and Idempotency-Key."""
        status = response["statusCode"]
        if status >= 500 and (not process.excused or self._wrote_order(process)):
            self.broken(f"{process.name} got a {status}, though its order is stored or nothing went wrong")
        if status < 500 and status not in {200, 201}:
            self.broken(f"{process.name} got a {status} for a valid order")
        if status == 200 and key is None:
            self.broken(f"{process.name} got a 200 without an Idempotency-Key")
        if status not in {200, 201}:
            return
        self.accepted[order["orderId"]] = order
        if key is not None:
            self._created[key] += status == 201
            self._orders_of_key.setdefault(key, set()).add(order["orderId"])
            if self._created[key] > 1:
                self.broken(f"{process.name} got a second 201 with its Idempotency-Key")
            if len(self._orders_of_key[key]) > 1:
                self.broken(f"{process.name} made a second order with one Idempotency-Key")

    def _wrote_order(self, process: Process) -> bool:
        """Whether the invocation stored an order, and learned of it."""
        return process in self._wrote and process.failed_call != "PutItem"

    # --- for the evidence -----------------------------------------------------------------------------------------

    @property
    def messages(self) -> list[SentMessage]:
        return [sent.message for sent in self._sent]

    def may_repeat(self) -> dict[tuple[str, str], int]:
        """Count, by order and channel, the messages that a fault may have left unrecorded: each may be sent again."""
        explained: Counter[tuple[str, str]] = Counter()
        for sent in self._sent:
            if len(sent.by.faults) > sent.faults_before or (sent.by.faults and sent.by.faults[-1] in _AFTER_SENDING):
                explained[sent.message.order_id, sent.message.channel] += 1
        return dict(explained)

    def _latest_now(self) -> str:
        """Return the time by the fastest of all clocks."""
        return clock.timestamp(START + timedelta(seconds=self.world.now + LARGEST_SKEW_SECONDS))

    @staticmethod
    def _has_ended(order: Mapping[str, Any]) -> bool:
        """Whether the status of an order, or of its item, is final and its customer was notified."""
        return order["status"] in ("FULFILLED", "PAYMENT_FAILED", *_FINAL) and "notification" in order


_PARTIAL_FAILURES = {FaultKind.ENTRY_FAILED, FaultKind.KEYS_LEFT_OUT}
"""Failures inside of a call that succeeds: the code retries these, and the SDK does not."""
_MOST_RETRIES = 20
_AFTER_SENDING = {FaultKind.CRASH_AFTER, FaultKind.HANGS_AFTER, FaultKind.LOST}


def _owners(order: Mapping[str, Any]) -> list[str]:
    """Names of the invocations that hold a claim of the order."""
    return [order[claim]["owner"].partition("/")[0] for claim in ("emailClaim", "smsClaim") if claim in order]
