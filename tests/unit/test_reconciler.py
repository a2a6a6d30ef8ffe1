"""The reconciler heals whatever got lost: it republishes an order that has been open for too long."""

import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from handlers.wiring import store
from orders import clock
from orders.aws.store import LATE_SHARDS, YOUNG_SHARDS
from orders.choreography import reconcile
from orders.errors import GatewayUnavailable, OrderNotFound, ReconciliationIncomplete
from orders.ports import Due
from tests.conftest import Charges, Lines
from tests.shop import NotTold, Shop, changed

LetPass = Any
MINUTE = timedelta(minutes=1)


def _reconciled(shop: Shop) -> list[str]:
    """The ids of the orders that one run reconciles, in its order."""
    shop.drain()
    shop.reconcile()
    return [event["detail"]["data"]["orderId"] for event in shop.drain()]


def test_an_order_is_left_alone_until_its_time_has_come(shop: Shop, let_pass: LetPass) -> None:
    order_id = shop.place().body["orderId"]
    assert _reconciled(shop) == []
    let_pass(seconds=58)
    assert _reconciled(shop) == []
    let_pass(seconds=3)
    assert _reconciled(shop) == [order_id]


def test_a_young_order_is_due_after_the_seconds_that_the_deployment_says(
    shop: Shop, let_pass: LetPass, configured: Any
) -> None:
    configured(RECONCILE_AFTER_SECONDS="600")
    order_id = shop.place().body["orderId"]
    item = shop.item(order_id)
    assert clock.moment(item["dueAt"]) == clock.moment(item["placedAt"]) + 10 * MINUTE


@pytest.mark.parametrize("lost", ["OrderPlacedEvent", "PaymentCompletedEvent", "FulfillmentCompletedEvent"])
def test_whichever_event_is_lost_the_order_ends_all_the_same(
    shop: Shop, let_pass: LetPass, charges: Charges, lost: str
) -> None:
    # given an order one of whose events reaches nobody
    order_id, event = shop.placed()
    while event["detail-type"] != lost:
        shop.deliver("paymentProcessing" if event["detail-type"] == "OrderPlacedEvent" else "fulfillment", event)
        [event] = shop.drain()

    # when
    let_pass(seconds=61)
    shop.reconcile()
    shop.run()

    # then
    assert shop.order(order_id)["status"] == "FULFILLED"
    assert (len(charges), len(shop.emails)) == (1, 1)
    assert "dueAt" not in shop.item(order_id)
    assert _reconciled(shop) == []


def test_an_outage_of_the_gateway_ends_by_itself(
    shop: Shop, let_pass: LetPass, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setenv("PAYMENT_GATEWAY", "down")
    order_id, placed = shop.placed()
    for _ in range(3):
        with pytest.raises(GatewayUnavailable):
            shop.deliver("paymentProcessing", placed)
    assert shop.order(order_id)["status"] == "PLACED"
    assert shop.drain() == []

    # when
    monkeypatch.setenv("PAYMENT_GATEWAY", "up")
    let_pass(seconds=61)
    shop.reconcile()
    shop.run()

    # then
    assert shop.order(order_id)["status"] == "FULFILLED"


def test_the_same_event_is_published_again_with_the_next_attempt(shop: Shop, let_pass: LetPass) -> None:
    # given
    order_id, placed = shop.placed()

    for attempt in (2, 3):
        # when
        let_pass(hours=7)
        shop.reconcile()

        # then
        [again] = shop.drain()
        assert again["detail"] == changed(placed, "detail.metadata.attempt", attempt)["detail"]
        assert again["source"] == "order-processing.orders"
        assert shop.item(order_id)["attempt"] == attempt


def test_the_pauses_double_up_to_six_hours_and_one_ends_at_the_one_hour_mark(shop: Shop, let_pass: LetPass) -> None:
    # given
    order_id = shop.place().body["orderId"]
    placed_at = clock.moment(shop.item(order_id)["placedAt"])
    ages, shards = [], []

    # when each run comes as soon as the order is due
    for _ in range(16):
        due = clock.moment(shop.item(order_id)["dueAt"])
        ages.append((due - placed_at) / MINUTE)
        shards.append(shop.item(order_id)["openShard"])
        let_pass(seconds=(due - clock.now()).total_seconds() + 0.001)
        assert _reconciled(shop) == [order_id]

    # then: after 1, 2, 4, 8, 16 … minutes, at the full hour, and every six hours in the end
    assert ages[:6] == pytest.approx([1, 3, 7, 15, 31, 60], abs=0.5)
    pauses = [after - before for before, after in itertools.pairwise(ages)]
    assert pauses[5:8] == pytest.approx([64, 128, 256], abs=0.5)
    assert pauses[8:] == pytest.approx([360] * 7, abs=0.5)
    assert set(shards[:6]) == {UUID(order_id).int % YOUNG_SHARDS}
    assert set(shards[6:]) == {LATE_SHARDS["open"]}


def test_after_any_number_of_attempts_there_is_a_next_one(shop: Shop, let_pass: LetPass) -> None:
    order_id = shop.place().body["orderId"]
    shop.change(order_id, attempt=100_000)
    let_pass(hours=2)
    assert _reconciled(shop) == [order_id]
    assert clock.moment(shop.item(order_id)["dueAt"]) - clock.now() == pytest.approx(360 * MINUTE, abs=MINUTE)


def test_each_run_counts_the_orders_that_are_open_for_over_an_hour(
    shop: Shop, let_pass: LetPass, metrics: Lines
) -> None:
    def counted() -> list[float]:
        metrics()
        shop.reconcile()
        return [value for line in metrics() if "OrdersOpenOverAnHour" in line for value in line["OrdersOpenOverAnHour"]]

    # given
    first = shop.place().body["orderId"]
    shop.place()
    assert counted() == [0], "a zero is a value as well: an alarm needs it"

    # when
    let_pass(minutes=61)
    shop.reconcile()

    # then
    assert counted() == [2]

    # and when one of them ends
    for event in [event for event in shop.published if event["detail"]["data"]["orderId"] == first][:1]:
        shop.deliver("paymentProcessing", event)
    shop.drain()
    shop.deliver("fulfillment", shop.events("PaymentCompletedEvent")[0])
    for function in ("orderStatusUpdater", "notification"):
        shop.deliver(function, shop.events("FulfillmentCompletedEvent")[0])

    # then
    assert counted() == [1]


def test_a_run_reconciles_at_most_its_limit_the_oldest_first(shop: Shop, let_pass: LetPass, configured: Any) -> None:
    # given seven orders, in other shards each
    configured(RECONCILE_MAX_ORDERS="3")
    ids = []
    for _ in range(7):
        ids.append(shop.place().body["orderId"])
        let_pass(milliseconds=10)

    # when, then
    let_pass(seconds=61)
    assert [_reconciled(shop) for _ in range(3)] == [ids[:3], ids[3:6], ids[6:]]
    assert _reconciled(shop) == []


def test_the_cost_of_a_run_grows_with_open_orders_and_not_with_all(shop: Shop, let_pass: LetPass) -> None:
    # given many orders that have ended
    for _ in range(5):
        shop.place()
    shop.run()
    let_pass(minutes=5)

    # when
    calls = len(shop.wire.calls)
    shop.reconcile()

    # then: it asked the index alone, which has none of them
    made = shop.wire.calls[calls:]
    assert {call.action for call in made} == {"dynamodb:Query"}
    assert {call.params["IndexName"] for call in made} == {"openOrders"}
    assert sum(call.answer["ScannedCount"] for call in made if call.answer) == 0


def test_of_two_runs_at_once_one_reconciles_the_order(shop: Shop, let_pass: LetPass) -> None:
    # given both have read the index
    order_id = shop.place().body["orderId"]
    let_pass(seconds=61)
    [due] = store().due(limit=10)

    # when
    first = reconcile(due, store(), first_pause=MINUTE, cancel_after=None)
    let_pass(milliseconds=1)
    second = reconcile(due, store(), first_pause=MINUTE, cancel_after=None)

    # then
    assert first is not None
    assert second is None
    assert shop.item(order_id)["attempt"] == 2


def test_of_two_runs_that_plan_the_same_next_time_exactly_one_reconciles_the_order(
    shop: Shop, let_pass: LetPass, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an order of 35 minutes, whose next attempt every run plans for the full hour
    order_id = shop.place().body["orderId"]
    shop.change(order_id, attempt=5)
    let_pass(minutes=35)
    [due] = store().due(limit=10)
    as_read = store().get(order_id)
    monkeypatch.setattr(type(store()), "get", lambda *_: as_read)  # both have read it before either writes

    # when
    taken = [reconcile(due, store(), first_pause=MINUTE, cancel_after=None) for _ in range(2)]

    # then
    assert [event is not None for event in taken] == [True, False]
    assert shop.item(order_id)["attempt"] == 6


def test_an_order_whose_taking_up_lost_its_answer_is_reconciled_all_the_same(shop: Shop, let_pass: LetPass) -> None:
    # given
    order_id = shop.place().body["orderId"]
    let_pass(seconds=61)
    shop.wire.lose_answer("dynamodb:UpdateItem")

    # when the SDK repeats the write, which finds the due time moved: by this run, as it can tell
    assert _reconciled(shop) == [order_id]

    # then
    assert shop.item(order_id)["attempt"] == 2


def test_an_index_that_lags_behind_does_nothing_to_an_order_that_has_moved_on(
    shop: Shop, let_pass: LetPass, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an order that ended and one that was reconciled meanwhile, which the index still shows as due
    closed, moved = shop.place().body["orderId"], shop.place().body["orderId"]
    stale = [Due(shop.item(order_id)["dueAt"], order_id) for order_id in (closed, moved)]
    for event in shop.drain()[:1]:
        shop.deliver("paymentProcessing", event)
    shop.run()
    let_pass(seconds=61)
    assert _reconciled(shop) == [moved]
    monkeypatch.setattr(type(store()), "due", lambda self, *, limit: stale)
    before = shop.wire.effects()

    # when
    taken = _reconciled(shop)

    # then
    assert taken == []
    assert shop.wire.effects() == before


def test_an_ended_order_that_nobody_closed_is_closed_and_starts_nothing(shop: Shop, let_pass: LetPass) -> None:
    # given one that has its final status and its receipt, but is listed among the open ones
    order_id = shop.place().body["orderId"]
    open_keys = {name: shop.item(order_id)[name] for name in ("openShard", "dueAt")}
    shop.run()
    shop.change(order_id, **open_keys)

    # when
    let_pass(seconds=61)
    taken = _reconciled(shop)

    # then
    assert taken == []
    assert not {"openShard", "dueAt"} & shop.item(order_id).keys()


def test_an_order_whose_customer_was_not_told_is_reconciled(shop: Shop, let_pass: LetPass) -> None:
    # given
    order_id = shop.place().body["orderId"]
    shop.wire.fail("ses:SendEmail", "TooManyRequestsException", status=429)
    with pytest.raises(NotTold):
        shop.run()
    assert "notification" not in shop.item(order_id)

    # when
    let_pass(seconds=61)
    shop.reconcile()
    shop.run()

    # then
    assert len(shop.emails) == 1
    assert shop.order(order_id)["status"] == "FULFILLED"
    assert "dueAt" not in shop.item(order_id)


def test_one_order_that_fails_does_not_hold_up_the_others_and_fails_the_run_at_its_end(
    shop: Shop, let_pass: LetPass, log_lines: Lines
) -> None:
    # given
    ids = [shop.place().body["orderId"] for _ in range(3)]
    broken = min(ids, key=lambda order_id: (shop.item(order_id)["dueAt"], order_id))  # the first of the run
    shop.change(broken, status="LOST")
    let_pass(seconds=61)
    shop.drain()

    # when
    with pytest.raises(ReconciliationIncomplete, match=f"1 orders could not be reconciled, the first is {broken}"):
        shop.reconcile()

    # then
    assert {event["detail"]["data"]["orderId"] for event in shop.drain()} == set(ids) - {broken}
    [error] = [line for line in log_lines() if line["level"] == "ERROR"]
    assert error["orderId"] == broken
    assert "MalformedOrder" in error["message"]


def test_an_order_that_can_not_be_read_is_postponed_so_that_it_does_not_stay_the_first_for_ever(
    shop: Shop, let_pass: LetPass
) -> None:
    # given
    broken = shop.place().body["orderId"]
    shop.change(broken, status="LOST")
    let_pass(seconds=61)
    with pytest.raises(ReconciliationIncomplete):
        shop.reconcile()

    # when
    let_pass(seconds=60)
    shop.reconcile()

    # then
    let_pass(seconds=6 * 60 * 60)
    with pytest.raises(ReconciliationIncomplete):
        shop.reconcile()


def test_an_order_without_its_first_status_has_no_event_and_says_so(
    shop: Shop, let_pass: LetPass, log_lines: Lines
) -> None:
    order_id = shop.place().body["orderId"]
    shop.drain()
    shop.change(order_id, statusHistory=[])
    let_pass(seconds=61)

    with pytest.raises(ReconciliationIncomplete):
        shop.reconcile()

    assert shop.drain() == []
    assert any("has no statusHistory" in line["message"] for line in log_lines() if line["level"] == "ERROR")


def test_an_event_that_the_bus_does_not_take_is_published_at_the_next_attempt(
    shop: Shop, let_pass: LetPass, metrics: Lines
) -> None:
    # given
    order_id = shop.place().body["orderId"]
    shop.drain()
    let_pass(seconds=61)
    shop.wire.fail("events:PutEvents", "InternalFailure", status=500)

    # when
    with pytest.raises(ReconciliationIncomplete):
        shop.reconcile()

    # then
    assert shop.drain() == []
    let_pass(seconds=121)
    assert _reconciled(shop) == [order_id]


def test_an_order_that_has_vanished_fails_the_run_and_stays_away(shop: Shop) -> None:
    with pytest.raises(OrderNotFound):
        reconcile(Due("2026-01-31T09:30:00.123Z", str(uuid4())), store(), first_pause=MINUTE, cancel_after=None)
    assert shop.everything()["Orders"] == []


def test_what_was_reconciled_is_counted(shop: Shop, let_pass: LetPass, metrics: Lines) -> None:
    shop.place()
    shop.place()
    let_pass(seconds=61)
    metrics()
    shop.reconcile()
    assert [line["OrdersReconciled"] for line in metrics() if "OrdersReconciled" in line] == [[1], [1]]


def test_every_shard_is_asked(shop: Shop, let_pass: LetPass) -> None:
    """Orders by hand, one in each shard: none of them is overlooked."""
    # given
    order_id = shop.place().body["orderId"]
    template = shop.item(order_id)
    ids = {order_id}
    for shard in (*range(YOUNG_SHARDS), *LATE_SHARDS.values()):
        ids.add(copy_id := str(uuid4()))
        shop.store({**template, "orderId": copy_id, "openShard": shard})

    # when
    let_pass(seconds=61)

    # then
    assert set(_reconciled(shop)) == ids


def test_young_orders_spread_over_twenty_shards_or_more(shop: Shop) -> None:
    assert YOUNG_SHARDS >= 20
    shards = {shop.item(shop.place().body["orderId"])["openShard"] for _ in range(30)}
    assert shards <= set(range(YOUNG_SHARDS))
    assert len(shards) > 5
