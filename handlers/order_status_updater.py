"""OrderStatusUpdater: PaymentCompletedEvent | PaymentFailedEvent | FulfillmentCompletedEvent ─▶ the order's status"""

from handlers.edge import consumes
from handlers.wiring import store
from orders.choreography import move_status
from orders.events import FulfillmentCompletedEvent, PaymentCompletedEvent, PaymentFailedEvent


@consumes(PaymentCompletedEvent, PaymentFailedEvent, FulfillmentCompletedEvent)
def handler(event: PaymentCompletedEvent | PaymentFailedEvent | FulfillmentCompletedEvent) -> None:
    move_status(event, store())
