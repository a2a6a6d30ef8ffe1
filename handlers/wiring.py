"""The composition root: the adapters that the handlers pass to the steps, each made once per process, when needed."""

import os
from datetime import timedelta
from functools import cache

from orders.aws.audit import AuditLogTable
from orders.aws.bus import EventBus
from orders.aws.client import client
from orders.aws.feed import ApiGatewaySockets, FeedTable
from orders.aws.gateway import SimulatedGateway
from orders.aws.notifier import SesSnsNotifier
from orders.aws.store import OrdersTable
from orders.config import config
from orders.ports import PaymentGateway

MAIL_SECONDS = 10
"""How long SES and SNS may take to respond: a third of the notification function's time-out."""


@cache
def store() -> OrdersTable:
    """The orders."""
    return OrdersTable(client("dynamodb"), config().orders_table)


@cache
def audit_log() -> AuditLogTable:
    """The audit log."""
    return AuditLogTable(client("dynamodb"), config().audit_log_table)


@cache
def bus() -> EventBus:
    """The event bus."""
    return EventBus(client("events"), config().event_bus)


@cache
def gateway() -> PaymentGateway:
    """The payment provider. Its ledger is its own: no other function knows the table."""
    return SimulatedGateway(client("dynamodb"), os.environ["GATEWAY_LEDGER_TABLE_NAME"])


@cache
def feed() -> FeedTable:
    """The tickets and connections of the pages that watch an order."""
    return FeedTable(client("dynamodb"), os.environ["FEED_TABLE_NAME"])


def socket_url() -> str:
    """Where a page opens its WebSocket."""
    return os.environ["WEBSOCKET_URL"]


@cache
def sockets() -> ApiGatewaySockets:
    """The open WebSockets."""
    return ApiGatewaySockets(lambda: client("apigatewaymanagementapi"))


@cache
def notifier() -> SesSnsNotifier:
    """E-mail and text messages. A lost response may mean a sent message, so there are no retries and more time."""
    ses = client("sesv2", attempts=1, read_timeout=MAIL_SECONDS)
    prefixes = config().sms_country_prefixes
    return SesSnsNotifier(
        ses,
        lambda: client("sns", attempts=1, read_timeout=MAIL_SECONDS),
        config().sender_email,
        sms_prefixes=tuple(prefixes.split(",")) if prefixes else (),
    )


def reconcile_after() -> timedelta:
    """How long after an order was placed the reconciler first looks at it."""
    return timedelta(seconds=config().reconcile_after_seconds)


def cancel_after() -> timedelta | None:
    """How long an order may be open before the reconciler cancels it; None: it never does."""
    return timedelta(hours=config().cancel_after_hours) or None


def claim_stale_after() -> timedelta:
    """The age at which a claim no longer counts."""
    return timedelta(seconds=config().claim_seconds)
