"""What is left when all is over, from whichever AWS it was: the simulated one or a deployed one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Envelope = Mapping[str, Any]
"""An event as EventBridge hands it to its targets."""


def order_id_of(event: Envelope) -> str:
    """The order that an event says it is about; empty where it names none."""
    detail = event.get("detail")
    data = detail.get("data") if isinstance(detail, dict) else None
    return str(data.get("orderId", "")) if isinstance(data, dict) else ""


class SentMessage(NamedTuple):
    """An e-mail or a text message that its provider accepted."""

    order_id: str
    channel: str
    """`email` or `sms`."""
    address: str


@dataclass(frozen=True)
class Evidence:
    """All of it, once nothing moves any more."""

    accepted: Mapping[str, Mapping[str, Any]]
    """By its id, each order as the API answered 201 or 200 with it."""
    orders: Mapping[str, Mapping[str, Any]]
    """By its id, each item of the Orders table, as plain values."""
    published: Sequence[Envelope]
    """Everything that the bus took, without replays."""
    audit: Sequence[Mapping[str, Any]]
    """The AuditLog table, as plain values."""
    ledger: Sequence[Mapping[str, Any]]
    """The payment provider's ledger, as plain values: its rows are by idempotency key, and name the order."""
    messages: Sequence[SentMessage]
    dead_letters: Sequence[Envelope]
    """The events that are left in the dead-letter queues after their redrive."""
    forged: frozenset[str] = frozenset()
    """EventBridge's ids of the events that were put on the bus by hand and tell of nothing true."""
    rejected: frozenset[tuple[str, str]] = frozenset()
    """Order and channel of each message that its provider refused for good."""
    cancellations: Mapping[str, set[int]] = field(default_factory=dict)
    """By order, the statuses with which the API answered its customer's requests to cancel it."""
    may_repeat: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By order and channel, how many messages more than one a crash between sending and recording accounts for."""
