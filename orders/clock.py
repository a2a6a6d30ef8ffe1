"""Time as the contract writes it: ISO 8601, UTC, milliseconds, `Z`. Such strings sort as the moments they name."""

import re
from datetime import UTC, datetime, timedelta

# Not the last year that Python knows: what comes after it, if only by a millisecond, must have a name as well.
_FORM = re.compile(r"(?!9999)[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
TICK = timedelta(milliseconds=1)


def now() -> datetime:
    """The present moment, cut to the milliseconds that a timestamp can hold."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def timestamp(moment: datetime) -> str:
    """`2026-01-31T09:30:00.123Z` for a moment in UTC."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(timestamp: str) -> datetime:
    """The moment that a timestamp names. Raises ValueError where it names none (`2026-02-30…`)."""
    return datetime.fromisoformat(timestamp)


def is_timestamp(value: object) -> bool:
    """Whether a value has the form and names a moment."""
    if not (isinstance(value, str) and _FORM.fullmatch(value)):
        return False
    try:
        moment(value)
    except ValueError:
        return False
    return True


def just_after(cause: str) -> str:
    """Now, but always later than `cause`: a clock that runs behind must not put an effect before its cause."""
    return timestamp(max(now(), moment(cause) + TICK))
