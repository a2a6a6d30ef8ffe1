"""Publish an event again: EventBridge delivers at least once, so consumers must cope with duplicates."""

import json
import re
from argparse import ArgumentTypeError
from collections.abc import Mapping
from typing import Any

from operations.errors import OperatorError
from operations.stack import Stack
from orders.aws.audit import AuditLogTable
from orders.aws.dynamodb import from_item, names_in, to_item
from orders.events import OrderPlacedEvent

_EVENT = {"eventId", "timestamp", "eventType", "source", "detail"}
"""The attributes of an entry that came over the bus. AuditLogger logs every payload that it is invoked with."""

_NUMBER = re.compile(r"[0-9a-f]{8}", re.IGNORECASE)
"""An order's number, as people see it everywhere: the first eight digits of its id."""

_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)

_WHERE = "its number is in its e-mail and on its page in the storefront"
"""What to do where an order is unknown."""


class UnknownOrder(OperatorError):
    """The audit log knows no such order, or no OrderPlacedEvent of it."""


class AmbiguousOrder(OperatorError):
    """Several orders have this number."""


class EventRefused(OperatorError):
    """EventBridge did not accept the event."""


def order_id(typed: str) -> str:
    """The order's id, or its number, as the system writes it: in lower case. Raises ArgumentTypeError for no text."""
    if not (typed and typed.isprintable()):
        raise ArgumentTypeError(f"{typed!r} is not an order's id")
    is_ours = _UUID.fullmatch(typed) or _NUMBER.fullmatch(typed)
    return typed.lower() if is_ours else typed  # an event may name any other text as its order


def full_id(stack: Stack, order: str) -> str:
    """The id of the order with this number; any other text is an id already. Raises UnknownOrder, AmbiguousOrder.

    DynamoDB finds no item by the beginning of its key: a number costs a scan of all orders, an id nothing.
    """
    if not _NUMBER.fullmatch(order):
        return order
    condition = "begins_with(#orderId, :number)"
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.outputs["OrdersTableName"],
            FilterExpression=condition,
            ProjectionExpression="#orderId",
            ExpressionAttributeNames=names_in(condition),
            ExpressionAttributeValues=to_item({":number": order}),
        )
    )
    found = sorted(str(from_item(item)["orderId"]) for page in pages for item in page["Items"])
    if not found:
        raise UnknownOrder(f"no order has the number {order.upper()}; {_WHERE}")
    if len(found) > 1:
        raise AmbiguousOrder(f"{len(found)} orders have the number {order.upper()}; name one of {', '.join(found)}")
    return found[0]


def trail(stack: Stack, order: str) -> list[dict[str, Any]]:
    """The events of an order, as the audit log keeps them, oldest first. Raises UnknownOrder."""
    entries = AuditLogTable(stack.client("dynamodb"), stack.outputs["AuditLogTableName"]).trail(order)
    events = [entry for entry in entries if entry.keys() >= _EVENT]
    if not events:
        raise UnknownOrder(f"the audit log has no order {order}; {_WHERE}")
    return events


def detail_of(entry: Mapping[str, Any]) -> Any:
    """An entry's detail as it was published: the audit log keeps a detail that can't be a map as JSON text."""
    detail = entry["detail"]
    try:
        return json.loads(detail) if isinstance(detail, str) else detail
    except ValueError:
        return detail


def publish_again(stack: Stack, order: str) -> str:
    """Put an order's OrderPlacedEvent on the bus once more, as it was; returns the id of the new entry.

    Every consumer gets it, and the audit log keeps it: the same fact, under another id of EventBridge's. Raises
    UnknownOrder, EventRefused.
    """
    placed = [entry for entry in trail(stack, order) if entry["eventType"] == OrderPlacedEvent.__name__]
    if not placed:
        raise UnknownOrder(f"the audit log has no {OrderPlacedEvent.__name__} of order {order}")
    first = placed[0]
    again = {
        "EventBusName": stack.outputs["EventBusName"],
        "Source": first["source"],
        "DetailType": first["eventType"],
        "Detail": json.dumps(detail_of(first)),
    }
    response = stack.client("events").put_events(Entries=[again])
    if response["FailedEntryCount"]:
        refusal = response["Entries"][0]
        raise EventRefused(f"EventBridge refused the event: {refusal.get('ErrorCode')}, {refusal.get('ErrorMessage')}")
    return str(response["Entries"][0]["EventId"])
