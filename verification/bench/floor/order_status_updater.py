"""Writes into its log that an order has ended: the line by which the bench knows it of ours, too."""

import json
from datetime import UTC, datetime

from handlers.publishing import order_of


def handler(envelope, _context):
    if envelope["detail-type"] == "FulfillmentCompletedEvent":
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3] + "+0000"
        print(json.dumps({"message": "The order is FULFILLED", "timestamp": now, "orderId": order_of(envelope)}))
