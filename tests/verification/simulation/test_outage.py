"""After an hour without the bus or the gateway every order ends by itself, within minutes and not within hours."""

import pytest

from verification.simulation.outage import SCENARIOS, Scenario, heal


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_order_of_an_outage_ends_within_its_bound(scenario: Scenario) -> None:
    healing = heal(scenario, orders=200)
    assert healing.violations == []
    assert healing.backlog > 190, "the outage has stopped them"


def test_an_order_that_ends_too_late_and_one_that_is_published_too_often_are_seen() -> None:
    healing = heal(SCENARIOS[1]._replace(most_minutes=1, most_publications=2), orders=30)
    assert "minutes went by until every order had ended" in healing.violations[0]
    assert "an order was published" in healing.violations[1]
