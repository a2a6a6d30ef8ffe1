"""The gateway is up again, and nobody did anything: the scheduled reconciler takes the order up within a minute."""

from tests.e2e.conftest import Outage
from tests.e2e.shopper import Shopper


def test_an_order_of_the_outage_completes_by_itself(anna: Shopper, outage: Outage) -> None:
    order = anna.ended(outage.order_id, seconds=120)
    assert order["status"] == "FULFILLED"
    assert [change["status"] for change in order["statusHistory"]] == ["PLACED", "PAID", "FULFILLED"]


def test_its_trail_shows_the_second_attempt_at_the_same_fact(anna: Shopper, outage: Outage) -> None:
    anna.ended(outage.order_id, seconds=120)
    placed = [entry for entry in anna.whole_trail(outage.order_id) if entry["eventType"] == "OrderPlacedEvent"]
    assert [entry["attempt"] for entry in placed][:2] == [1, 2]
    assert len({entry["domainEventId"] for entry in placed}) == 1
    assert len({entry["eventId"] for entry in placed}) == len(placed)
    assert len(anna.inbox_of(outage.order_id)) == 1
