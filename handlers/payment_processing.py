"""PaymentProcessing: OrderPlacedEvent ─▶ PaymentCompletedEvent | PaymentFailedEvent"""

from handlers.edge import consumes
from handlers.wiring import bus, gateway, store
from orders.choreography import take_payment
from orders.events import OrderPlacedEvent


@consumes(OrderPlacedEvent)
def handler(placed: OrderPlacedEvent) -> None:
    outcome = take_payment(placed, store(), gateway())
    if outcome:
        bus().publish(outcome)
