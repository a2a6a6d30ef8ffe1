"""Shortens the trace of a failing run: it leaves out orders and faults as long as the run still fails."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from verification.simulation.faults import short
from verification.simulation.schedule import Outcome, run

T = TypeVar("T")


def shortest(found: Outcome) -> Outcome:
    """Run the seed with the fewest orders, and then the fewest faults, that still fail. (Like Zeller's ddmin, 2002.)"""

    def fails_with_orders(orders: Sequence[int]) -> bool:
        return bool(orders) and not run(found.seed, orders).ok

    orders = _fewest(list(found.orders), fails_with_orders)
    outcome = run(found.seed, orders)

    def fails_with_faults(places: Sequence[str]) -> bool:
        return not run(found.seed, orders, only=places).ok

    places = list(dict.fromkeys(short(line.place) for line in outcome.trace.faults))
    if fails_with_faults(places):
        places = _fewest(places, fails_with_faults)
        outcome = run(found.seed, orders, only=places)
    return outcome


def command(outcome: Outcome) -> str:
    """Return the command that repeats a run."""
    places = dict.fromkeys(short(line.place) for line in outcome.trace.faults)
    orders = ",".join(map(str, outcome.orders))
    return f"npm run simulate -- --seed {outcome.seed} --orders {orders} --faults {','.join(places) or 'none'}"


def _fewest(parts: list[T], fails: Callable[[Sequence[T]], bool]) -> list[T]:
    """Return a sublist that still fails, and does not without any one of its parts."""
    size = max(1, len(parts) // 2)
    while True:
        start = 0
        while start < len(parts):
            rest = parts[:start] + parts[start + size :]
            if fails(rest):
                parts = rest
            else:
                start += size
        if size == 1:
            return parts
        size = max(1, size // 2)
