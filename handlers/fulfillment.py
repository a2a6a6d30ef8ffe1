"""Fulfillment: PaymentCompletedEvent ─▶ FulfillmentCompletedEvent"""

from handlers.edge import consumer
from handlers.wiring import bus, store
from orders.choreography import fulfill
from orders.events import PaymentCompletedEvent


@consumer
def handler(paid: PaymentCompletedEvent) -> None:
    completed = fulfill(paid, store())
    if completed:
        bus().publish(completed)
