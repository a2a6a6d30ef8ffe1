"""Sees every effect at the moment when it takes place, and says at once when one of them must not be.

What can only be said at the end is in simulation/invariants.py; the witness keeps the evidence for it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from orders.dynamodb import from_item
from simulation.evidence import Charge, Envelope, Message
from simulation.expressions import Item
from simulation.faults import Fault
from simulation.world import Killed, Process, World

_STEPS = {
    ("PLACED", "PAID"): ("payment", "COMPLETED"),
    ("PLACED", "PAYMENT_FAILED"): ("payment", "FAILED"),
    ("PLACED", "FULFILLED"): ("fulfillment", None),
    ("PAID", "FULFILLED"): ("fulfillment", None),
}
"""The moves of a status, and what must be stored for each."""
_FIXED = ("orderId", "customerId", "email", "phone", "items", "totalAmount", "currency", "paymentMethod", "placedAt")
_ONCE = ("payment", "fulfillment", "notification", "sms")
_RECEIPTS = {"email": "notification", "sms": "sms"}


@dataclass
class _Sent:
    message: Message
    by: Process
    faults_before: int


@dataclass
class Witness:
    """All that was seen. `violations` is empty as long as every promise holds."""

    world: World
    violations: list[str] = field(default_factory=list)
    accepted: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    published: list[Envelope] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    forged: set[str] = field(default_factory=set)
    labels: dict[str, str] = field(default_factory=dict)
    """Order id → what the story calls it."""
    _sent: list[_Sent] = field(default_factory=list)
    _claims: dict[str, dict[str, float]] = field(default_factory=dict)
    """By order, who claimed the right to tell its customer, and until when."""
    _closed_for: dict[Process, set[str]] = field(default_factory=dict)
    _orders_of_key: dict[str, set[str]] = field(default_factory=dict)
    _told_new: Counter[str] = field(default_factory=Counter)

    def broken(self, what: str) -> None:
        self.violations.append(what)

    # --- effects --------------------------------------------------------------------------------------------------

    def wrote(self, table: str, before: Item | None, after: Item) -> None:
        """Each write of a table."""
        if table != "Orders":
            if before is not None:
                self.broken("a row of the audit log was written over")
            return
        old, new = from_item(before) if before else None, from_item(after)
        order_id = new["orderId"]
        process = self.world.process
        if old is None:
            self.labels.setdefault(order_id, process.order)
            if new.get("status") != "PLACED" or not set(_FIXED) - {"phone", "email"} <= new.keys():
                self.broken(f"order {order_id} came into being as {new}")
            return
        if old != new:
            self._acts(order_id, "changes it")
        self._check_change(order_id, old, new)
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
            needed = _STEPS.get((old["status"], new["status"]))
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
        if "dueAt" not in old and "dueAt" in new:
            self.broken(f"order {order_id} was opened again")

    def took(self, envelope: Envelope) -> None:
        """The bus took an event."""
        self.published.append(envelope)
        detail = envelope["detail"]
        if envelope["id"] not in self.forged:
            self._acts(detail["data"]["orderId"], f"publishes {envelope['detail-type']}")

    def charged(self, charge: Charge) -> None:
        self.charges.append(charge)
        self._acts(charge.order_id, "charges it")

    def sent(self, message: Message) -> None:
        process = self.world.process
        self._sent.append(_Sent(message, process, len(process.faults)))
        self._acts(message.order_id, f"sends its {message.channel}")

    def _acts(self, order_id: str, what: str) -> None:
        process = self.world.process
        if order_id in self._closed_for.get(process, ()):
            self.broken(f"order {order_id} had ended when {process.name} began, which {what}")

    # --- invocations ----------------------------------------------------------------------------------------------

    def began(self, process: Process, orders: Iterable[Item | None], *, tells: bool) -> None:
        """An invocation for these orders begins; `tells` if it may still have a text message to send."""
        self._closed_for[process] = {
            item["orderId"]["S"]
            for item in orders
            if item and "dueAt" not in item and not (tells and "phone" in item and "sms" not in item)
        }

    def failed(self, process: Process, error: BaseException | None, events: Iterable[Envelope]) -> None:
        """An invocation did not succeed for these events. Without a fault there must be another reason."""
        self._closed_for.pop(process, None)
        if process.faults or isinstance(error, Killed):
            return
        for event in events:
            claims = self._claims.get(_order_id(event), {})
            if any(until >= process.started for owner, until in claims.items() if owner != process.name):
                continue  # somebody else was telling the customer
            if event.get("id") in self.forged:
                continue
            reason = f"{type(error).__name__}: {error}" if error else "given back to the queue"
            self.broken(f"{process.name} failed, and nothing went wrong: {reason}")

    def succeeded(self, process: Process, events: Iterable[Envelope], *, logs: bool) -> None:
        """An invocation took these events; `logs` if it is the one that takes lies too, to keep a record of them."""
        self._closed_for.pop(process, None)
        for event in events:
            if event.get("id") in self.forged and not logs:
                self.broken(f"{process.name} believed the forged {event.get('detail-type')}")

    def answered(self, process: Process, key: str | None, answer: Mapping[str, Any], order: Mapping[str, Any]) -> None:
        """The API answered `POST /orders`. `key` is customer and Idempotency-Key."""
        status = answer["statusCode"]
        if status >= 500 and not process.faults:
            self.broken(f"{process.name} was answered {status}, and nothing went wrong")
        if status not in {200, 201}:
            return
        self.accepted[order["orderId"]] = order
        if key is not None:
            self._told_new[key] += status == 201
            self._orders_of_key.setdefault(key, set()).add(order["orderId"])
            if self._told_new[key] > 1:
                self.broken(f"{process.name} was told twice that its order is new")
            if len(self._orders_of_key[key]) > 1:
                self.broken(f"{process.name} made a second order with one Idempotency-Key")

    # --- for the evidence -----------------------------------------------------------------------------------------

    @property
    def messages(self) -> list[Message]:
        return [sent.message for sent in self._sent]

    def may_repeat(self) -> dict[tuple[str, str], int]:
        """A message may be sent again where something went wrong between its sending and the record of it."""
        explained: Counter[tuple[str, str]] = Counter()
        for sent in self._sent:
            if len(sent.by.faults) > sent.faults_before or (sent.by.faults and sent.by.faults[-1] in _AFTER_SENDING):
                explained[sent.message.order_id, sent.message.channel] += 1
        return dict(explained)

    @staticmethod
    def _has_ended(order: Mapping[str, Any]) -> bool:
        return order["status"] in {"FULFILLED", "PAYMENT_FAILED"} and "notification" in order


_AFTER_SENDING = {Fault.CRASH_AFTER, Fault.HANGS_AFTER, Fault.LOST}


def _owners(order: Mapping[str, Any]) -> list[str]:
    """Names of the invocations that hold a claim of the order."""
    return [order[claim]["owner"].partition("/")[0] for claim in ("emailClaim", "smsClaim") if claim in order]


def _order_id(event: Envelope) -> str:
    detail = event.get("detail")
    data = detail.get("data") if isinstance(detail, dict) else None
    order_id = data.get("orderId") if isinstance(data, dict) else None
    return order_id if isinstance(order_id, str) else ""
