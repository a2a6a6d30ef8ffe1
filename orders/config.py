"""What the deployment tells the code, read once from the environment that `serverless.yml` sets."""

import os
from functools import cache

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """The functions' environment. A missing or bad variable fails the first invocation with its name."""

    model_config = ConfigDict(frozen=True)

    orders_table: str = Field(alias="ORDERS_TABLE_NAME")
    audit_log_table: str = Field(alias="AUDIT_LOG_TABLE_NAME")
    event_bus: str = Field(alias="EVENT_BUS_NAME")
    sender_email: str = Field(alias="SENDER_EMAIL")
    sms_country_prefixes: str = Field(alias="SMS_COUNTRY_PREFIXES")
    """Where text messages go, such as `+49,+43`; empty for nowhere: they cost money, and anybody may sign up."""
    reconcile_after_seconds: int = Field(alias="RECONCILE_AFTER_SECONDS", gt=0)
    """An order is first taken up this long after it was placed."""
    reconcile_max_orders: int = Field(alias="RECONCILE_MAX_ORDERS", gt=0)
    """A run of the reconciler takes up no more orders than this."""
    claim_seconds: int = Field(alias="CLAIM_SECONDS", gt=0)
    """The notification function's time-out: a claim older than this belongs to nobody who still runs."""


@cache
def config() -> Config:
    return Config.model_validate(os.environ)
