"""Takes any order, and says so."""

import json
from uuid import uuid4

from handlers.publishing import publish


def handler(event, _context):
    if event["routeKey"] != "POST /orders":
        return {"statusCode": 200, "body": '{"products": ["anything"]}'}
    order_id = str(uuid4())
    publish("orders", "OrderPlacedEvent", order_id)
    return {"statusCode": 201, "body": json.dumps({"orderId": order_id})}
