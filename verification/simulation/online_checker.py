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
from verification.evidence import Envelope, SentMessage, order_id_of
from verification.simulation.faults import FaultKind
from verification.simulation.world import LARGEST_SKEW_SECONDS, START, Killed, Process, World

_TRANSITIONS = {
    ("PLACED", "PAID"): ("payment", "COMPLETED"),
    ("PLACED", "PAYMENT_FAILED"): ("payment", "FAILED"),
    ("PLACED", "FULFILLED"): ("fulfillment", None),
    ("PAID", "FULFILLED"): ("fulfillment", None),
    ("PLACED", "CANCELLED"): ("cancellation", None),
    ("PAID", "CANCELLED"): ("cancellation", None),
    ("PLACED", "REFUNDED"): ("refund", None),
    ("PAID", "REFUNDED"): ("refund", None),
    ("CANCELLED", "REFUNDED"): ("refund", None),
}
"""The legal transitions of a status, and the result that must be stored for each."""
LEDGER = "GatewayLedger"
"""The payment provider's own table."""
_FIXED = ("orderId", "customerId", "email", "phone", "items", "totalAmount", "currency", "paymentMethod", "placedAt")
_WORDS = {"fulfillment": "tracking number", "cancellation": "cancelled", "payment": "nothing was charged"}
"""The stored outcome of an order → the words that only a message about it has."""
_FINAL = {"FULFILLED", "PAYMENT_FAILED", "REFUNDED"}
_ONCE = ("payment", "fulfillment", "cancellation", "refund", "notification", "sms")
_PROVIDER_STATES = {
    (None, "CHARGED"),
    (None, "DECLINED"),
    (None, "VOIDED"),
    ("CHARGED", "REFUNDED"),
    ("DECLINED", "VOIDED"),
}
"""The legal transitions of a row in the payment provider's ledger."""
_REMEMBERED = ("reference", "token", "amount", "currency", "paymentId", "reason", "refundId")
"""What a row of the ledger keeps for ever once it has it."""
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
    ledger: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By idempotency key, each row of the provider's ledger as it was last written, as plain values."""
    cancellations: dict[str, set[int]] = field(default_factory=dict)
    """By order, the statuses of the responses to its customer's cancellations."""
    forged: set[str] = field(default_factory=set)
    stored: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Each order as it was last written, as plain values."""
    labels: dict[str, str] = field(default_factory=dict)
    """Order id → its label in the trace."""
    cancel_after: timedelta | None = None
    """After how long the reconciler must cancel an order that is still open; None for never."""
    _sent: list[_Sent] = field(default_factory=list)
    _claims: dict[str, dict[str, float]] = field(default_factory=dict)
    """Order id → the invocations that claimed the right to notify its customer, and until when."""
    _closed_for: dict[Process, set[str]] = field(default_factory=dict)
    _orders_of_key: dict[str, set[str]] = field(default_factory=dict)
    _created: Counter[str] = field(default_factory=Counter)

    rejected: set[tuple[str, str]] = field(default_factory=set)
    _wrote: set[Process] = field(default_factory=set)
    _settled_for: dict[Process, set[str]] = field(default_factory=dict)
    """Orders that were settled when an invocation began, and have been ever since."""
    _must_publish: dict[Process, set[str]] = field(default_factory=dict)
    """Orders whose next event an invocation must publish, or else fail."""
    _found_ended: dict[Process, set[str]] = field(default_factory=dict)
    """Orders that an invocation reconciled though they had ended: it may close them, and nothing else."""
    _reconciled: dict[Process, dict[str, str]] = field(default_factory=dict)
    """By run of the reconciler, the orders that it reconciled, each with the event that it may publish of it."""

    def broken(self, what: str) -> None:
        self.violations.append(what)

    # --- effects --------------------------------------------------------------------------------------------------

    def wrote(self, table: str, before: Item | None, after: Item) -> None:
        """A table stored an item."""
        if table == LEDGER:
            self._check_ledger(None if before is None else from_item(before), from_item(after))
            return
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
        if not _is_settled(new):  # cancelled after the charge: an invocation that sees this requests the refund
            for settled in self._settled_for.values():
                settled.discard(order_id)
        if old != new:
            self._check_open(order_id, "changes it")
        self._check_change(order_id, old, new)
        if old.get("attempt", 1) != new.get("attempt", 1):
            reconciled = self._found_ended if _has_ended(new) else self._must_publish
            reconciled.setdefault(process, set()).add(order_id)
            self._may_publish(process, order_id, new)
            self._check_deadline(process, order_id, new)
        if "cancellation" in new and "cancellation" not in old:
            self._check_reason(process, order_id, new)
            self._may_publish(process, order_id, new)
        claims = self._claims.setdefault(order_id, {})
        claims.update(dict.fromkeys(_owners(old), self.world.now))
        claims.update(dict.fromkeys(_owners(new), inf))

    def _may_publish(self, process: Process, order_id: str, order: Mapping[str, Any]) -> None:
        """A run of the reconciler may publish this order's last own event from now on."""
        if process in self._reconciled:
            event = "OrderCancelledEvent" if "cancellation" in order else "OrderPlacedEvent"
            self._reconciled[process][order_id] = event

    def _check_reason(self, process: Process, order_id: str, order: Mapping[str, Any]) -> None:
        """Only the reconciler cancels an order for its deadline, and only once that has passed."""
        timed_out = order["cancellation"].get("reason") == "timed_out"
        if timed_out != (process in self._reconciled):
            self.broken(f"{process.name} cancelled order {order_id} with the reason of another")
        if timed_out and not (self.cancel_after and self._latest_now() >= self._deadline(order, self.cancel_after)):
            self.broken(f"order {order_id} timed out before its deadline")

    def _check_deadline(self, process: Process, order_id: str, order: Mapping[str, Any]) -> None:
        """A run that began after the deadline must not leave an order open that it could have cancelled."""
        if not self.cancel_after or {"cancellation", "fulfillment"} & order.keys():
            return
        earliest = START + timedelta(seconds=process.started - LARGEST_SKEW_SECONDS)
        failed = order.get("payment", {}).get("status") == "FAILED"
        if not failed and clock.timestamp(earliest) > self._deadline(order, self.cancel_after):
            self.broken(f"{process.name} left order {order_id} open after its deadline")

    @staticmethod
    def _deadline(order: Mapping[str, Any], cancel_after: timedelta) -> str:
        return clock.timestamp(clock.moment(order["placedAt"]) + cancel_after)

    def _check_ledger(self, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> None:
        """The payment provider responded to a request."""
        order_id = new["reference"]
        self._check_gateway(order_id)
        self.ledger[new["idempotencyKey"]] = new
        before = old or {}
        if before.get("state") != new["state"] and (before.get("state"), new["state"]) not in _PROVIDER_STATES:
            self.broken(f"the provider's row of order {order_id} went from {before.get('state')} to {new['state']}")
        for name in _REMEMBERED:
            if name in before and before[name] != new.get(name):
                self.broken(f"the provider forgot the {name} of order {order_id}")
        if new["refunds"] > new["charges"] or (new["state"] == "VOIDED" and new["charges"]):
            self.broken(f"order {order_id} was refunded or voided against its charges: {new}")
        charges, refunds = self._money(order_id)
        if charges > 1 or refunds > 1:
            self.broken(f"order {order_id} was charged {charges} times and refunded {refunds} times")
        if new["charges"] > before.get("charges", 0):
            self._check_open(order_id, "charges it")

    def _money(self, order_id: str) -> tuple[int, int]:
        """The charges and refunds of an order, under all its keys."""
        rows = [row for row in self.ledger.values() if row["reference"] == order_id]
        return sum(row["charges"] for row in rows), sum(row["refunds"] for row in rows)

    def _check_gateway(self, order_id: str) -> None:
        """The provider is called for an order only while it is open, and its payment not settled."""
        process = self.world.process
        self._check_open(order_id, "calls the gateway")
        if order_id in self._settled_for.get(process, ()):
            self.broken(f"order {order_id} was settled when {process.name} began, which calls the gateway again")

    def _check_money(self, order_id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """The payment and the refund of an order must match the provider's."""
        charges, refunds = self._money(order_id)
        payment, refund = new.get("payment"), new.get("refund")
        if payment and payment != old.get("payment"):
            expected = {"COMPLETED": 1, "FAILED": 0, "VOIDED": 0}[payment["status"]]
            if charges != expected:
                self.broken(f"order {order_id} has the payment {payment['status']}, and was charged {charges} times")
            if payment["status"] == "VOIDED" and "cancellation" not in new:
                self.broken(f"order {order_id} is voided and not cancelled")
            if payment["status"] == "FAILED" and "cancellation" in new:
                self.broken(f"order {order_id} is cancelled and its payment failed")
        if refund and refund != old.get("refund"):
            if refunds != 1 or (payment or {}).get("status") != "COMPLETED":
                self.broken(f"order {order_id} has a refund, the payment {payment}, and was refunded {refunds} times")
            if (refund["amount"], refund["currency"]) != (new["totalAmount"], new["currency"]):
                self.broken(f"order {order_id} has a refund of {refund['amount']}")

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
        if "fulfillment" in new and "cancellation" in new:
            self.broken(f"order {order_id} is shipped and cancelled")
        self._check_money(order_id, old, new)
        history = old.get("statusHistory", [])
        if new.get("statusHistory", [])[: len(history)] != history:
            self.broken(f"order {order_id} had its history changed")
        if "dueAt" in old and "dueAt" not in new and not _has_ended(new):
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
            run = self._reconciled.get(self.world.process)
            if run is not None and order_id not in run:
                self.broken(f"{self.world.process.name} publishes order {order_id}, which another run reconciled")
            elif run is not None and run[order_id] != envelope["detail-type"]:
                self.broken(f"{self.world.process.name} publishes {envelope['detail-type']}, not {run[order_id]}")
            if order_id in self._found_ended.get(self.world.process, ()):
                self.broken(f"{self.world.process.name} publishes order {order_id}, which it found ended")

    def sent(self, message: SentMessage) -> None:
        process = self.world.process
        if any(sent.by is process and sent.message == message for sent in self._sent):
            self.broken(f"{process.name} sends the {message.channel} of order {message.order_id} a second time")
        self._sent.append(_Sent(message, process, len(process.faults)))
        self._check_open(message.order_id, f"sends its {message.channel}")

    def check_text(self, order_id: str, text: str) -> None:
        """A message must say how the order ended, and nothing else."""
        told = {outcome for outcome, words in _WORDS.items() if words in text.lower()}
        order = self.stored[order_id]
        failed = {"payment"} if order.get("payment", {}).get("status") == "FAILED" else set()
        true = {"fulfillment", "cancellation"} & order.keys() | failed
        if told != true:
            self.broken(f"order {order_id} has {sorted(true)}, and its customer gets a message about {sorted(told)}")

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
        self._settled_for[process] = {item["orderId"]["S"] for item in items if _is_settled(from_item(item))}
        if topology.trigger(function) == "schedule":
            self._reconciled[process] = {}
        if function in _PUBLISHING_CONSUMERS:
            self._must_publish[process] = {item["orderId"]["S"] for item in items if not _has_ended(from_item(item))}

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

    def succeeded(self, process: Process, events: Iterable[Envelope], function: str) -> None:
        """An invocation succeeded for these events."""
        for event in events:
            if event.get("id") in self.forged and function not in _RECORDERS:
                self.broken(f"{process.name} accepted the forged {event.get('detail-type')}")
        for order_id in sorted(self._must_publish.get(process, ())):
            order = self.stored[order_id]
            quietly = function in _PUBLISHING_CONSUMERS and _ends_quietly(function, order)
            if not _has_ended(order) and not quietly:
                self.broken(f"{process.name} succeeded, and did not publish the event of order {order_id}")
        self._forget(process)

    def _forget(self, process: Process) -> None:
        for known in (self._closed_for, self._settled_for, self._must_publish, self._found_ended, self._reconciled):
            known.pop(process, None)

    def retries(self, process: Process, fault: FaultKind) -> None:
        """A call succeeded with a partial failure, which the process may retry, but not without end."""
        if process.faults.count(fault) > _MOST_RETRIES:
            self.broken(f"{process.name} retries without end: {fault.value}")

    @staticmethod
    def used_up_retries(process: Process) -> bool:
        """Whether so many partial failures struck that the retries of `orders.aws.backoff` may be used up."""
        return any(sum(process.faults.count(fault) for fault in kinds) >= ATTEMPTS for kinds in _PARTIAL_FAILURES)

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

    def cancellation_responded(self, process: Process, response: Mapping[str, Any], order_id: str) -> None:
        """The API responded to its customer's `POST /orders/{orderId}/cancellation`."""
        status, order = response["statusCode"], self.stored[order_id]
        if status >= 500 and not process.excused:
            self.broken(f"{process.name} got a {status}, though nothing went wrong")
        if status < 500 and status not in {200, 202, 409}:
            self.broken(f"{process.name} got a {status} for the cancellation of its order")
        if status < 500 and ("cancellation" in order) != (status != 409):
            self.broken(f"{process.name} got a {status}, and order {order_id} has {order.get('cancellation')}")
        if status == 200 and _cancelled_by(process, order):
            self.broken(f"{process.name} got a 200, as if another request had cancelled its order")
        self.cancellations.setdefault(order_id, set()).add(status)

    def cancelled_for_a_stranger(self, process: Process, order_id: str) -> None:
        """A request of another customer to cancel the order has ended."""
        if _cancelled_by(process, self.stored[order_id]):
            self.broken(f"{process.name} cancelled the order of another customer")

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


def _has_ended(order: Mapping[str, Any]) -> bool:
    """Whether the status of an order is final and its customer was notified."""
    voided = order["status"] == "CANCELLED" and order.get("payment", {}).get("status") == "VOIDED"
    return (order["status"] in _FINAL or voided) and "notification" in order


def _is_settled(order: Mapping[str, Any]) -> bool:
    """Whether the provider has nothing to do for an order any more."""
    if "cancellation" in order:
        return "refund" in order or order.get("payment", {}).get("status") == "VOIDED"
    return "payment" in order


def _ends_quietly(function: str, order: Mapping[str, Any]) -> bool:
    """Whether a step has nothing to publish: the order is voided, or it is cancelled and the step would ship it."""
    if "cancellation" not in order:
        return False
    return "PaymentRefundedEvent" not in flow.publishes(function) or order.get("payment", {}).get("status") == "VOIDED"


_PARTIAL_FAILURES = ({FaultKind.ENTRY_FAILED}, {FaultKind.KEYS_LEFT_OUT, FaultKind.PART_LEFT_OUT})
"""Failures inside of a call that succeeds, by call: the code retries these, and the SDK does not."""
_MOST_RETRIES = 20
_AFTER_SENDING = {FaultKind.CRASH_AFTER, FaultKind.HANGS_AFTER, FaultKind.LOST}


def _cancelled_by(process: Process, order: Mapping[str, Any]) -> bool:
    return bool(order.get("cancellation", {}).get("requestId") == request_id(process.name))


def request_id(name: str) -> str:
    """The id of the API request that a process of this name handles."""
    return f"request {name}"


def _owners(order: Mapping[str, Any]) -> list[str]:
    """Names of the invocations that hold a claim of the order."""
    return [order[claim]["owner"].partition("/")[0] for claim in ("emailClaim", "smsClaim") if claim in order]
