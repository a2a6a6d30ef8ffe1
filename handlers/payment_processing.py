"""PaymentProcessing: OrderPlacedEvent ─▶ PaymentCompletedEvent | PaymentFailedEvent

OrderCancelledEvent ─▶ PaymentRefundedEvent, where the card was charged
"""

from handlers.edge import consumer
from handlers.wiring import bus, gateway, store
from orders.choreography import settle, take_payment
from orders.events import OrderCancelledEvent, OrderPlacedEvent


@consumer
def handler(event: OrderPlacedEvent | OrderCancelledEvent) -> None:
    if isinstance(event, OrderPlacedEvent):
        result = take_payment(event, store(), gateway())
    else:
        result = settle(event, store(), gateway())
    if result:
        bus().publish(result)
