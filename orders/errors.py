"""Everything that can go wrong by itself, in one tree.

    OrderProcessingError
    ├── MalformedEvent           the event is not one that we know
    ├── MalformedOrder           the table holds an order that we can't read
    ├── OrderNotFound            the event, or the caller, names an order that does not exist
    ├── EventContradictsOrder    the event tells of something that the order does not bear out
    ├── GatewayUnavailable       the payment gateway is down
    ├── PublishFailed            EventBridge did not take the event
    ├── ReadIncomplete           DynamoDB left out a part of what was asked for
    ├── MessageRejected          SES or SNS will never deliver this message
    │   └── UndeliverableAddress because SES can't take such an e-mail address
    ├── PostUnavailable          SES or SNS does not take this message for now
    ├── ClaimedByAnother         someone else is telling the customer right now
    ├── IdempotencyKeyReused     the key belongs to another order
    ├── UnknownProduct           the catalogue does not have what is ordered
    └── ReconciliationIncomplete some orders could not be taken up

A declined card is none of these: it is an event. What AWS itself raises (throttling, a time-out) passes through as
botocore's own exception; Lambda or SQS retries it like any error here.
"""

from collections.abc import Sequence


class OrderProcessingError(Exception):
    """Base of all errors that the business raises."""


class MalformedEvent(OrderProcessingError):
    """No model accepts the event. Lambda retries in vain; the dead-letter queue keeps it with this reason."""


class MalformedOrder(OrderProcessingError):
    """Somebody else wrote to the table. Retries are in vain; the dead-letter queue keeps the event."""


class OrderNotFound(OrderProcessingError):
    """No such order. The API answers 404; for an event, retries are in vain and the dead-letter queue keeps it."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"there is no order {order_id}")


class EventContradictsOrder(OrderProcessingError):
    """The order is the truth: nothing is changed, and the dead-letter queue keeps the event with this reason."""


class GatewayUnavailable(OrderProcessingError):
    """Lambda retries twice; then the dead-letter queue keeps the event and the reconciler starts the order anew."""


class PublishFailed(OrderProcessingError):
    """Lambda retries an event's consumer. OrderService does not fail: the order is kept, the reconciler publishes."""


class ReadIncomplete(OrderProcessingError):
    """DynamoDB is throttled, and our own retries are used up. The API answers 500; the customer tries again later."""


class MessageRejected(OrderProcessingError):
    """Nobody retries: the rejection is recorded on the order, counted, and the order closes."""


class UndeliverableAddress(MessageRejected):
    """The API refuses a new order with 422. An order that was stored before ends like any rejected message."""


class PostUnavailable(OrderProcessingError):
    """SQS delivers the message again, and at last puts it into the dead-letter queue."""


class ClaimedByAnother(OrderProcessingError):
    """SQS delivers the message again; by then the other one has recorded its success or its claim is stale."""


class IdempotencyKeyReused(OrderProcessingError):
    """The API answers 422; the caller takes a new key."""


class UnknownProduct(OrderProcessingError):
    """The API answers 422; the caller looks into the catalogue. `positions` are those of the unknown lines."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__(f"there are no such products as in the lines {', '.join(map(str, positions))}")
        self.positions = positions


class ReconciliationIncomplete(OrderProcessingError):
    """The next run, a minute later, takes up the rest; the alarm on the function's errors tells the operator."""
