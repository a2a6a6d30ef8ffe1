"""Time in the contract's form: ISO 8601, UTC, milliseconds, `Z`. Such strings sort like the moments that they name."""

import re
from datetime import UTC, datetime, timedelta
from typing import TypeGuard

# Without the year 9999, the last one that Python knows: the moment a millisecond later must be a timestamp as well.
_FORM = re.compile(r"(?!9999)[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
TICK = timedelta(milliseconds=1)
"""The shortest time between a cause and its effect."""


def now() -> datetime:
    """The present moment, cut to the milliseconds that a timestamp can hold."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def timestamp(moment: datetime) -> str:
    """`2026-01-31T09:30:00.123Z` for a moment in UTC."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(timestamp: str) -> datetime:
    """The moment that a timestamp names. Raises ValueError when it names none (`2026-02-30…`)."""
    return datetime.fromisoformat(timestamp)


def is_timestamp(value: object) -> TypeGuard[str]:
    """Whether a value has the form and names a moment."""
    if not (isinstance(value, str) and _FORM.fullmatch(value)):
        return False
    try:
        moment(value)
    except ValueError:
        return False
    return True


def just_after(cause: str) -> str:
    """Now as a timestamp, but always later than `cause`, even when this machine's clock runs behind the cause's."""
    return timestamp(max(now(), moment(cause) + TICK))
