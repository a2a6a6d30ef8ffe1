"""The six events on the bus, each a fact about one order.

A class's name is EventBridge's `detail-type`, `source` names the publisher, and `preconditions` lists the values that
the stored order must have to match the event. A consumer ignores fields that it does not know.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import uuid4

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from orders import clock
from orders.errors import MalformedEvent
from orders.money import Currency, MinorUnits


def _must_be_a_moment(value: str) -> str:
    if not clock.is_timestamp(value):
        raise PydanticCustomError("timestamp", "must be a time in UTC with milliseconds, like 2026-01-31T09:30:00.123Z")
    return value


_ID_FORM = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"

Id = Annotated[str, Field(pattern=f"^{_ID_FORM}$")]
"""A UUID in the 36-character form."""
Timestamp = Annotated[str, AfterValidator(_must_be_a_moment)]
"""UTC with milliseconds, such as `2026-01-31T09:30:00.123Z`."""
Text = Annotated[str, Field(min_length=1)]
"""Any text but an empty one."""


def new_id() -> str:
    """A new random UUID."""
    return str(uuid4())


def is_id(value: object) -> bool:
    """Whether a value is a UUID in the 36-character form."""
    return isinstance(value, str) and re.fullmatch(_ID_FORM, value) is not None


class Frozen(BaseModel):
    """A model that never changes: camelCase in JSON, snake_case in Python, and no coercion: `"2"` is not a number."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,  # errors are logged, and an order holds an e-mail address
    )


class Line(Frozen):
    """One line of an order, with the name and price (minor units) at the time of ordering."""

    sku: Text
    name: Text
    quantity: Annotated[int, Field(ge=1)]
    unit_price: MinorUnits


class Metadata(Frozen):
    """The metadata of every event."""

    event_id: Id
    """The same for every publication of the same fact."""
    version: Literal["1"] = "1"
    occurred_at: Timestamp
    correlation_id: Text
    """The id of the API request that placed the order."""
    causation_id: Id | None = None
    """`event_id` of the event that led to this one; None for one that no event led to."""
    attempt: Annotated[int, Field(ge=1)] = 1
    """1 plus the number of times the reconciler has republished the order."""


class EventData(Frozen):
    """The data of every event: at least its order's id."""

    order_id: Id


class Event(Frozen):
    """A fact about one order: the `detail` of an EventBridge event."""

    source: ClassVar[str]

    metadata: Metadata
    data: EventData

    @classmethod
    def detail_type(cls) -> str:
        """EventBridge's `detail-type`."""
        return cls.__name__

    @property
    def order_id(self) -> str:
        """The id of the order that the event is about."""
        return self.data.order_id

    def preconditions(self) -> Mapping[str, Any]:
        """The values that the stored order must have: path of the attribute, such as `payment.status` → value."""
        raise NotImplementedError

    def _stored_as(self, result: str) -> Mapping[str, Any]:
        """The event's own id, time and cause: the step that published it stored them with its result."""
        return {
            f"{result}.eventId": self.metadata.event_id,
            f"{result}.occurredAt": self.metadata.occurred_at,
            f"{result}.causationId": self.metadata.causation_id,
        }

    @classmethod
    def read(cls, detail: object) -> Self:
        """The event in a `detail`. Raises MalformedEvent, which names each field that is wrong."""
        try:
            return cls.model_validate(detail, by_alias=True, by_name=False)
        except ValidationError as error:
            reasons = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'detail'}: {e['msg']}" for e in error.errors())
            raise MalformedEvent(f"{cls.detail_type()}: {reasons}") from error


class OrderPlaced(EventData):
    customer_id: Text
    items: Annotated[tuple[Line, ...], Field(min_length=1, strict=False)]
    total_amount: MinorUnits
    currency: Currency
    payment_method: Text


class OrderPlacedEvent(Event):
    """The customer placed an order."""

    source = "order-processing.orders"

    data: OrderPlaced

    def preconditions(self) -> Mapping[str, Any]:
        return {
            "customerId": self.data.customer_id,
            "totalAmount": self.data.total_amount,
            "currency": self.data.currency,
            "paymentMethod": self.data.payment_method,
            "items": [line.model_dump(by_alias=True) for line in self.data.items],
            "statusHistory[0].eventId": self.metadata.event_id,
            "statusHistory[0].at": self.metadata.occurred_at,
        }


class PaymentCompleted(EventData):
    payment_id: Text
    """The payment provider's own id."""
    total_amount: MinorUnits
    currency: Currency


class PaymentCompletedEvent(Event):
    """The card was charged."""

    source = "order-processing.payment"

    data: PaymentCompleted

    def preconditions(self) -> Mapping[str, Any]:
        return {
            "payment.status": "COMPLETED",
            "payment.paymentId": self.data.payment_id,
            "totalAmount": self.data.total_amount,
            "currency": self.data.currency,
            **self._stored_as("payment"),
        }


class PaymentFailed(EventData):
    payment_id: Text
    total_amount: MinorUnits
    currency: Currency
    reason: Text


class PaymentFailedEvent(Event):
    """The card was declined."""

    source = "order-processing.payment"

    data: PaymentFailed

    def preconditions(self) -> Mapping[str, Any]:
        return {
            "payment.status": "FAILED",
            "payment.paymentId": self.data.payment_id,
            "payment.reason": self.data.reason,
            "totalAmount": self.data.total_amount,
            "currency": self.data.currency,
            **self._stored_as("payment"),
        }


class FulfillmentCompleted(EventData):
    tracking_id: Text
    carrier: Text


class FulfillmentCompletedEvent(Event):
    """The parcel is on its way."""

    source = "order-processing.fulfillment"

    data: FulfillmentCompleted

    def preconditions(self) -> Mapping[str, Any]:
        return {
            "fulfillment.trackingId": self.data.tracking_id,
            "fulfillment.carrier": self.data.carrier,
            **self._stored_as("fulfillment"),
        }


class OrderCancelled(EventData):
    customer_id: Text
    reason: Text
    """`customer_request`, or `timed_out` where the order stayed open for too long."""


class OrderCancelledEvent(Event):
    """The order was cancelled before it was shipped. This event may overtake earlier ones, even OrderPlacedEvent."""

    source = "order-processing.orders"

    data: OrderCancelled

    def preconditions(self) -> Mapping[str, Any]:
        return {
            "customerId": self.data.customer_id,
            "cancellation.reason": self.data.reason,
            "cancellation.eventId": self.metadata.event_id,
            "cancellation.occurredAt": self.metadata.occurred_at,
        }


class PaymentRefunded(EventData):
    payment_id: Text
    """The charge that was refunded; its PaymentCompletedEvent may never have been published."""
    refund_id: Text
    """The payment provider's own id."""
    total_amount: MinorUnits
    currency: Currency


class PaymentRefundedEvent(Event):
    """A cancelled order's charge was refunded in full."""

    source = "order-processing.payment"

    data: PaymentRefunded

    def preconditions(self) -> Mapping[str, Any]:
        return {
            "payment.paymentId": self.data.payment_id,
            "refund.refundId": self.data.refund_id,
            "refund.amount": self.data.total_amount,
            "refund.currency": self.data.currency,
            "totalAmount": self.data.total_amount,
            "currency": self.data.currency,
            **self._stored_as("refund"),
        }


FinalEvent = PaymentFailedEvent | FulfillmentCompletedEvent | OrderCancelledEvent
"""The events that the customer is notified of; an order has exactly one of them."""

StatusEvent = (
    PaymentCompletedEvent | PaymentFailedEvent | FulfillmentCompletedEvent | OrderCancelledEvent | PaymentRefundedEvent
)
"""The events that change an order's status."""

EVENTS: Mapping[str, type[Event]] = {
    event.detail_type(): event
    for event in (
        OrderPlacedEvent,
        PaymentCompletedEvent,
        PaymentFailedEvent,
        FulfillmentCompletedEvent,
        OrderCancelledEvent,
        PaymentRefundedEvent,
    )
}
"""Detail type → class, of the events that are published today."""

VERSIONS: Mapping[str, Mapping[str, type[Event]]] = {"1": EVENTS}
"""`metadata.version` → detail type → class, of every version that was ever published: none is ever removed.

A new optional field changes no version. A new meaning is a new event, or a class under the next version:
docs/architecture.md, "How events evolve".
"""


def decode(envelope: Mapping[str, object]) -> Event:
    """The event in an EventBridge envelope, by its version. Raises MalformedEvent if no model accepts it."""
    detail_type, detail = envelope.get("detail-type"), envelope.get("detail")
    version = _version(detail)
    if version not in VERSIONS:
        raise MalformedEvent(
            f"{detail_type}: metadata.version: {version!r} is none of the versions that this consumer knows"
            f" ({', '.join(VERSIONS)}); deploy the consumers of a version before its producer, then redrive the event"
        )
    events = VERSIONS[version]
    if not isinstance(detail_type, str) or detail_type not in events:
        raise MalformedEvent(f"detail-type is {detail_type!r}; it must be one of {', '.join(events)}")
    return events[detail_type].read(detail)


def _version(detail: object) -> str:
    """`metadata.version` as text, for any detail; "1" where there is none."""
    metadata = detail.get("metadata") if isinstance(detail, dict) else None
    version = metadata.get("version", "1") if isinstance(metadata, dict) else "1"
    return version if isinstance(version, str) else repr(version)
