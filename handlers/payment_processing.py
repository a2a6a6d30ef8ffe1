"""PaymentProcessing: OrderPlacedEvent ─▶ PaymentCompletedEvent | PaymentFailedEvent"""

from handlers.edge import consumer
from handlers.wiring import bus, gateway, store
from orders.choreography import take_payment
from orders.events import OrderPlacedEvent


@consumer
def handler(placed: OrderPlacedEvent) -> None:
    paid_or_failed = take_payment(placed, store(), gateway())
    if paid_or_failed:
        bus().publish(paid_or_failed)
