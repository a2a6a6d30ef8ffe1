"""An event comes twice, as EventBridge may deliver it: at least once."""

import json

from operations.stack import Stack
from orders.audit import AuditLog
from orders.events import OrderPlacedEvent


class UnknownOrder(Exception):
    """The audit log knows no OrderPlacedEvent of this order."""


def publish_again(stack: Stack, order_id: str) -> str:
    """Put an order's OrderPlacedEvent on the bus once more, as it was; returns the id of the new entry.

    Every consumer gets it, and the audit log keeps it: the same fact, under another id of EventBridge's. Raises
    UnknownOrder.
    """
    log = AuditLog(stack.client("dynamodb"), stack.outputs["AuditLogTableName"])
    placed = [entry for entry in log.trail(order_id) if entry["eventType"] == OrderPlacedEvent.__name__]
    if not placed:
        raise UnknownOrder(f"the audit log knows no order {order_id}")
    first = placed[0]
    entry = {
        "EventBusName": stack.outputs["EventBusName"],
        "Source": first["source"],
        "DetailType": first["eventType"],
        "Detail": json.dumps(first["detail"]),
    }
    answer = stack.client("events").put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise RuntimeError(f"EventBridge refused the event: {answer['Entries'][0]['ErrorMessage']}")
    return str(answer["Entries"][0]["EventId"])
