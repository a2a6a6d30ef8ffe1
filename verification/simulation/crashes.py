"""One order with a crash at every point: before and after each call of each handler, alone and in all pairs."""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import count
from typing import NamedTuple

from orders.aws.dynamodb import from_item
from verification.simulation.deployment import SCHEDULED_FUNCTIONS
from verification.simulation.faults import FaultKind, ScriptedFaults
from verification.simulation.schedule import Outcome, run
from verification.simulation.trace import TraceEntry

Crashes = Mapping[str, FaultKind]
"""Place → the crash there."""


class Story(NamedTuple):
    """An order's outcome when nothing crashes."""

    payment_method: str
    status: str
    during_charge: bool = False
    """Whether the order is cancelled between the charge and its record."""

    def __str__(self) -> str:
        moment = ", cancelled during the charge" if self.during_charge else ""
        return f"{self.payment_method} → {self.status}{moment}"


_AROUND_A_CALL = (FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER)
_AROUND_A_HANDLER = (FaultKind.DIES_AT_START, FaultKind.DIES_AT_END)


STORIES = (
    Story("tok_visa", "FULFILLED"),
    Story("tok_declined", "PAYMENT_FAILED"),
    Story("tok_visa", "CANCELLED"),
    Story("tok_visa", "REFUNDED"),
    Story("tok_mastercard", "REFUNDED", during_charge=True),
)
"""One for each outcome of an order; a cancellation comes before, after or during the charge."""


@cache
def one_order(story: Story) -> int:
    """Return the first seed whose order 0 is this story's, with a phone number and an Idempotency-Key."""
    return next(seed for seed in count() if _fits(run(seed, [0], faults=lambda _: ScriptedFaults({})), story))


def _fits(outcome: Outcome, story: Story) -> bool:
    [order] = map(from_item, outcome.cloud.tables["Orders"].items.values())
    has_key = order["orderId"][14] == "5"  # a UUID derived from customer and key
    published = {event["detail-type"] for event in outcome.cloud.checker.published}
    during_charge = order["status"] == "REFUNDED" and "PaymentCompletedEvent" not in published
    return Story(order["paymentMethod"], order["status"], during_charge) == story and "phone" in order and has_key


def singles(seed: int) -> list[Crashes]:
    """Return every single crash of the order's handlers."""
    return [{place: fault} for place, fault in _places(play(seed, {}))]


def pairs(seed: int, first: Crashes) -> Iterator[Crashes]:
    """Yield the first crash with each crash that can follow it, also in the retries and the healing that it causes."""
    trace = play(seed, first)
    [place] = first
    for second, fault in _places(trace, after=place):
        yield {**first, second: fault}


def play(seed: int, crashes: Crashes) -> Outcome:
    return run(seed, [0], faults=lambda _: ScriptedFaults(crashes))


def _heals(line: TraceEntry) -> bool:
    """Whether a line is about a run of the reconciler, except for its queries of the due orders."""
    return line.who.partition(".")[0] in SCHEDULED_FUNCTIONS and not line.what.startswith("Query")


def _places(outcome: Outcome, after: str | None = None) -> Iterator[tuple[str, FaultKind]]:
    """Yield each place of the trace where a handler of the order can die; with `after`, only the later ones."""
    passed = after is None
    for line in outcome.trace.lines:
        if passed and (line.order == "0" or _heals(line)) and ".look" not in line.place:
            if line.what.endswith(" begins"):
                yield from ((line.who, fault) for fault in _AROUND_A_HANDLER)
            elif line.place:
                yield from ((line.place, fault) for fault in _AROUND_A_CALL)
        passed = passed or line.place == after
