"""The ports: the steps' interfaces to the outside, as protocols, and the values that cross them.

The steps in `choreography.py` know these and nothing behind them. `orders/aws` has the adapters, the simulated payment
provider's as well, and `handlers/wiring.py` decides which ones run. An adapter inherits from nothing here: it has the
same methods, and mypy checks that where `handlers` passes it to a step.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, NamedTuple, Protocol

from orders.errors import MalformedOrder, OrderNotFound
from orders.events import Event, PaymentCompletedEvent
from orders.message import Message
from orders.model import Cancellation, Channel, Fulfillment, Order, Payment, Receipt, Refund, VoidedPayment

# --- the orders -------------------------------------------------------------------------------------------------------


class WriteResult(NamedTuple):
    """The order as it is stored now, and whether this write's condition held."""

    order: Order
    applied: bool


class Due(NamedTuple):
    """An open order that the reconciler should look at, as the list of open orders has it; it may lag the order."""

    due_at: str
    order_id: str


class Position(NamedTuple):
    """A place in a customer's list of orders: right after this order."""

    placed_at: str
    order_id: str


class Overdue(NamedTuple):
    """How many orders `reconcile` has found to be late and are still open."""

    open: int
    """Open for over an hour."""
    unsettled: int
    """Of these: cancelled over an hour ago, and the payment neither voided nor refunded."""


class OrdersOfCustomer(NamedTuple):
    """One page of a customer's orders, newest first."""

    orders: Sequence[Order]
    unreadable: Sequence[MalformedOrder | OrderNotFound]
    """The error of each order that this page leaves out."""
    position: Position | None
    """Where the next page starts; None on the last one."""


class OrderStore(Protocol):
    """Where the orders are kept. Every write is conditional: a repeated, late or forged event does no harm.

    Each method raises OrderNotFound when there is no such order, and MalformedOrder when it can't be read.
    """

    def put(self, order: Order) -> WriteResult:
        """Store a new order. `applied` is False, with the stored order, when another request has taken its id."""

    def get(self, order_id: str) -> Order:
        """The order as it is now."""

    def get_all(self, order_ids: Sequence[str]) -> Sequence[Order | MalformedOrder | OrderNotFound]:
        """At most 100 orders as they are now, read together; for one that can't be read, the error.

        Raises ReadIncomplete.
        """

    def of_customer(self, customer_id: str, *, limit: int, start: Position | None = None) -> OrdersOfCustomer:
        """At most `limit` of a customer's orders, newest first. Raises ReadIncomplete."""

    def cancel(self, order_id: str, customer_id: str, cancellation: Cancellation, *, due_at: str) -> WriteResult:
        """Store the cancellation, unless one is stored, if the order is this customer's and can still be cancelled.

        This write and `record_fulfillment` exclude each other: exactly one of the two is applied. The order is then
        due at `due_at`.
        """

    def record_payment(self, order: Order, payment: Payment) -> Order:
        """Store the payment unless one is stored; return the order with the first one.

        A failed payment is not stored on a cancelled order: that one is voided instead.
        """

    def record_void(self, order: Order, voided: VoidedPayment) -> WriteResult:
        """Store that nothing was charged, unless a payment is stored."""

    def record_refund(self, order: Order, payment: Payment, refund: Refund) -> WriteResult:
        """Store payment and refund, unless each is stored, if no other payment than this one is stored."""

    def record_fulfillment(self, paid: PaymentCompletedEvent, fulfillment: Fulfillment) -> WriteResult:
        """Store the fulfilment if the stored payment matches the event and the order is not cancelled.

        The first write wins.
        """

    def advance(self, event: Event) -> WriteResult:
        """Change the status if the order matches the event and `model.TRANSITIONS` allows it."""

    def claim(self, event: Event, channel: Channel, *, owner: str, stale_after: timedelta) -> WriteResult:
        """Reserve the right to notify the customer, if the order matches the event and nobody has it or has used it.

        The same owner may claim again. A claim older than `stale_after` no longer counts.
        """

    def record_receipt(self, order: Order, receipt: Receipt) -> Order:
        """Store how the notification ended and release the claim. The e-mail of a final order closes it."""

    def close(self, order: Order) -> None:
        """Take an order that is no longer open off the list of open orders."""

    def due(self, pool: Executor) -> Iterator[Due]:
        """The open orders whose due time has passed, the oldest due first, read as they are consumed.

        The first page of each part of the list is read at once, by `pool`. An order may come twice.
        """

    def reconcile(self, due: Due, *, next_due: str, late: Literal["open", "unsettled"] | None) -> WriteResult:
        """Count one more attempt and set the next due time, unless another run did so or the order has closed.

        `late` is the number in `overdue` that counts the order.
        """

    def reschedule(self, due: Due, until: str) -> None:
        """Move the due time of an order, unless it has changed meanwhile. The order may be one that can't be read."""

    def overdue(self) -> Overdue:
        """Count the late orders."""


# --- the audit log ----------------------------------------------------------------------------------------------------


class AuditEntry(NamedTuple):
    """One published event. All but the first four, and `detail`, are None when the event doesn't have them."""

    event_id: str
    """EventBridge's id of the publication."""
    timestamp: str
    event_type: str
    source: str
    order_id: str | None
    domain_event_id: str | None
    """`metadata.eventId`: the same for each publication of one fact."""
    correlation_id: str | None
    causation_id: str | None
    attempt: int | None
    detail: object


class AuditLog(Protocol):
    """Every event that was published, stored once and never changed."""

    def add(self, entry: AuditEntry) -> bool:
        """Store the entry; False when it is stored already. Fields that the log can't hold are left out.

        Raises MalformedEvent when one of the first four is such a field.
        """

    def trail(self, order_id: str) -> Sequence[Mapping[str, Any]]:
        """One order's entries as they are stored, oldest first; publications of one fact in the order of attempts."""


# --- payment ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Charged:
    """The card was charged. The ids, here and below, are the provider's own: any text but an empty one."""

    payment_id: str


@dataclass(frozen=True)
class Declined:
    """The card was declined."""

    payment_id: str
    reason: str


@dataclass(frozen=True)
class Voided:
    """Nothing was charged, and nothing ever will be."""


@dataclass(frozen=True)
class Refunded:
    """The card was charged, and the whole charge was refunded."""

    payment_id: str
    refund_id: str


class PaymentGateway(Protocol):
    """A payment provider that decides at once, and that never forgets an idempotency key.

    `reference` is the provider's name for the purchase. Both methods raise GatewayUnavailable when the provider
    does not respond or its response is lost: the step is repeated, with the same key. A provider with *pending*
    payments (a bank transfer, 3-D Secure) needs more than another adapter: see docs/payment-provider.md.
    """

    def charge(
        self, token: str, amount: int, currency: str, *, idempotency_key: str, reference: str
    ) -> Charged | Declined | Voided:
        """Charge `amount` (minor units). Two calls with the same key are one charge, with the same result.

        Voided once `cancel` has voided the key, however late this call arrives. A declined card is a result.
        """

    def cancel(self, *, idempotency_key: str, reference: str) -> Voided | Refunded:
        """Refund the key's charge, in full and once; void the key when nothing was charged with it."""


# --- notification -----------------------------------------------------------------------------------------------------


class Notifier(Protocol):
    """Sends messages to customers. It never retries by itself: a lost response may mean that the message was sent."""

    def can_text(self, phone: str | None) -> bool:
        """Whether this deployment sends text messages to the phone number."""

    def send(self, channel: Channel, order: Order, message: Message) -> str:
        """Send the message and return the provider's id of it.

        Raises MessageRejected when no retry can help, and NotifierUnavailable when one may. The errors' texts name no
        customer, because they are logged.
        """
