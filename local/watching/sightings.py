"""The operator's view of each order: failed attempts, dead letters, and whether those were redriven."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from local.terminal.timeline import OrderView, lines, when
from local.watching.logs import LogLine
from operations.dead_letters import DeadLetter
from tools import topology


@dataclass(frozen=True)
class FailedAttempt:
    """An attempt of a function at an order's event, which failed."""

    function: str
    event_id: str
    """Of the event's envelope."""
    event_type: str
    attempt: int
    of: int
    at: str
    reason: str


@dataclass(frozen=True)
class SeenLetter:
    """A dead letter of an order. The times are when it was first seen, last seen, and first found to be gone."""

    letter: DeadLetter
    function: str
    reason: str
    seen_at: str
    last_at: str
    gone_at: str | None = None
    is_redriven: bool = False
    """Whether this process redrove it; for other processes see `was_redriven`."""

    @property
    def event_id(self) -> str:
        return str(self.letter.event.get("id", "-"))


class Sightings:
    """Keeps everything for as long as the process runs."""

    def __init__(self, notification_queue_url: str, function_prefix: str) -> None:
        self._notification_queue_url, self._prefix = notification_queue_url, function_prefix
        self._attempts: dict[str, list[FailedAttempt]] = {}
        self._letters: dict[tuple[str, str], SeenLetter] = {}
        self._failures: Counter[tuple[str, str]] = Counter()
        self.present = 0
        """How many of the dead letters were still there in the last reading."""

    def failed(self, line: LogLine) -> bool:
        """Keep a log line if it says that an attempt failed; return whether it does."""
        content = line.content
        event_id, request_id = content.get("eventId"), content.get("requestId")
        if content.get("level") != "ERROR" or not (isinstance(event_id, str) and isinstance(request_id, str)):
            return False
        if not (of := attempts_of(line.function)):
            return False
        # Lambda repeats an attempt under its request id; a message that SQS delivers again has a new one.
        same = (line.function, event_id if topology.trigger(line.function) == "queue" else request_id)
        self._failures[same] += 1
        attempt = (self._failures[same] - 1) % of + 1
        event_type, reason = str(content.get("eventType")), str(content.get("message"))
        failed = FailedAttempt(line.function, event_id, event_type, attempt, of, line.at, reason)
        self._attempts.setdefault(line.order_id, []).append(failed)
        return True

    def read(self, letters: Sequence[DeadLetter], at: str, *, is_complete: bool) -> set[str]:
        """Keep a reading of the queues; return the ids of the orders whose dead letters have changed."""
        changed = set()
        for letter in letters:
            if known := self._letters.get(letter.key):
                self._letters[letter.key] = replace(known, last_at=at)
            else:
                self._letters[letter.key] = self._new(letter, at)
                changed.add(letter.order_id)
        if is_complete:
            there = {letter.key for letter in letters}
            for key, seen in self._letters.items():
                if key not in there and seen.gone_at is None:
                    self._letters[key] = replace(seen, gone_at=at)
                    changed.add(seen.letter.order_id)
        self._count()
        return changed

    def redriven(self, letter: DeadLetter, at: str) -> None:
        """Keep that this process redrove a dead letter."""
        seen = self._letters.get(letter.key) or self._new(letter, at)
        self._letters[letter.key] = replace(seen, gone_at=at, is_redriven=True)
        self._count()

    def attempts(self, order_id: str) -> Sequence[FailedAttempt]:
        """The failed attempts at an order's events, oldest first."""
        return tuple(self._attempts.get(order_id, ()))

    def letters(self, order_id: str) -> Sequence[SeenLetter]:
        """The dead letters of an order, in the order in which they were seen."""
        return [seen for seen in list(self._letters.values()) if seen.letter.order_id == order_id]

    def _new(self, letter: DeadLetter, at: str) -> SeenLetter:
        is_notification = letter.target == self._notification_queue_url
        function = "notification" if is_notification else letter.consumer.removeprefix(self._prefix)
        failures = [
            each.reason
            for each in self.attempts(letter.order_id)
            if (each.function, each.event_id) == (function, letter.event.get("id"))
        ]
        return SeenLetter(letter, function, failures[-1] if failures else letter.reason, at, at)

    def _count(self) -> None:
        self.present = sum(seen.gone_at is None for seen in self._letters.values())


def was_redriven(seen: SeenLetter, attempts: Collection[FailedAttempt], view: OrderView | None) -> bool | None:
    """Whether a dead letter was redriven; None if there is no evidence, as after a purge.

    A redrive by another process shows in its effects: the function fails again with the same event, or does its step,
    although nobody has published the event again.
    """
    if seen.is_redriven or seen.gone_at is None:
        return seen.is_redriven
    same = (seen.function, seen.event_id)
    if any((each.function, each.event_id) == same and each.at > seen.last_at for each in attempts):
        return True
    if view and _reacted_later(seen, view) and not _published_later(seen, view):
        return True
    return None


def _reacted_later(seen: SeenLetter, view: OrderView) -> bool:
    did = (topology.title(seen.function), seen.letter.event_type)
    return any((line.function, line.cause) == did and when(view, line) > seen.last_at for line in _timed(view))


def _timed(view: OrderView) -> Iterator[Any]:
    return (line for line in lines(view) if line.is_timed)


def _published_later(seen: SeenLetter, view: OrderView) -> bool:
    fact = _domain_event_id(seen.letter.event)
    return any(
        event.get("domainEventId") == fact
        and event["eventId"] != seen.event_id
        and str(event.get("loggedAt", "")) > seen.seen_at
        for event in view.trail
    )


def _domain_event_id(event: Mapping[str, Any]) -> Any:
    detail = event.get("detail")
    metadata = detail.get("metadata") if isinstance(detail, dict) else None
    return metadata.get("eventId") if isinstance(metadata, dict) else None


@cache
def attempts_of(function: str) -> int:
    """How often an event is tried before it is a dead letter; 0 for a function that no event invokes."""
    declared = topology.service()["functions"].get(function, {})
    for event in declared.get("events", []):
        if "sqs" in event:
            queue = event["sqs"]["arn"]["Fn::GetAtt"].partition(".")[0]
            policy = topology.of_type("AWS::SQS::Queue")[queue]["RedrivePolicy"]
            return int(topology.setting(policy["maxReceiveCount"], "local"))
    return 1 + topology.retries(function) if "maximumRetryAttempts" in declared else 0
