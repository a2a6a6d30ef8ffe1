"""What happened to an order, told from evidence only: its audit trail, its status history, its notification."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

FINAL = {"FULFILLED": "green", "PAYMENT_FAILED": "red"}
_COLOURS = {"PLACED": "cyan", "PAID": "blue", **FINAL}
_PUBLISHERS = {
    "order-processing.orders": "OrderService",
    "order-processing.payment": "PaymentProcessing",
    "order-processing.fulfillment": "Fulfillment",
}
_NEXT = {
    "OrderPlacedEvent": "PaymentProcessing",
    "PaymentCompletedEvent": "Fulfillment",
    "PaymentFailedEvent": "Notification",
    "FulfillmentCompletedEvent": "Notification",
}
"""Who must react to an event for the order to go on."""


class Entry(NamedTuple):
    """One line: when, who, what they did, and the event or status that came of it."""

    at: str
    who: str
    what: str
    event: str = ""
    status: str = ""


def entries(order: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """The lines of one order, in the order in which they happened."""
    return sorted([*_moved(order), *_published(events), *_told(order)], key=lambda entry: entry.at)


def _published(events: Sequence[Mapping[str, Any]]) -> Iterator[Entry]:
    for event in events:
        kind, data = event["eventType"], event["data"] or {}
        who = _PUBLISHERS.get(event["source"], event["source"])
        if kind == "OrderPlacedEvent" and (event["attempt"] or 1) > 1:
            yield Entry(event["timestamp"], "Reconciler", f"took the order up, attempt {event['attempt']}", kind)
        elif kind == "OrderPlacedEvent":
            yield Entry(event["timestamp"], who, "published", kind)
        elif kind == "PaymentCompletedEvent":
            yield Entry(event["timestamp"], who, f"charged {money(data)}", kind)
        elif kind == "PaymentFailedEvent":
            yield Entry(event["timestamp"], who, f"refused: {data.get('reason')}", kind)
        elif kind == "FulfillmentCompletedEvent":
            yield Entry(event["timestamp"], who, f"sent parcel {data.get('trackingId')}", kind)
        else:
            yield Entry(event["timestamp"], who, "published", kind)


def _moved(order: Mapping[str, Any]) -> Iterator[Entry]:
    [placed, *later] = order["statusHistory"]
    yield Entry(placed["at"], "OrderService", "wrote the order", status=placed["status"])
    for change in later:
        yield Entry(change["at"], "OrderStatusUpdater", "moved the status", status=change["status"])


def _told(order: Mapping[str, Any]) -> Iterator[Entry]:
    if told := order.get("notification"):
        what = (
            f"{told['channel']} was refused: {told['rejection']}"
            if "rejection" in told
            else f"sent the {told['channel']}"
        )
        yield Entry(told["at"], "Notification", what)


def table(order: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Table:
    """The timeline of one order, made to fit 80 columns."""
    grid = Table(box=None, pad_edge=False, header_style="dim")
    grid.add_column("ms", justify="right", min_width=5)
    for header in ("who", "did what", "event or status"):
        grid.add_column(header, no_wrap=True)
    for entry in entries(order, events):
        result = Text.assemble(entry.event, (entry.status, f"bold {_COLOURS.get(entry.status, 'default')}"))
        grid.add_row(str(_milliseconds(order["placedAt"], entry.at)), entry.who, entry.what, result)
    return grid


def is_over(order: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the order has its final status, the customer was told, and the audit log has the event that ended it."""
    last = "FulfillmentCompletedEvent" if order["status"] == "FULFILLED" else "PaymentFailedEvent"
    return order["status"] in FINAL and "notification" in order and any(event["eventType"] == last for event in events)


def missing(order: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> str:
    """Which event was last seen, and who was not heard from."""
    if not events:
        return "no event was seen; AuditLogger was not heard from"
    last = events[-1]["eventType"]
    ended = last in ("PaymentFailedEvent", "FulfillmentCompletedEvent")
    silent = "OrderStatusUpdater" if ended and order["status"] not in FINAL else _NEXT.get(last, "nobody we know")
    return f"the last event seen is {last}; {silent} was not heard from"


def money(data: Mapping[str, Any]) -> str:
    return f"{data['totalAmount'] / 100:.2f} {data['currency']}"


def _milliseconds(start: str, end: str) -> int:
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000)
