"""An order: the request for it, the stored item, and the statuses with their transitions.

    PLACED ──PaymentCompleted──▶ PAID ──FulfillmentCompleted──▶ FULFILLED
       └─────PaymentFailed─────▶ PAYMENT_FAILED

    PLACED, PAID ──OrderCancelled──▶ CANCELLED ──PaymentRefunded──▶ REFUNDED

An order that was never charged stays CANCELLED. PaymentRefunded may overtake OrderCancelled: PLACED, PAID ──▶ REFUNDED.

The stored item has the model's names in camelCase, which are the API's names.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from orders.catalogue import PRODUCTS, PaymentMethod
from orders.errors import EventContradictsOrder, MalformedOrder, UnknownProduct
from orders.events import (
    Event,
    Frozen,
    FulfillmentCompleted,
    FulfillmentCompletedEvent,
    Id,
    Line,
    Metadata,
    OrderCancelled,
    OrderCancelledEvent,
    OrderPlaced,
    OrderPlacedEvent,
    PaymentCompleted,
    PaymentCompletedEvent,
    PaymentFailed,
    PaymentFailedEvent,
    PaymentRefunded,
    PaymentRefundedEvent,
    Text,
    Timestamp,
)
from orders.money import Currency, MinorUnits

Status = Literal["PLACED", "PAID", "PAYMENT_FAILED", "FULFILLED", "CANCELLED", "REFUNDED"]
Channel = Literal["email", "sms"]
CancellationReason = Literal["customer_request", "timed_out"]

FINAL: frozenset[Status] = frozenset({"PAYMENT_FAILED", "FULFILLED", "REFUNDED"})
"""The statuses that no event changes. CANCELLED is final as well once the payment is voided: `Order.is_final`."""

TRANSITIONS: Mapping[type[Event], tuple[Status, frozenset[Status]]] = {
    PaymentCompletedEvent: ("PAID", frozenset({"PLACED"})),
    PaymentFailedEvent: ("PAYMENT_FAILED", frozenset({"PLACED"})),
    # FulfillmentCompleted may overtake PaymentCompleted on the bus; its payment is stored all the same.
    FulfillmentCompletedEvent: ("FULFILLED", frozenset({"PLACED", "PAID"})),
    OrderCancelledEvent: ("CANCELLED", frozenset({"PLACED", "PAID"})),
    # PaymentRefunded may overtake OrderCancelled; its cancellation is stored all the same.
    PaymentRefundedEvent: ("REFUNDED", frozenset({"PLACED", "PAID", "CANCELLED"})),
}
"""Event → the status that it leads to, and the statuses that this one may follow."""


class _Request(BaseModel):
    """A client's request: camelCase only, no coercion, no unknown fields."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", alias_generator=to_camel)


class RequestedLine(_Request):
    """One line of an order, as the client requests it."""

    sku: str
    """Not compared with the catalogue here: a repeated request may name a product that is no longer sold."""
    quantity: Annotated[int, Field(ge=1, le=1000)]


class OrderRequest(_Request):
    """The body of `POST /orders`. It contains no prices: they come from the catalogue."""

    items: Annotated[list[RequestedLine], Field(min_length=1, max_length=50)]
    payment_method: PaymentMethod
    phone: Annotated[str, Field(pattern=r"^\+[1-9][0-9]{1,14}$")] | None = None
    """E.164, such as +4915112345678."""

    @field_validator("items")
    @classmethod
    def _must_name_each_sku_once(cls, items: list[RequestedLine]) -> list[RequestedLine]:
        if len({line.sku for line in items}) < len(items):
            raise PydanticCustomError("repeated_sku", "each SKU may appear only once; add up its quantities")
        return items


class Customer(Frozen):
    """The signed-in caller, as the ID token names them."""

    customer_id: Text
    email: Text


class StatusChange(Frozen):
    """A status, the time since when the order has had it, and the event that led to it."""

    status: Status
    at: Timestamp
    event_id: Id


class _Result(Frozen):
    """A step's result, stored on the order. Its event is built from this alone, so each publication is the same."""

    event_id: Id
    occurred_at: Timestamp
    causation_id: Id


class Payment(_Result):
    """The payment provider's charge or decline, once."""

    payment_id: Text
    """The provider's own id."""
    status: Literal["COMPLETED", "FAILED"]
    reason: Text | None = None
    """Why the payment failed."""


class VoidedPayment(Frozen):
    """The provider charged nothing for a cancelled order, and never will. No event reports it."""

    status: Literal["VOIDED"] = "VOIDED"
    occurred_at: Timestamp
    causation_id: Id
    """The id of the OrderCancelledEvent."""


class Refund(_Result):
    """The payment provider's refund of a cancelled order's charge, once and in full."""

    refund_id: Text
    """The provider's own id."""
    amount: MinorUnits
    currency: Currency


class Cancellation(Frozen):
    """The order will not be shipped. Like a step's result, this has all that its event is built from."""

    event_id: Id
    occurred_at: Timestamp
    reason: CancellationReason
    request_id: Text
    """The id of the API request or of the reconciler's run that cancelled the order."""


class Fulfillment(_Result):
    """The parcel."""

    tracking_id: Text
    carrier: Text


class Receipt(Frozen):
    """How a notification ended: the provider's message id, or why the provider will never deliver the message."""

    channel: Channel
    at: Timestamp
    message_id: str | None = None
    rejection: str | None = None


class Order(Frozen):
    """One order, as stored."""

    order_id: Id
    customer_id: Text
    email: Text | None = None
    phone: str | None = None
    status: Status
    items: Annotated[tuple[Line, ...], Field(min_length=1, strict=False)]
    total_amount: MinorUnits
    currency: Currency
    payment_method: Text
    """The payment provider's token."""
    placed_at: Timestamp
    correlation_id: Text | None = None
    """The id of the API request that placed the order; an order put into the table by hand has none."""
    attempt: Annotated[int, Field(ge=1)] = 1
    """1 plus the number of times the reconciler has republished the order."""
    payment: Annotated[Payment | VoidedPayment, Field(discriminator="status")] | None = None
    fulfillment: Fulfillment | None = None
    cancellation: Cancellation | None = None
    refund: Refund | None = None
    notification: Receipt | None = None
    """The e-mail's receipt: this one closes the order."""
    sms: Receipt | None = None
    status_history: Annotated[tuple[StatusChange, ...], Field(strict=False)] = ()
    due_at: Timestamp | None = None
    """When the reconciler looks at the order next. The order is on the list of open orders until this is gone."""

    @classmethod
    def place(
        cls,
        request: OrderRequest,
        customer: Customer,
        *,
        order_id: str,
        request_id: str,
        at: str,
        due_at: str,
        event_id: str,
    ) -> Self:
        """A new order at the catalogue's prices. Raises UnknownProduct when the catalogue lacks one of its products.

        `at` and `due_at` are timestamps: when it is placed, and when the reconciler first looks at it.
        """
        unknown = [position for position, line in enumerate(request.items) if line.sku not in PRODUCTS]
        if unknown:
            raise UnknownProduct(unknown)
        lines = tuple(
            Line(
                sku=line.sku,
                name=PRODUCTS[line.sku].name,
                quantity=line.quantity,
                unit_price=PRODUCTS[line.sku].unit_price,
            )
            for line in request.items
        )
        return cls(
            order_id=order_id,
            customer_id=customer.customer_id,
            email=customer.email,
            phone=request.phone,
            status="PLACED",
            items=lines,
            total_amount=sum(line.quantity * line.unit_price for line in lines),
            currency=PRODUCTS[lines[0].sku].currency,
            payment_method=request.payment_method,
            placed_at=at,
            correlation_id=request_id,
            due_at=due_at,
            status_history=(StatusChange(status="PLACED", at=at, event_id=event_id),),
        )

    def matches(self, request: OrderRequest) -> bool:
        """Whether this order is what the request asks for; the order of the lines does not count."""
        return (
            sorted((line.sku, line.quantity) for line in self.items)
            == sorted((line.sku, line.quantity) for line in request.items)
            and self.payment_method == request.payment_method
            and self.phone == request.phone
        )

    @property
    def is_final(self) -> bool:
        """Whether no event changes the status any more."""
        return self.status in FINAL or (self.status == "CANCELLED" and self.is_voided)

    @property
    def can_be_cancelled(self) -> bool:
        """Whether the order is neither shipped nor cancelled, and its payment has not failed."""
        failed = isinstance(self.payment, Payment) and self.payment.status == "FAILED"
        return not (self.cancellation or self.fulfillment or failed)

    @property
    def is_voided(self) -> bool:
        """Whether the payment provider charged nothing and never will."""
        return isinstance(self.payment, VoidedPayment)

    @property
    def is_unsettled(self) -> bool:
        """Whether the order is cancelled and the payment neither voided nor refunded yet."""
        return bool(self.cancellation) and not (self.refund or self.is_voided)

    @property
    def is_open(self) -> bool:
        """Whether the status is not final yet, or the customer was not notified yet."""
        return not (self.is_final and self.notification)

    def receipt(self, channel: Channel) -> Receipt | None:
        """The channel's receipt; None when nothing was sent through it."""
        return self.notification if channel == "email" else self.sms

    def verify(self, event: Event) -> None:
        """Raise EventContradictsOrder unless the order matches the event, the event's own id and time included."""
        stored = self.model_dump(mode="json", by_alias=True)
        for path, expected in event.preconditions().items():
            if path.startswith("statusHistory") and not self.status_history:
                continue  # an order put into the table by hand has no id of the event that placed it
            value = _value_at(path, stored)
            if value != expected:
                raise EventContradictsOrder(
                    f"{event.detail_type()} says {path} is {expected!r}; order {self.order_id} says {value!r}"
                )

    def placed_event(self) -> OrderPlacedEvent:
        """The event that placed the order. Raises MalformedOrder for one that was put into the table without it."""
        if not self.status_history:
            raise MalformedOrder(f"order {self.order_id} has no statusHistory, so its event has no id")
        placed = self.status_history[0]
        return OrderPlacedEvent(
            metadata=self._metadata(placed.event_id, placed.at, None),
            data=OrderPlaced(
                order_id=self.order_id,
                customer_id=self.customer_id,
                items=self.items,
                total_amount=self.total_amount,
                currency=self.currency,
                payment_method=self.payment_method,
            ),
        )

    def payment_event(self) -> PaymentCompletedEvent | PaymentFailedEvent:
        """The event of the charge or the decline, which must be stored."""
        payment = self.payment
        assert isinstance(payment, Payment), f"order {self.order_id} was neither charged nor declined"
        metadata = self._metadata(payment.event_id, payment.occurred_at, payment.causation_id)
        completed = PaymentCompleted(
            order_id=self.order_id,
            payment_id=payment.payment_id,
            total_amount=self.total_amount,
            currency=self.currency,
        )
        if payment.reason is None:
            return PaymentCompletedEvent(metadata=metadata, data=completed)
        failed = PaymentFailed(**dict(completed), reason=payment.reason)
        return PaymentFailedEvent(metadata=metadata, data=failed)

    def fulfillment_event(self) -> FulfillmentCompletedEvent:
        """The event of the fulfilment, which must be stored."""
        parcel = self.fulfillment
        assert parcel, f"order {self.order_id} has no fulfilment"
        return FulfillmentCompletedEvent(
            metadata=self._metadata(parcel.event_id, parcel.occurred_at, parcel.causation_id),
            data=FulfillmentCompleted(order_id=self.order_id, tracking_id=parcel.tracking_id, carrier=parcel.carrier),
        )

    def cancelled_event(self) -> OrderCancelledEvent:
        """The event of the cancellation, which must be stored."""
        cancellation = self.cancellation
        assert cancellation, f"order {self.order_id} is not cancelled"
        return OrderCancelledEvent(
            metadata=self._metadata(cancellation.event_id, cancellation.occurred_at, None),
            data=OrderCancelled(order_id=self.order_id, customer_id=self.customer_id, reason=cancellation.reason),
        )

    def refunded_event(self) -> PaymentRefundedEvent:
        """The event of the refund, which must be stored, and with it the payment."""
        refund, payment = self.refund, self.payment
        assert refund, f"order {self.order_id} was not refunded"
        assert isinstance(payment, Payment), f"order {self.order_id} was never charged"
        return PaymentRefundedEvent(
            metadata=self._metadata(refund.event_id, refund.occurred_at, refund.causation_id),
            data=PaymentRefunded(
                order_id=self.order_id,
                payment_id=payment.payment_id,
                refund_id=refund.refund_id,
                total_amount=refund.amount,
                currency=refund.currency,
            ),
        )

    def _metadata(self, event_id: str, occurred_at: str, causation_id: str | None) -> Metadata:
        return Metadata(
            event_id=event_id,
            occurred_at=occurred_at,
            correlation_id=self.correlation_id or self.order_id,
            causation_id=causation_id,
            attempt=self.attempt,
        )


def _value_at(path: str, item: Mapping[str, Any]) -> Any:
    """The value at a path such as `statusHistory[0].eventId`; None when there is none."""
    value: Any = item
    for step in re.findall(r"\w+", path):
        if isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = (value or {}).get(step)
    return value
