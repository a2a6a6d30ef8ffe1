"""The adapters that the handlers hand to the steps, made once per process and when first needed."""

from datetime import timedelta
from functools import cache

from orders.aws.audit import AuditLog
from orders.aws.bus import EventBus
from orders.aws.client import client
from orders.aws.mail import Post
from orders.aws.store import OrderStore
from orders.config import config
from orders.payments import SimulatedGateway

MAIL_SECONDS = 10
"""How long SES and SNS may take: a third of the notification function's time-out."""


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
    """A lost answer may mean a sent message: so nothing is tried twice, and an answer has more time than elsewhere."""
    ses = client("sesv2", attempts=1, read_timeout=MAIL_SECONDS)
    sns = client("sns", attempts=1, read_timeout=MAIL_SECONDS)
    prefixes = config().sms_country_prefixes
    return Post(ses, sns, config().sender_email, sms_prefixes=tuple(prefixes.split(",")) if prefixes else ())


def reconcile_after() -> timedelta:
    return timedelta(seconds=config().reconcile_after_seconds)


def claim_stale_after() -> timedelta:
    return timedelta(seconds=config().claim_seconds)
