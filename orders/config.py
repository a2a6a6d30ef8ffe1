"""The deployment's configuration, read once from the environment that `serverless.yml` sets."""

import os
from functools import cache

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """The functions' environment."""

    model_config = ConfigDict(frozen=True)

    orders_table: str = Field(alias="ORDERS_TABLE_NAME")
    audit_log_table: str = Field(alias="AUDIT_LOG_TABLE_NAME")
    event_bus: str = Field(alias="EVENT_BUS_NAME")
    sender_email: str = Field(alias="SENDER_EMAIL")
    sms_country_prefixes: str = Field(alias="SMS_COUNTRY_PREFIXES")
    """Where text messages go, such as `+49,+43`. Empty means nowhere: they cost money, and anybody may sign up."""
    reconcile_after_seconds: int = Field(alias="RECONCILE_AFTER_SECONDS", gt=0)
    """The reconciler first looks at an order this long after it was placed."""
    reconcile_concurrency: int = Field(alias="RECONCILE_CONCURRENCY", gt=0)
    """The number of threads in a run of the reconciler."""
    cancel_after_hours: int = Field(alias="CANCEL_AFTER_HOURS", ge=0)
    """The reconciler cancels an order that has been open for this long; 0 for never."""
    claim_seconds: int = Field(alias="CLAIM_SECONDS", gt=0)
    """The notification function's time-out: the owner of an older claim no longer runs."""


@cache
def config() -> Config:
    """This process's configuration. Raises pydantic's ValidationError, which names the variables that are wrong."""
    return Config.model_validate(os.environ)
