"""The adapters that the handlers hand to the steps, made once per process and when first needed."""

from datetime import timedelta
from functools import cache

from orders.audit import AuditLog
from orders.aws import client
from orders.bus import EventBus
from orders.config import config
from orders.mail import Post
from orders.payments import SimulatedGateway
from orders.store import OrderStore


@cache
def store() -> OrderStore:
    return OrderStore(client("dynamodb"), config().orders_table)


@cache
def audit_log() -> AuditLog:
    return AuditLog(client("dynamodb"), config().audit_log_table)


@cache
def bus() -> EventBus:
    return EventBus(client("events"), config().event_bus)


@cache
def gateway() -> SimulatedGateway:
    return SimulatedGateway()


@cache
def post() -> Post:
    return Post(client("sesv2", attempts=1), client("sns", attempts=1), config().sender_email)


def reconcile_after() -> timedelta:
    return timedelta(seconds=config().reconcile_after_seconds)


def claim_stale_after() -> timedelta:
    return timedelta(seconds=config().claim_seconds)
