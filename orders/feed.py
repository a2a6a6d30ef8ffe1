"""The order feed: a page that watches an order gets each of its events as it happens.

A browser can't send headers when it opens a WebSocket, and a token in a URL would end in logs. So the page gets a
ticket from the API, which opens one connection, once, within TICKET_SECONDS. Only the ticket's hash is stored.

A lost message does no harm: the page reads the order when it connects, and again while no message arrives.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from orders import clock

TICKET_SECONDS = 30
"""How long a ticket opens a connection."""
CONNECTION_SECONDS = 2 * 60 * 60
"""API Gateway closes a WebSocket after two hours: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"""
OPENING_SECONDS = 30
"""How long a connection may take to open after it was stored; API Gateway waits 29 seconds for the function."""


class Ticket(NamedTuple):
    """A ticket that opens one connection. Only the page gets its `secret`."""

    secret: str
    expires_at: datetime


class StoredTicket(NamedTuple):
    """A ticket as it is stored, without its hash."""

    order_id: str
    origin: str | None
    """The origin of the page that asked for it, as its browser named it; None if no browser asked."""
    expires_at: int
    """Unix time in seconds."""


class Connection(NamedTuple):
    """One open WebSocket of an order's page."""

    connection_id: str
    order_id: str
    connected_at: str


class Feed(Protocol):
    """The tickets and the connections."""

    def add_ticket(self, ticket_hash: str, ticket: StoredTicket) -> None:
        """Store a ticket until it is burned or has expired."""

    def burn_ticket(self, ticket_hash: str) -> StoredTicket | None:
        """Delete a ticket and return it; None if there is none, or no longer: it can be used once."""

    def add(self, connection: Connection, *, expires_at: int) -> None:
        """Store a connection until it is forgotten or has expired (Unix time in seconds)."""

    def watching(self, order_id: str) -> list[Connection]:
        """The order's newest connections, a bounded number; one from the last second may be missing."""

    def forget(self, connection_id: str) -> None:
        """Delete a connection, if it is there."""


class Sockets(Protocol):
    """The open WebSockets."""

    def send(self, connection_id: str, message: str) -> bool:
        """Send a message; False if the connection is gone, or not open yet."""


def issue_ticket(order_id: str, origin: str | None, feed: Feed) -> Ticket:
    """Make a ticket for one connection to the order's events, from a page of the same origin."""
    ticket = Ticket(secrets.token_urlsafe(32), clock.now().replace(microsecond=0) + timedelta(seconds=TICKET_SECONDS))
    feed.add_ticket(_hash(ticket.secret), StoredTicket(order_id, origin, int(ticket.expires_at.timestamp())))
    return ticket


def connect(secret: str, origin: str | None, connection_id: str, feed: Feed) -> str | None:
    """Burn the ticket and store the connection that it opens: the order's id, or None if the ticket opens nothing.

    DynamoDB deletes expired items late, by days even, so the expiry is compared here.
    """
    ticket, now = feed.burn_ticket(_hash(secret)), clock.now()
    if not ticket or ticket.expires_at <= now.timestamp() or ticket.origin != origin:
        return None
    connection = Connection(connection_id, ticket.order_id, clock.timestamp(now))
    feed.add(connection, expires_at=int(now.timestamp()) + CONNECTION_SECONDS)
    return ticket.order_id


def push(order_id: str, message: str, feed: Feed, sockets: Sockets) -> None:
    """Send a message to each page that watches the order, and forget the connections that are gone.

    A connection is stored before it is open, and until then it looks as if it were gone: so a recent one is kept.
    """
    for connection in feed.watching(order_id):
        if not sockets.send(connection.connection_id, message) and _is_old(connection):
            feed.forget(connection.connection_id)


def _is_old(connection: Connection) -> bool:
    return clock.now() - clock.moment(connection.connected_at) > timedelta(seconds=OPENING_SECONDS)


def _hash(secret: str) -> str:
    """A ticket has 256 random bits: nobody can guess it from its hash, although there is no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()
