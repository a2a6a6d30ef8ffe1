"""OrderStatusUpdater: each event that an order's step publishes ─▶ the order's status

PaymentCompletedEvent, PaymentFailedEvent, FulfillmentCompletedEvent, OrderCancelledEvent and PaymentRefundedEvent.
"""

from handlers.edge import consumer
from handlers.wiring import store
from orders.choreography import update_status
from orders.events import StatusEvent


@consumer
def handler(event: StatusEvent) -> None:
    update_status(event, store())
