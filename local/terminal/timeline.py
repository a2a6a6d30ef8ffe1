"""What happened to an order, by evidence alone: its audit trail, its status history, its notification."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any, NamedTuple

from orders.clock import moment, timestamp
from orders.model import FINAL
from tools import flow, topology

PUBLISHERS = {source: [topology.title(each) for each in by] for source, by in flow.publishers().items()}
"""Source → the functions that publish under it; the last one, the Reconciler, publishes later attempts."""

_RECORDERS = flow.recorders()
CONSUMERS = {
    event: [topology.title(each) for each in by if each not in _RECORDERS] for event, by in flow.consumers().items()
}
"""Event → the functions that react to it, as the rules of serverless.yml have it; AuditLogger consumes each event."""

_REQUESTS = {"OrderPlacedEvent": "POST /orders", "OrderCancelledEvent": "POST …/cancellation"}
"""Event without a cause among the events → the API route that led to it."""

_LEAVE_EVIDENCE = {"OrderStatusUpdater", "Notification", *chain.from_iterable(PUBLISHERS.values())}
"""The functions whose reaction the API shows: a status, a notification, an event. Others can't be awaited."""


class OrderView(NamedTuple):
    """One order as the API shows it at one moment."""

    order: Mapping[str, Any]
    """The response of `GET /orders/{orderId}`."""
    trail: Sequence[Mapping[str, Any]]
    """The events in the response of `GET /orders/{orderId}/events`; rows of AuditLog will do as well."""


class TimelineEntry(NamedTuple):
    """One line: the time since the order was placed, the function, its cause, and the outcome."""

    milliseconds: int
    function: str
    cause: str
    """An event's name, or an API route."""
    outcome: str
    is_timed: bool = True
    """Whether the API shows when it happened; else `milliseconds` are those of its cause."""


def lines(evidence: OrderView) -> list[TimelineEntry]:
    """Everything that happened, in the order of time; an event that was published again is the same line.

    An effect whose cause is not in the trail yet is left out: it would come too early.
    """
    return sorted(dict.fromkeys(_lines(evidence)), key=lambda line: line.milliseconds)


def _lines(evidence: OrderView) -> Iterator[TimelineEntry]:
    order, trail = evidence
    names = {event.get("domainEventId"): event["eventType"] for event in trail}
    placed, *moved = order["statusHistory"]

    yield TimelineEntry(_after(order, placed["at"]), "OrderService", "POST /orders", f"status {placed['status']}")
    for event in trail:
        publishers, caused_by = PUBLISHERS.get(event["source"], [event["source"]]), event.get("causationId")
        request = _REQUESTS.get(event["eventType"], "POST /orders")
        function, cause = publishers[0], names.get(caused_by) if caused_by else request
        if not caused_by and ((event.get("attempt") or 1) > 1 or _is_timed_out(event)):
            function, cause = publishers[-1], "still open"
        if cause:
            yield TimelineEntry(_after(order, event["timestamp"]), function, cause, event["eventType"])
    for change in moved:
        if change["eventId"] in names:
            yield TimelineEntry(
                _after(order, change["at"]),
                "OrderStatusUpdater",
                names[change["eventId"]],
                f"status {change['status']}",
            )
    if _is_voided(order) and (cancelled := _logged("OrderCancelledEvent", trail)):
        after = _after(order, cancelled["timestamp"])
        yield TimelineEntry(after, "PaymentProcessing", cancelled["eventType"], "payment voided", is_timed=False)
    outcome = [event["eventType"] for event in trail if "Notification" in CONSUMERS.get(event["eventType"], ())]
    if outcome and (notification := order.get("notification")):
        result = "sent" if "messageId" in notification else f"rejected: {notification['rejection']}"
        yield TimelineEntry(_after(order, notification["at"]), "Notification", outcome[0], f"e-mail {result}")


def when(evidence: OrderView, line: TimelineEntry) -> str:
    """When a line happened, as a timestamp."""
    return timestamp(moment(evidence.order["placedAt"]) + timedelta(milliseconds=line.milliseconds))


def awaited(evidence: OrderView) -> list[str]:
    """The functions that should have reacted to the events seen so far, and have not; none when the order has ended."""
    order, trail = evidence
    silent = []
    if not (is_final(order) and "notification" in order):  # after that nobody needs to react to anything
        silent = [
            function
            for event in trail
            for function in CONSUMERS.get(event["eventType"], ())
            if function in _LEAVE_EVIDENCE and not _reacted(function, event, evidence)
        ]
    if _is_incomplete(evidence):
        silent.append("AuditLogger")
    return list(dict.fromkeys(silent))


def _is_incomplete(evidence: OrderView) -> bool:
    """Whether the trail lacks the cancellation, an event that the status history names, or the cause of an event."""
    order, trail = evidence
    if "cancellation" in order and not _logged("OrderCancelledEvent", trail):
        return True
    logged = {event.get("domainEventId"): event.get("causationId") for event in trail}
    named = {change["eventId"] for change in order["statusHistory"]}
    while not (causes := {logged[event_id] for event_id in named & logged.keys()} - {None}) <= named:
        named |= causes
    return not named <= logged.keys()


def _reacted(function: str, event: Mapping[str, Any], evidence: OrderView) -> bool:
    order, trail = evidence
    event_id, is_cancelled = event.get("domainEventId"), "cancellation" in order
    if function == "Notification":
        return "notification" in order
    if function == "OrderStatusUpdater":  # FULFILLED may overtake PAID, and so may CANCELLED and REFUNDED
        overtaken = is_final(order) or (is_cancelled and event["eventType"] == "PaymentCompletedEvent")
        return overtaken or event_id in {change["eventId"] for change in order["statusHistory"]}
    if is_cancelled and function == "Fulfillment":
        return True  # it ships nothing
    if is_cancelled and function == "PaymentProcessing":  # a refund that is stored is not published yet
        return _is_voided(order) or _logged("PaymentRefundedEvent", trail) is not None
    return event_id in {event.get("causationId") for event in trail}


def is_final(order: Mapping[str, Any]) -> bool:
    """As `Order.is_final`, for an order as the API shows it."""
    return order["status"] in FINAL or (order["status"] == "CANCELLED" and _is_voided(order))


def _is_voided(order: Mapping[str, Any]) -> bool:
    return bool(order.get("payment", {}).get("status") == "VOIDED")


def _logged(event_type: str, trail: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first event of a type in the trail."""
    return next((event for event in trail if event["eventType"] == event_type), None)


def _is_timed_out(event: Mapping[str, Any]) -> bool:
    data = event.get("data") or event.get("detail", {}).get("data")
    return isinstance(data, dict) and data.get("reason") == "timed_out"


def is_over(order: Mapping[str, Any], trail: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the order has its final status, the customer is notified, and the audit trail is complete."""
    return is_final(order) and "notification" in order and not awaited(OrderView(order, trail))


def missing(order: Mapping[str, Any], trail: Sequence[Mapping[str, Any]]) -> str:
    """`the last event seen is PaymentCompletedEvent, after 16 ms; still awaited: Fulfillment`."""
    silent = ", ".join(awaited(OrderView(order, trail))) or "nobody"
    if not trail:
        return f"no event was seen; still awaited: {silent}"
    last = max(trail, key=lambda event: str(event["timestamp"]))
    after = _after(order, last["timestamp"])
    return f"the last event seen is {last['eventType']}, after {after} ms; still awaited: {silent}"


def _after(order: Mapping[str, Any], at: str) -> int:
    """Milliseconds since the order was placed."""
    return (moment(at) - moment(order["placedAt"])) // timedelta(milliseconds=1)
