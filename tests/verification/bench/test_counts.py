"""An order makes no more calls, units, events, invocations and log lines than were decided on.

`npm run bench -- --only counts` writes the decision down anew.
"""

import pytest

from tests.verification.bench.conftest import Stories
from verification.bench import price
from verification.bench.counts import Counts, MeteredStack, measure
from verification.bench.figures import TARGETS

BYTES = ("log bytes", "event bytes", "answer bytes", "stored bytes", "stored index bytes")
"""May differ by a few: durations and line numbers stand in log lines."""


def test_every_story_costs_what_was_decided_on(measured: Stories, decided: Stories, counted: MeteredStack) -> None:
    assert measured.keys() == decided.keys()
    if [story for story in measured if not _alike(measured[story], decided[story])]:
        measured = measure(counted)  # a busy machine makes the SDK repeat a call now and then: what is real comes again
    assert [story for story in measured if not _alike(measured[story], decided[story])] == []


def _alike(counts: Counts, decided: Counts) -> bool:
    exact = {name: value for name, value in decided.items() if name not in BYTES}
    bytes_ = {name: pytest.approx(decided[name], abs=40) for name in BYTES}
    return bool(counts == {**exact, **bytes_})


def test_an_approved_order_makes_no_more_calls_than_its_target(measured: Stories) -> None:
    assert sum(measured["approved"]["calls"].values()) <= TARGETS["calls"]


def test_a_million_approved_orders_cost_no_more_than_their_target(measured: Stories) -> None:
    assert price.total(price.a_million(measured["approved"])) <= TARGETS["usd"]


def test_what_comes_twice_sends_and_publishes_nothing(measured: Stories) -> None:
    for story, counts in measured.items():
        if story.startswith("duplicate") or story == "replayed request":
            assert (counts["events"], counts["e-mails"], counts["text messages"]) == ({}, 0, 0), story


def test_each_event_is_delivered_twice_to_each_of_its_consumers(measured: Stories) -> None:
    events = {*measured["approved"]["events"], *measured["declined"]["events"]}
    assert {name.removeprefix("duplicate ") for name in measured if name.startswith("duplicate")} == events
