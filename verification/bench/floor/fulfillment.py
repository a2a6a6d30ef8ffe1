"""Ships every order."""

from handlers.publishing import order_of, publish


def handler(envelope, _context):
    publish("fulfillment", "FulfillmentCompletedEvent", order_of(envelope))
