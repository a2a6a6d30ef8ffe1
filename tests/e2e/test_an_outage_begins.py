"""The payment gateway is down. How it ends, a minute later: `test_the_outage_has_healed.py`."""

from tests.e2e.cloud import Cloud
from tests.e2e.conftest import Outage


def test_an_order_is_placed_all_the_same(outage: Outage) -> None:
    assert outage.placed.status_code == 201
    assert outage.placed.json()["status"] == "PLACED"


def test_the_payment_is_tried_three_times_and_then_kept_for_the_operator(cloud: Cloud, outage: Outage) -> None:
    [letter] = outage.dead_letters
    assert (letter.function, letter.attempts) == ("paymentProcessing", 3)
    assert letter.event["detail-type"] == "OrderPlacedEvent"
    assert letter.event["detail"]["data"]["orderId"] == outage.order_id
    assert letter.reason == "the payment gateway does not respond; no money moved"
    assert cloud.errors("paymentProcessing", letter.event["id"]) == [f"GatewayUnavailable: {letter.reason}"] * 3


def test_nothing_was_charged_meanwhile(outage: Outage) -> None:
    assert "payment" not in outage.item_meanwhile
    assert outage.item_meanwhile["status"] == {"S": "PLACED"}
