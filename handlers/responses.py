"""The API's responses, one model each. The JSON and its schemas in docs/openapi.json are made from the models."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AliasGenerator,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticSerializationError, to_json

from orders.events import Id, Text, Timestamp
from orders.model import Channel, Status
from orders.money import Currency, MinorUnits

PROBLEMS = {
    "bad-idempotency-key": 400,
    "not-json": 400,
    "repeated-key": 400,
    "email-not-verified": 403,
    "not-an-id-token": 403,
    "order-not-found": 404,
    "too-late": 409,
    "body-too-large": 413,
    "unsupported-media-type": 415,
    "idempotency-key-reused": 422,
    "undeliverable-email": 422,
    "validation-failed": 422,
    "internal": 500,
}
"""A problem's name, which is the end of its type → its HTTP status."""

TITLES = {  # RFC 9110's; Python's own differ from version to version
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    500: "Internal Server Error",
}
"""HTTP status → a problem's title."""

T = TypeVar("T")


def problem_type(name: str) -> str:
    """A problem's URI, such as `urn:order-processing:problem:order-not-found`."""
    return f"urn:order-processing:problem:{name}"


def _is_none(value: object) -> bool:
    return value is None


def _null_if_invalid(value: object, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        valid = validate(value)
        to_json(valid)  # a lone surrogate is a valid str, but not valid JSON
    except (ValidationError, PydanticSerializationError):
        return None
    return valid


AbsentIfNone = Annotated[T | SkipJsonSchema[None], Field(exclude_if=_is_none)]
"""A field that the response leaves out while it isn't known."""
NullIfInvalid = Annotated[T | None, WrapValidator(_null_if_invalid)]
"""A field that is null if the stored value has another type or isn't JSON: others may have written to the table."""


class Response(BaseModel):
    """Made from an object's attributes; camelCase in JSON."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        from_attributes=True,
        alias_generator=AliasGenerator(serialization_alias=to_camel),
        serialize_by_alias=True,
    )


class ProductResponse(Response):
    """One product. Its price is in minor units (cents)."""

    sku: Text
    name: Text
    unit_price: MinorUnits
    currency: Currency


class ProductsResponse(Response):
    """The shop's products."""

    products: tuple[ProductResponse, ...]


class LineResponse(Response):
    """One line of an order, with the unit price at the time of ordering, in minor units (cents)."""

    sku: Text
    name: Text
    quantity: Annotated[int, Field(ge=1)]
    unit_price: MinorUnits


class PaymentResponse(Response):
    """The order's payment. `reason` says why it failed. A voided payment was never made and has no id."""

    payment_id: AbsentIfNone[Text] = None
    status: Literal["COMPLETED", "FAILED", "VOIDED"]
    reason: AbsentIfNone[Text] = None


class FulfillmentResponse(Response):
    """The order's parcel."""

    tracking_id: Text
    carrier: Text


class CancellationResponse(Response):
    """The cancellation: when the order was cancelled."""

    at: Annotated[Timestamp, Field(validation_alias="occurred_at")]


class RefundResponse(Response):
    """The refund: the whole amount that was charged, in minor units (cents)."""

    refund_id: Text
    amount: MinorUnits
    currency: Currency
    at: Annotated[Timestamp, Field(validation_alias="occurred_at")]


class NotificationResponse(Response):
    """The e-mail to the customer: its message id, or why it was rejected. The address is never shown."""

    channel: Channel
    at: Timestamp
    message_id: AbsentIfNone[str] = None
    rejection: AbsentIfNone[str] = None


class StatusChangeResponse(Response):
    """A status, the time of the event that led to it, and that event's `metadata.eventId`."""

    status: Status
    at: Timestamp
    event_id: Id


class OrderResponse(Response):
    """An order as its customer sees it, without e-mail address or phone number. Amounts are in minor units."""

    order_id: Id
    status: Status
    items: tuple[LineResponse, ...]
    total_amount: MinorUnits
    currency: Currency
    payment_method: Text
    placed_at: Timestamp
    payment: AbsentIfNone[PaymentResponse] = None
    fulfillment: AbsentIfNone[FulfillmentResponse] = None
    cancellation: AbsentIfNone[CancellationResponse] = None
    refund: AbsentIfNone[RefundResponse] = None
    notification: AbsentIfNone[NotificationResponse] = None
    status_history: tuple[StatusChangeResponse, ...]


class OrdersResponse(Response):
    """A page of the caller's orders, newest first. `nextToken` is null on the last page."""

    orders: tuple[OrderResponse, ...]
    next_token: str | None


class EventResponse(BaseModel):
    """A published event, as stored in the audit log. A field that the log doesn't have is null."""

    # Made from the stored item.
    model_config = ConfigDict(
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        serialize_by_alias=True,
        json_schema_extra={"additionalProperties": False},  # in the response; the stored item may have more
        json_schema_serialization_defaults_required=True,
    )

    event_id: str
    event_type: NullIfInvalid[str] = None
    timestamp: str
    source: NullIfInvalid[str] = None
    domain_event_id: NullIfInvalid[str] = None
    correlation_id: NullIfInvalid[str] = None
    causation_id: NullIfInvalid[str] = None
    attempt: NullIfInvalid[int] = None
    data: Annotated[NullIfInvalid[JsonValue], Field(validation_alias=AliasPath("detail", "data"))] = None


class EventsResponse(Response):
    """The order's audit trail, oldest event first."""

    events: tuple[EventResponse, ...]


class TicketResponse(Response):
    """A ticket opens one WebSocket for the order's events, once, until `expiresAt`; `url` contains the ticket."""

    ticket: Text
    expires_at: Timestamp
    url: Text


class ErrorResponse(Response):
    """One error in the request: where it is, such as `["items", 0, "sku"]`, and what is wrong."""

    loc: tuple[int | str, ...]
    msg: str


class ProblemResponse(Response):
    """An error in the form of RFC 9457. `errors` is present if the request failed validation."""

    type: Annotated[str, Field(json_schema_extra={"enum": [problem_type(name) for name in PROBLEMS]})]
    title: Annotated[str, Field(json_schema_extra={"enum": [*TITLES.values()]})]
    status: Annotated[int, Field(json_schema_extra={"enum": [*TITLES]})]
    detail: str
    errors: AbsentIfNone[tuple[ErrorResponse, ...]] = None
