"""An order and its audit trail, read from the tables: the fields that the API shows, and those for operators only."""

from collections.abc import Iterable
from typing import Any

from local.terminal.timeline import OrderView
from operations.stack import Stack
from orders.aws.audit import AuditLogTable
from orders.aws.dynamodb import PARTITION_KEY_MAX_BYTES, from_item, is_key, to_item

_WHAT_EVERY_ORDER_HAS = {"orderId", "status", "statusHistory", "placedAt", "items", "totalAmount", "currency"}
_WHAT_EVERY_EVENT_HAS = {"eventId", "timestamp", "eventType", "source"}


class Views:
    """Reads orders with an operator's rights."""

    def __init__(self, stack: Stack) -> None:
        self._dynamodb = stack.client("dynamodb")
        self._orders = stack.outputs["OrdersTableName"]
        self._audit = AuditLogTable(self._dynamodb, stack.outputs["AuditLogTableName"])

    def of(self, order_id: str) -> OrderView | None:
        """The stored order and its trail; None if there is no item, or the item is not an order.

        The order is read first: the events that its statuses name are then in the trail.
        """
        if not is_key(order_id, PARTITION_KEY_MAX_BYTES):
            return None
        found = self._dynamodb.get_item(TableName=self._orders, Key=to_item({"orderId": order_id}), ConsistentRead=True)
        order = from_item(found.get("Item", {}))
        if not order.keys() >= _WHAT_EVERY_ORDER_HAS:
            return None
        return OrderView(order, list(_events(self._audit.trail(order_id))))


def _events(rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """AuditLogger stores everything from the bus: rows that lack an event's own fields are left out."""
    return (row for row in rows if row.keys() >= _WHAT_EVERY_EVENT_HAS)
