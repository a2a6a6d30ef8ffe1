"""OrderStatusUpdater: PaymentCompletedEvent | PaymentFailedEvent | FulfillmentCompletedEvent ─▶ the order's status"""

from handlers.edge import consumer
from handlers.wiring import store
from orders.choreography import update_status
from orders.events import FulfillmentCompletedEvent, PaymentCompletedEvent, PaymentFailedEvent


@consumer
def handler(event: PaymentCompletedEvent | PaymentFailedEvent | FulfillmentCompletedEvent) -> None:
    update_status(event, store())
