"""One order, killed before and after every call of every handler. All pairs: `npm run simulate -- --crashes`."""

import pytest

from simulation.crashes import one_order, pairs, play, singles
from simulation.faults import Fault


@pytest.mark.parametrize("method", ["tok_visa", "tok_declined"])
def test_an_order_survives_a_crash_at_any_point(method: str) -> None:
    seed = one_order(method)
    points = singles(seed)

    assert {fault for crashes in points for fault in crashes.values()} == {
        Fault.CRASH_BEFORE,
        Fault.CRASH_AFTER,
        Fault.DIES_AT_START,
        Fault.DIES_AT_END,
    }
    for crashes in points:
        outcome = play(seed, crashes)
        assert outcome.story.faults, f"the crash did not happen: {crashes}"
        assert outcome.ok, f"{crashes}: {outcome.violations}"


def test_the_crash_points_are_those_of_every_call_of_every_function() -> None:
    points = {place.partition("/")[2] for crashes in singles(one_order("tok_visa")) for place in crashes}
    calls = {point.partition(".")[2] for point in points}
    assert calls >= {"PutItem", "GetItem", "UpdateItem", "PutEvents", "Charge", "SendEmail", "Publish"}


def test_a_second_crash_strikes_in_what_heals_the_first() -> None:
    seed = one_order("tok_visa")
    first = next(crashes for crashes in singles(seed) if Fault.CRASH_AFTER in crashes.values())
    second = [place for crashes in pairs(seed, first) for place in crashes if place not in first]
    assert any("#2" in place or ".2/" in place or "POST.2" in place for place in second), "in a retry"

    every = list(pairs(seed, first))
    for crashes in every[:: max(1, len(every) // 12)]:
        outcome = play(seed, crashes)
        assert outcome.ok, f"{crashes}: {outcome.violations}"
