"""Every error that this code itself raises, in one tree.

    OrderProcessingError
    ├── MalformedEvent           no model accepts the event
    ├── MalformedOrder           the table has an order that the model can't read
    ├── OrderNotFound            the event, or the caller, names an order that does not exist
    ├── EventContradictsOrder    the event does not match the stored order
    ├── GatewayUnavailable       the payment gateway does not respond
    ├── GatewayContradictsOrder  the payment gateway disagrees with the stored order
    ├── PublishFailed            EventBridge did not accept the event
    ├── ReadIncomplete           DynamoDB left out some of the orders that were asked for
    ├── MessageRejected          SES or SNS will never deliver this message
    │   └── UndeliverableAddress because SES can't send to such an e-mail address
    ├── NotifierUnavailable      SES or SNS does not accept this message for now
    ├── ClaimedByAnother         another invocation is notifying the customer right now
    ├── IdempotencyKeyReused     the key belongs to another order
    ├── TooLateToCancel          the order was shipped, or its payment failed
    ├── UnknownProduct           the catalogue has no such product
    └── ReconciliationIncomplete some orders could not be reconciled

A declined card is none of these: it is an event. AWS's own errors (throttling, a time-out) pass through as botocore's
exceptions, and Lambda or SQS retries them like any error here.
"""

from collections.abc import Sequence


class OrderProcessingError(Exception):
    """Base of all errors that the code raises."""


class MalformedEvent(OrderProcessingError):
    """No model accepts the event. Retries don't help; the dead-letter queue keeps the event with this reason."""


class MalformedOrder(OrderProcessingError):
    """Somebody else wrote to the table. Retries don't help; the dead-letter queue keeps the event."""


class OrderNotFound(OrderProcessingError):
    """No such order. The API responds with 404. For an event, retries don't help; the dead-letter queue keeps it."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"there is no order {order_id}")


class EventContradictsOrder(OrderProcessingError):
    """The order is the truth: nothing is changed, and the dead-letter queue keeps the event with this reason."""


class GatewayUnavailable(OrderProcessingError):
    """Lambda retries twice, then the dead-letter queue keeps the event. The reconciler republishes the order."""


class GatewayContradictsOrder(OrderProcessingError):
    """Nothing is changed, the order stays open and the dead-letter queue keeps the event for an operator."""


class PublishFailed(OrderProcessingError):
    """Lambda retries the event's consumer. OrderService does not fail: the reconciler publishes the stored order."""


class ReadIncomplete(OrderProcessingError):
    """DynamoDB is throttled, and our own retries are used up. The API responds with 500; the customer tries later."""


class MessageRejected(OrderProcessingError):
    """Nothing retries: the rejection is recorded on the order and counted, and the order closes."""


class UndeliverableAddress(MessageRejected):
    """The API refuses a new order with 422. An order that was stored before ends like any rejected message."""


class NotifierUnavailable(OrderProcessingError):
    """SQS delivers the message again, and finally moves it to the dead-letter queue."""


class ClaimedByAnother(OrderProcessingError):
    """SQS delivers the message again; by then the other invocation has recorded its receipt or its claim is stale."""


class IdempotencyKeyReused(OrderProcessingError):
    """The API responds with 422; the caller uses a new key."""


class TooLateToCancel(OrderProcessingError):
    """The API responds with 409; the customer returns the parcel, or has nothing to pay anyway."""


class UnknownProduct(OrderProcessingError):
    """The API responds with 422; the caller checks the catalogue. `positions` are the unknown lines' own, from 0."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__(f"the catalogue does not have the products in the lines {', '.join(map(str, positions))}")
        self.positions = positions


class ReconciliationIncomplete(OrderProcessingError):
    """The next run, a minute later, reconciles the rest; the alarm on the function's errors informs the operator."""
