"""Polls the running stack about once a second, while somebody watches."""

import time
from threading import Lock
from typing import Any

from local.watching.logs import Logs
from local.watching.queues import DeadLetterQueues
from local.watching.sightings import FailedAttempt, SeenLetter, Sightings, was_redriven
from local.watching.view import Views
from operations.dead_letters import DeadLetter
from operations.stack import Stack
from orders import clock

_FRESH_SECONDS = 0.5
"""How old a poll may be for another caller to share it."""

_watches: dict[tuple[str, ...], "Watch"] = {}
_making = Lock()


class Watch:
    """Everything seen of a stack, shared by all that watch it."""

    def __init__(self, stack: Stack) -> None:
        self.sightings = Sightings(stack.outputs["NotificationQueueUrl"], stack.function(""))
        self.queues = DeadLetterQueues(stack, self._on_read, self._on_redriven)
        self._logs, self._views = Logs(stack), Views(stack)
        self.view = self._views.of
        self._turn = Lock()
        self._looked_at = float("-inf")
        self._changed: dict[str, int] = {}
        """Order → number of its last change; the last one changed last."""
        self._changes = 0

    def look(self) -> None:
        """Poll, and keep everything new. A call during another one shares that poll, or the next."""
        with self._turn:
            if time.monotonic() < self._looked_at + _FRESH_SECONDS:
                return
            lines = self._logs.new()
            for line in lines:
                self.sightings.failed(line)
            self.queues.look(known=self.sightings.present)
            self._change(*(line.order_id for line in lines))
            self._looked_at = time.monotonic()

    def changed_since(self, number: int) -> tuple[int, list[str]]:
        """The orders that have changed since the number that the last call returned, and the next number."""
        now, changed = self._changes, []
        for order_id, last in reversed(list(self._changed.items())):
            if last <= number:
                break
            changed.append(order_id)
        return now, changed[::-1]

    def rescue(self, order_id: str) -> dict[str, Any]:
        """Everything seen of one order, as the page gets it."""
        self.look()
        view = self.view(order_id)
        attempts = self.sightings.attempts(order_id)
        return {
            "attempts": [_attempt(each) for each in attempts],
            "deadLetters": [
                {**_letter(seen), "redriven": was_redriven(seen, attempts, view)}
                for seen in self.sightings.letters(order_id)
            ],
            "logged": {str(event["eventId"]): event["loggedAt"] for event in view.trail if "loggedAt" in event}
            if view
            else {},
            "dueAt": view.order.get("dueAt") if view else None,
        }

    def _on_read(self, letters: Any, is_complete: bool) -> None:
        self._change(*self.sightings.read(letters, clock.timestamp(clock.now()), is_complete=is_complete))

    def _on_redriven(self, letter: DeadLetter) -> None:
        self.sightings.redriven(letter, clock.timestamp(clock.now()))
        self._change(letter.order_id)

    def _change(self, *order_ids: str) -> None:
        for order_id in order_ids:
            self._changes += 1
            self._changed.pop(order_id, None)
            self._changed[order_id] = self._changes


def watch(stack: Stack) -> Watch:
    """The watch of a running stack: one per process, shared by all callers."""
    key = (str(stack.endpoint_url), *(str(stack.outputs.get(name)) for name in ("secretAccessKey", "OrdersTableName")))
    with _making:  # one thread at a time may make clients
        if key not in _watches:
            _watches[key] = Watch(stack)
        return _watches[key]


def _attempt(failed: FailedAttempt) -> dict[str, Any]:
    return {
        "function": failed.function,
        "eventId": failed.event_id,
        "eventType": failed.event_type,
        "attempt": failed.attempt,
        "of": failed.of,
        "at": failed.at,
        "reason": failed.reason,
    }


def _letter(seen: SeenLetter) -> dict[str, Any]:
    return {
        "function": seen.function,
        "eventId": seen.event_id,
        "eventType": seen.letter.event_type,
        "reason": seen.reason,
        "seenAt": seen.seen_at,
        "goneAt": seen.gone_at,
    }
