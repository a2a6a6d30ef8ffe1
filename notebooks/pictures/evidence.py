"""What several pictures read from the rows of AuditLog and from an order."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tools import flow
from tools import topology as system

Row = Mapping[str, Any]

READER = "You"
"""Who published an event that the notebook itself put on the bus."""


class Effect(NamedTuple):
    """What a consumer did that the order shows: a new status, an e-mail."""

    at: str
    who: str
    what: str
    cause: Row


def logged_at(row: Row) -> str:
    """When the audit log received the event; rows without it, as the API shows them, have when it occurred."""
    return str(row.get("loggedAt") or row["timestamp"])


def by_time(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=logged_at)


def publisher(row: Row, mine: Collection[str] = ()) -> str:
    """Who published the event of a row: the reader, or a function that may publish under its source.

    Of two such functions, the scheduled one publishes again what no event led to.
    """
    if row.get("eventId") in mine:
        return READER
    is_again = not row.get("causationId") and (row.get("attempt") or 1) > 1
    names = flow.publishers().get(row["source"], [])
    return next(
        (system.title(name) for name in names if (system.trigger(name) == "schedule") == is_again), str(row["source"])
    )


def effects(rows: Sequence[Row], order: Mapping[str, Any] | None) -> Iterator[Effect]:
    """What the rows' events led to, as the order shows it. An effect whose cause is in no row is left out."""
    if order is None:
        return
    causes = {row.get("domainEventId"): row for row in reversed(by_time(rows))}
    for change in order.get("statusHistory", [])[1:]:
        if cause := causes.get(change["eventId"]):
            yield Effect(change["at"], "OrderStatusUpdater", change["status"], cause)
    consumed = [row for row in by_time(rows) if "notification" in flow.consumers().get(row["eventType"], [])]
    if consumed and (notified := order.get("notification")):
        yield Effect(notified["at"], "Notification", f"{notified['channel']} sent", consumed[0])


def milliseconds(start: str, end: str) -> int:
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000)
