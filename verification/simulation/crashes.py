"""One order with a crash at every point: before and after each call of each handler, alone and in all pairs."""

from collections.abc import Iterator, Mapping

from orders.aws.dynamodb import from_item
from verification.simulation.faults import FaultKind, ScriptedFaults
from verification.simulation.schedule import Outcome, run

Crashes = Mapping[str, FaultKind]
"""Place → the crash there."""

_AROUND_A_CALL = (FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER)
_AROUND_A_HANDLER = (FaultKind.DIES_AT_START, FaultKind.DIES_AT_END)


def one_order(method: str) -> int:
    """Return the first seed whose order 0 has this payment method, a phone number and an Idempotency-Key."""
    seed = 0
    while not _fits(run(seed, [0], faults=lambda _: ScriptedFaults({})), method):
        seed += 1
    return seed


def _fits(outcome: Outcome, method: str) -> bool:
    [order] = map(from_item, outcome.cloud.tables["Orders"].items.values())
    has_key = order["orderId"][14] == "5"  # a UUID derived from customer and key
    return order["paymentMethod"] == method and "phone" in order and has_key


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


def _places(outcome: Outcome, after: str | None = None) -> Iterator[tuple[str, FaultKind]]:
    """Yield each place of the trace where a handler of the order can die; with `after`, only the later ones."""
    passed = after is None
    for line in outcome.trace.lines:
        if passed and line.order == "0" and ".look" not in line.place:
            if line.what.endswith(" begins"):
                yield from ((line.who, fault) for fault in _AROUND_A_HANDLER)
            elif line.place:
                yield from ((line.place, fault) for fault in _AROUND_A_CALL)
        passed = passed or line.place == after
