"""Everybody's orders, line by line as things happen, for the terminal of `npm start`."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.terminal.output import goods, style
from local.terminal.timeline import OrderView, TimelineEntry, is_over, lines, when
from local.watching.sightings import FailedAttempt, SeenLetter, was_redriven
from local.watching.watch import Watch
from operations.outage import Gateway
from orders.clock import now, timestamp
from tools import topology

_MOST_AT_ONCE = 8
"""How many new orders are shown within the sum interval; the others are only counted."""

_QUIET_SECONDS = 5
"""How long after its last change an unfinished order is read again: a row of the audit log may still come."""

_SUM_INTERVAL_SECONDS = 5
"""How often the number of counted orders is printed."""

_GATEWAY = {
    "down": "[bold red]✗ the payment gateway is down[/]",
    "up": "[bold green]✓ the payment gateway is up again[/]",
}

_MOST_KEPT = 1_000
"""How many orders are remembered, so that none of their lines is shown twice."""


@dataclass
class _Shown:
    """An order whose lines are shown, and the lines that were shown."""

    began_at: float
    changed_at: float
    is_over: bool = False
    facts: set[Any] = field(default_factory=set)


class Stream:
    """Shows everything new since the last call, and nothing from before the first call."""

    def __init__(self, say: Callable[..., object], watch: Watch) -> None:
        """`say` prints a line, like `Terminal.say`."""
        self._say, self._watch = say, watch
        watch.look()
        self._since = timestamp(now())
        self._last_change, known = watch.changed_since(0)
        self._old_letters = {seen.letter.key for order_id in known for seen in watch.sightings.letters(order_id)}
        self._gateway: Gateway = "up"
        self._shown: dict[str, _Shown] = {}
        self._counted: set[str] = set()
        """The orders that are not shown."""
        self._unprinted = 0
        self._printed_at = float("-inf")

    def show(self, gateway: Gateway) -> None:
        """Poll the stack, and show everything new."""
        if gateway != self._gateway:
            self._say(_GATEWAY[gateway])
        self._gateway = gateway
        self._watch.look()
        self._last_change, changed = self._watch.changed_since(self._last_change)
        at = time.monotonic()
        for order_id in changed:
            self._note(order_id, at)
        for order_id, shown in list(self._shown.items()):
            if shown.changed_at == at or (not shown.is_over and shown.changed_at > at - _QUIET_SECONDS):
                self._show_order(order_id, shown)
        self._print_count(at)

    def _note(self, order_id: str, at: float) -> None:
        """Show this order from now on, or count it if there are too many."""
        if order_id in self._counted:
            return
        known = self._shown.pop(order_id, None)
        if known is None and self._begun_since(at - _SUM_INTERVAL_SECONDS) >= _MOST_AT_ONCE:
            self._counted.add(order_id)
            self._unprinted += 1
            return
        self._shown[order_id] = known or _Shown(at, at)
        self._shown[order_id].changed_at = at
        if len(self._shown) > _MOST_KEPT:
            del self._shown[next(iter(self._shown))]

    def _begun_since(self, at: float) -> int:
        return sum(shown.began_at > at for shown in self._shown.values())

    def _print_count(self, at: float) -> None:
        if self._unprinted and at >= self._printed_at + _SUM_INTERVAL_SECONDS:
            self._say("[dim]… and {count} more orders[/]", count=f"{self._unprinted:,}")
            self._unprinted, self._printed_at = 0, at

    def _show_order(self, order_id: str, shown: _Shown) -> None:
        view = self._watch.view(order_id)
        attempts, letters = self._watch.sightings.attempts(order_id), self._watch.sightings.letters(order_id)
        facts = [
            *(_of_order(view) if view else ()),
            *(_of_attempt(each) for each in attempts),
            *(fact for seen in letters for fact in self._of_letter(seen, was_redriven(seen, attempts, view))),
        ]
        number = order_id[:8].upper()
        for fact in sorted(facts, key=lambda fact: fact.at):
            if fact.at >= self._since and fact.key not in shown.facts:
                shown.facts.add(fact.key)
                self._say("[bold]{number}[/]  " + fact.words, number=number, **fact.data)
        shown.is_over = view is not None and is_over(*view)

    def _of_letter(self, seen: SeenLetter, is_redriven: bool | None) -> Iterator["_Fact"]:
        data = {"function": topology.title(seen.function), "event": seen.letter.event_type}
        if seen.letter.key in self._old_letters:
            return
        yield _Fact(seen.seen_at, ("kept", seen.letter.key), "[red]■ {event} is a dead letter of {function}[/]", data)
        if seen.gone_at and is_redriven:
            yield _Fact(seen.gone_at, ("gone", seen.letter.key), "[green]↻ {event} is redriven to {function}[/]", data)


@dataclass(frozen=True)
class _Fact:
    """One line of an order: when it happened, a key that identifies it, and its words with their data."""

    at: str
    key: Any
    words: str
    data: Mapping[str, object]


def _of_order(view: OrderView) -> Iterator[_Fact]:
    order = view.order
    yield _Fact(order["placedAt"], "placed", "[bold]{goods}[/]", {"goods": goods(order)})
    again = list(_of_publications(view))
    republished = {(fact.data["function"], fact.data["event"]) for fact in again}
    for line in lines(view):
        if not (line.cause == "still open" and (line.function, line.outcome) in republished):
            yield _of_line(view, line)
    yield from again


def _of_line(view: OrderView, line: TimelineEntry) -> _Fact:
    after = f"{line.milliseconds:>6} ms" if line.is_timed else " " * 9
    words = f"[dim]{{after}}[/]  {{function}} → [{style(line.outcome)}]{{outcome}}[/]"
    data = {"after": after, "function": f"{line.function:<18}", "outcome": line.outcome}
    return _Fact(when(view, line), line, words, data)


def _of_publications(view: OrderView) -> Iterator[_Fact]:
    """The publications of an event after its first one: by the reconciler, which counts them, or a repetition."""
    seen = set()
    for event in sorted(view.trail, key=lambda event: str(event.get("loggedAt", ""))):
        fact, at = event.get("domainEventId"), str(event.get("loggedAt") or event["timestamp"])
        attempt = event.get("attempt") or 1
        if fact is not None and (fact, "published") in seen:
            if attempt > 1:
                words = "[yellow]↻ {function} publishes {event} again[/]"
            else:
                words = "[yellow]↻ {event} arrived again[/]"
            data = {"function": "Reconciler", "event": event["eventType"]}
            yield _Fact(at, ("again", event["eventId"]), words, data)
        seen.add((fact, "published"))


def _of_attempt(failed: FailedAttempt) -> _Fact:
    words = "[red]✗ {function}: attempt {attempt} of {of} failed: {reason}[/]"
    data = {
        "function": topology.title(failed.function),
        "attempt": failed.attempt,
        "of": failed.of,
        "reason": failed.reason.partition(":")[0],
    }
    return _Fact(failed.at, failed, words, data)
