"""One order with a crash before and after every call of every handler. All pairs: `npm run simulate -- --crashes`."""

import sys
from datetime import timedelta

import pytest

from orders.aws.store import OrdersTable
from verification.simulation import __main__ as command
from verification.simulation import playing
from verification.simulation.crashes import STORIES, Story, one_order, pairs, play, singles
from verification.simulation.faults import FaultKind

APPROVED, *_ = STORIES


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_an_order_survives_a_crash_at_any_point(story: Story) -> None:
    seed = one_order(story)
    points = singles(seed)

    assert {fault for crashes in points for fault in crashes.values()} == {
        FaultKind.CRASH_BEFORE,
        FaultKind.CRASH_AFTER,
        FaultKind.DIES_AT_START,
        FaultKind.DIES_AT_END,
    }
    for crashes in points:
        outcome = play(seed, crashes)
        assert outcome.trace.faults, f"the crash did not happen: {crashes}"
        assert outcome.ok, f"{crashes}: {outcome.violations}"


def test_the_crash_points_are_those_of_every_call_of_every_function() -> None:
    points = {place.partition("/")[2] for crashes in singles(one_order(APPROVED)) for place in crashes}
    calls = {point.partition(".")[2] for point in points}
    assert calls >= {"PutItem", "GetItem", "UpdateItem", "PutEvents", "Gateway", "SendEmail", "Publish"}


def test_a_second_crash_strikes_in_what_heals_the_first() -> None:
    seed = one_order(APPROVED)
    first = next(crashes for crashes in singles(seed) if FaultKind.CRASH_AFTER in crashes.values())
    second = [place for crashes in pairs(seed, first) for place in crashes if place not in first]
    assert any("#2" in place or ".2/" in place or "POST.2" in place for place in second), "in a retry"

    every = list(pairs(seed, first))
    for crashes in every[:: max(1, len(every) // 12)]:
        outcome = play(seed, crashes)
        assert outcome.ok, f"{crashes}: {outcome.violations}"


def test_a_second_crash_strikes_the_run_of_the_reconciler_that_heals_the_first() -> None:
    seed = one_order(APPROVED)
    publication = next(place for crashes in singles(seed) for place in crashes if place.endswith("PutEvents"))
    runs = [
        crashes
        for crashes in pairs(seed, {publication: FaultKind.CRASH_BEFORE})
        if any(place.startswith("reconciler.") for place in crashes)
    ]
    calls = {
        place.partition("/")[2].partition(".")[2] for crashes in runs for place in crashes if "reconciler" in place
    }
    assert calls == {"", "BatchGetItem", "UpdateItem", "PutEvents"}, (
        "the whole run, and each call but those for its list"
    )
    for crashes in runs:
        outcome = play(seed, crashes)
        assert outcome.ok, f"{crashes}: {outcome.violations}"


@pytest.fixture
def a_few_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third of them, each alone, so that the command ends soon."""
    monkeypatch.setattr(playing, "singles", lambda seed: singles(seed)[::3])
    monkeypatch.setattr(playing, "pairs", lambda seed, first: ())
    monkeypatch.setattr(sys, "argv", ["simulate", "--crashes", "--jobs", "1"])


@pytest.mark.usefixtures("a_few_crashes")
def test_the_command_counts_the_crashes_that_an_order_survived(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main() == 0
    printed = capsys.readouterr().out
    for story in STORIES:
        assert f"✓ {story}: {len(singles(one_order(story))[::3])} crashes" in printed


@pytest.mark.usefixtures("a_few_crashes")
def test_the_command_fails_and_names_the_crash_that_an_order_did_not_survive(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = OrdersTable.claim
    never = timedelta(days=1000)
    monkeypatch.setattr(OrdersTable, "claim", lambda *known, owner, **_: claim(*known, owner=owner, stale_after=never))
    assert command.main() == 1
    printed = capsys.readouterr().out
    assert "✗ tok_visa" in printed
    assert "open a day after the last fault" in printed
