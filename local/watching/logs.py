"""The functions' log lines about orders since the last poll, from their log groups."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from operations.stack import Stack
from orders import clock

_OVERLAP_MS = 2_000
"""Lines may be stored a little out of order: each poll begins this long before the last line of the previous one."""


class LogLine(NamedTuple):
    """One JSON line that names an order."""

    function: str
    order_id: str
    at: str
    """When it was logged, in the contract's form."""
    content: Mapping[str, Any]


class Logs:
    """The log groups of all functions. An idle stack costs one call per poll, which returns the size of each group."""

    def __init__(self, stack: Stack) -> None:
        self._logs = stack.client("logs")
        self._prefix = f"/aws/lambda/{stack.function('')}"
        self._bytes: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._seen: dict[str, dict[tuple[Any, ...], int]] = {}

    def new(self) -> list[LogLine]:
        """The lines since the last call, oldest first; the first call returns all lines."""
        lines: list[LogLine] = []
        for group in self._logs.describe_log_groups(logGroupNamePrefix=self._prefix)["logGroups"]:
            name = group["logGroupName"]
            if group["storedBytes"] != self._bytes.get(name):
                lines += self._read(name)
                self._bytes[name] = group["storedBytes"]
        return sorted(lines, key=lambda line: line.at)

    def _read(self, group: str) -> Iterator[LogLine]:
        seen, since = self._seen.setdefault(group, {}), self._since.get(group, 0)
        options = {"logGroupName": group, "startTime": max(0, since - _OVERLAP_MS), "filterPattern": "orderId"}
        for page in self._logs.get_paginator("filter_log_events").paginate(**options):
            for event in page["events"]:
                key = event["logStreamName"], event["timestamp"], event["message"]
                since = max(since, event["timestamp"])
                if key not in seen:
                    seen[key] = event["timestamp"]
                    if line := _line(group.removeprefix(self._prefix), event["message"], event["timestamp"]):
                        yield line
        self._since[group] = since
        self._seen[group] = {key: at for key, at in seen.items() if at >= since - _OVERLAP_MS}


def _line(function: str, message: str, stored_at: int) -> LogLine | None:
    """A line of ours; None for one of Lambda's own, and for one that names no order."""
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        return None
    order_id = content.get("orderId") if isinstance(content, dict) else None
    if not (isinstance(order_id, str) and order_id):
        return None
    return LogLine(function, order_id, _at(content.get("timestamp"), stored_at), content)


def _at(logged: Any, stored_at: int) -> str:
    """When it was logged; if the line doesn't say, when it was stored."""
    try:
        return clock.timestamp(datetime.fromisoformat(logged).astimezone(UTC))
    except (TypeError, ValueError):
        return clock.timestamp(datetime.fromtimestamp(stored_at / 1000, UTC))
