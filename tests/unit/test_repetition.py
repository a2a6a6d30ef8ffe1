"""Events arrive at least once and in any order: what repeats or reorders them must not show."""

from itertools import permutations
from typing import Any

import pytest

from orders.aws.gateway import SimulatedGateway
from tests.conftest import Charges, Lines
from tests.shop import Envelope, NotTold, Shop, changed
from verification import matching


def test_ten_deliveries_of_a_placed_order_charge_once(shop: Shop, charges: Charges) -> None:
    # given
    order_id, placed = shop.placed()

    # when
    for _ in range(10):
        shop.deliver("paymentProcessing", placed)

    # then
    assert len(charges) == 1
    assert shop.item(order_id)["payment"]["paymentId"] == charges[0].payment_id
    told = shop.events("PaymentCompletedEvent")
    assert len(told) == 10, "each delivery publishes the next event, while the order is open"
    assert all(event["detail"] == told[0]["detail"] for event in told), "the same event, with the same eventId"


def test_ten_deliveries_of_a_payment_fulfil_once(shop: Shop, metrics: Lines) -> None:
    # given
    order_id, placed = shop.placed()
    shop.deliver("paymentProcessing", placed)
    [paid] = shop.drain()

    # when
    for _ in range(10):
        shop.deliver("fulfillment", paid)

    # then
    told = shop.events("FulfillmentCompletedEvent")
    assert len(told) == 10
    assert all(event["detail"] == told[0]["detail"] for event in told)
    assert told[0]["detail"]["data"]["trackingId"] == shop.item(order_id)["fulfillment"]["trackingId"]
    assert len([line for line in metrics() if "OrdersFulfilled" in line]) == 1


@pytest.mark.parametrize("method", ["tok_visa", "tok_declined"])
def test_ten_deliveries_of_every_event_to_every_consumer_leave_one_of_each(
    shop: Shop, charges: Charges, method: str
) -> None:
    # given
    order_id = shop.place(paymentMethod=method, phone="+4915112345678").body["orderId"]
    shop.run()
    before = shop.item(order_id)

    # when
    for _ in range(10):
        for event in shop.published:
            _deliver_to_all(shop, event)

    # then
    assert shop.item(order_id) == before
    assert (len(charges), len(shop.emails), len(shop.texts)) == (1, 1, 1)


def test_the_first_payment_wins_where_two_run_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # given two invocations, of which the second one stores its payment while the first one is at the gateway
    order_id, placed = shop.placed()
    charge = SimulatedGateway.charge

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(SimulatedGateway, "charge", charge)
        shop.deliver("paymentProcessing", placed)
        return charge(*args, **kwargs)

    monkeypatch.setattr(SimulatedGateway, "charge", overtaken)

    # when
    shop.deliver("paymentProcessing", placed)

    # then both tell the same
    first, second = shop.events("PaymentCompletedEvent")
    assert first["detail"] == second["detail"]
    assert shop.item(order_id)["payment"]["eventId"] == first["detail"]["metadata"]["eventId"]


def _status_events(shop: Shop, method: str) -> tuple[str, list[Envelope]]:
    """A placed order with payment and fulfilment stored, whose events no status updater has seen."""
    order_id, placed = shop.placed(paymentMethod=method)
    shop.deliver("paymentProcessing", placed)
    events = shop.drain()
    if method == "tok_visa":
        shop.deliver("fulfillment", events[0])
        events += shop.drain()
    return order_id, events


@pytest.mark.parametrize("arrival", sorted(set(permutations("PPPFFF"))), ids="".join)
def test_every_order_of_arrival_ends_fulfilled(shop: Shop, arrival: tuple[str, ...]) -> None:
    # given
    order_id, [paid, fulfilled] = _status_events(shop, "tok_visa")

    # when
    for each in arrival:
        shop.deliver("orderStatusUpdater", paid if each == "P" else fulfilled)

    # then
    item = shop.item(order_id)
    assert item["status"] == "FULFILLED"
    statuses = [change["status"] for change in item["statusHistory"]]
    assert statuses == (["PLACED", "PAID", "FULFILLED"] if arrival[0] == "P" else ["PLACED", "FULFILLED"])


def test_ten_deliveries_of_a_status_event_make_one_status_entry(shop: Shop, metrics: Lines) -> None:
    order_id, [failed] = _status_events(shop, "tok_declined")
    for _ in range(10):
        shop.deliver("orderStatusUpdater", failed)
    assert [change["status"] for change in shop.item(order_id)["statusHistory"]] == ["PLACED", "PAYMENT_FAILED"]
    assert len([line for line in metrics() if "SecondsToFinalStatus" in line]) == 1


@pytest.mark.parametrize("method", ["tok_visa", "tok_declined"])
@pytest.mark.parametrize("arrival", sorted(set(permutations(["status", "status", "mail", "mail"]))), ids="-".join)
def test_whichever_comes_second_of_status_and_e_mail_closes_the_order(
    shop: Shop, method: str, arrival: tuple[str, ...]
) -> None:
    # given
    order_id, [*_, outcome] = _status_events(shop, method)

    # when
    done: set[str] = set()
    for each in arrival:
        assert ("dueAt" in shop.item(order_id)) == (len(done) < 2), "open exactly until both have come"
        shop.deliver("orderStatusUpdater" if each == "status" else "notification", outcome)
        done.add(each)

    # then
    assert not {"openShard", "dueAt"} & shop.item(order_id).keys()
    assert len(shop.emails) == 1


@pytest.mark.parametrize("method", ["tok_visa", "tok_declined"])
def test_a_closed_order_starts_nothing(shop: Shop, charges: Charges, method: str) -> None:
    # given
    shop.place(paymentMethod=method, phone="+4915112345678")
    shop.run()
    before, published = shop.everything(), len(shop.published)

    # when the archive replays everything
    for event in list(shop.published):
        _deliver_to_all(shop, {**event, "replay-name": "replay"})

    # then
    assert len(shop.published) == published
    assert shop.everything() == before, "the audit log included: a replayed event was logged when it was new"
    assert (len(charges), len(shop.emails), len(shop.texts)) == (1, 1, 1)


def test_a_crash_between_storing_and_publishing_is_healed_by_the_next_delivery(shop: Shop, charges: Charges) -> None:
    # given
    order_id, placed = shop.placed()

    # when each step fails to publish at first, and Lambda tries again
    for function, event_type in (("paymentProcessing", "PaymentCompleted"), ("fulfillment", "FulfillmentCompleted")):
        shop.wire.fail("events:PutEvents", "InternalFailure", status=500)
        event = placed if function == "paymentProcessing" else shop.drain()[0]
        with pytest.raises(Exception, match=f"{event_type}Event of order {order_id}"):
            shop.deliver(function, event)
        shop.deliver(function, event)

    # then
    assert len(charges) == 1
    shop.run()
    assert shop.order(order_id)["fulfillment"]["trackingId"]


@pytest.mark.parametrize(
    ("function", "writes"),
    [("paymentProcessing", 2), ("fulfillment", 1), ("orderStatusUpdater", 1), ("notification", 2)],
)
def test_a_write_whose_answer_was_lost_changes_nothing_of_the_story(
    shop: Shop, charges: Charges, metrics: Lines, function: str, writes: int
) -> None:
    """The SDK repeats the write by itself; what it finds then is its own."""
    for skip in range(writes):
        # given
        order_id = shop.place().body["orderId"]
        waiting = shop.drain()

        # when
        while waiting:
            event = waiting.pop(0)
            for consumer in matching.consumers(event):
                if consumer == function:
                    shop.wire.lose_answer("dynamodb:UpdateItem", skip=skip)
                shop.deliver(consumer, event)
            waiting += shop.drain()

        # then
        item = shop.item(order_id)
        assert [change["status"] for change in item["statusHistory"]] == ["PLACED", "PAID", "FULFILLED"]
        assert not {"openShard", "dueAt"} & item.keys()
    assert (len(charges), len(shop.emails), len(shop.published)) == (writes, writes, 3 * writes)
    counted = [line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] for line in metrics()]
    for name in ("OrdersPaid", "OrdersFulfilled", "CustomersNotified"):
        assert counted.count(name) == writes


def test_an_event_whose_publication_s_answer_was_lost_is_published_twice_as_the_same(shop: Shop) -> None:
    shop.wire.lose_answer("events:PutEvents")
    order_id = shop.place().body["orderId"]
    assert shop.wire.requests.count("PutEvents") == 2
    shop.run()
    assert shop.order(order_id)["status"] == "FULFILLED"


def test_the_same_fact_published_again_differs_in_its_attempt_alone(shop: Shop, let_pass: Any) -> None:
    # given
    order_id, placed = shop.placed()
    shop.deliver("paymentProcessing", placed)
    [paid] = shop.drain()

    # when
    let_pass(seconds=61)
    shop.reconcile()
    [again] = shop.drain()
    shop.deliver("paymentProcessing", again)
    [paid_again] = shop.drain()

    # then
    assert again["detail"] == changed(placed, "detail.metadata.attempt", 2)["detail"]
    assert paid_again["detail"] == changed(paid, "detail.metadata.attempt", 2)["detail"]
    assert shop.item(order_id)["attempt"] == 2


def _deliver_to_all(shop: Shop, event: Envelope) -> None:
    for function in matching.consumers(event):
        try:
            shop.deliver(function, event)
        except NotTold:
            pytest.fail(f"{event['detail-type']} was given back to the queue")


def test_an_order_that_is_closed_is_not_charged_any_more(shop: Shop, charges: Charges) -> None:
    order_id, placed = shop.placed()
    told = {"channel": "email", "messageId": "m1", "at": "2026-01-31T09:30:00.000Z"}
    shop.change(order_id, status="FULFILLED", notification=told)

    shop.deliver("paymentProcessing", placed)

    assert charges == []
    assert shop.drain() == []
