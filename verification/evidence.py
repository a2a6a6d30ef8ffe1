"""The evidence after a run, from the simulated AWS or a deployed stack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Envelope = Mapping[str, Any]
"""An event as EventBridge delivers it to its targets."""


def order_id_of(event: Envelope) -> str:
    """The order that an event names; empty if it names none."""
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
    """The whole evidence, once everything has ended."""

    accepted: Mapping[str, Mapping[str, Any]]
    """By its id, each order in a 201 or 200 response of the API."""
    orders: Mapping[str, Mapping[str, Any]]
    """By its id, each item of the Orders table, as plain values."""
    published: Sequence[Envelope]
    """Every event that the bus accepted, without replays."""
    audit: Sequence[Mapping[str, Any]]
    """The AuditLog table, as plain values."""
    ledger: Sequence[Mapping[str, Any]]
    """The payment provider's ledger, as plain values: its rows are by idempotency key, and name the order."""
    messages: Sequence[SentMessage]
    dead_letters: Sequence[Envelope]
    """The events that are left in the dead-letter queues after their redrive."""
    forged: frozenset[str] = frozenset()
    """EventBridge's ids of the forged events that were put on the bus by hand."""
    rejected: frozenset[tuple[str, str]] = frozenset()
    """Order and channel of each message that its provider refused for good."""
    cancellations: Mapping[str, set[int]] = field(default_factory=dict)
    """By order, the statuses of the API's responses to its customer's cancellations."""
    may_repeat: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By order and channel, how many messages more than one a crash between sending and recording accounts for."""
