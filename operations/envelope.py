"""The envelope in which EventBridge delivers an event to its targets."""

from typing import Any


def envelope(
    detail_type: str,
    source: str,
    detail: Any,
    *,
    event_id: str,
    timestamp: str,
    account: str = "000000000000",
    region: str = "us-east-1",
) -> dict[str, Any]:
    """An event as a rule's targets get it.

    `event_id` is EventBridge's own. Of `timestamp` (UTC, as `2026-01-31T09:30:00.123Z` or without milliseconds) the
    envelope keeps whole seconds, as EventBridge does. The default account is nobody's.
    """
    return {
        "version": "0",
        "id": event_id,
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": f"{timestamp[:19]}Z",
        "region": region,
        "resources": [],
        "detail": detail,
    }
