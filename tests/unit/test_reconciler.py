"""The reconciler heals whatever got lost: it republishes an order that has been open for too long."""

import itertools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from handlers import reconciler
from handlers.wiring import bus, store
from orders import clock
from orders.aws import store as store_module
from orders.aws.bus import MOST_EVENTS
from orders.aws.store import LATE_SHARDS, YOUNG_SHARDS
from orders.choreography import Republication, reconcile
from orders.errors import GatewayUnavailable, OrderNotFound, ReconciliationIncomplete
from orders.observability import count
from orders.ports import Due
from tests.conftest import Charges, Lines
from tests.shop import Context, NotTold, Shop, changed
from tools import topology

LetPass = Any
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class _Passing(Context):
    """A context whose time-out comes nearer: what is left at each look, then the last value for ever."""

    looks: Iterator[int] = field(default_factory=lambda: itertools.repeat(120_000))

    def get_remaining_time_in_millis(self) -> int:
        return next(self.looks)


def _reconciled(shop: Shop, context: Context | None = None) -> list[str]:
    """The ids of the orders that one run reconciles; in its order, where it has a single thread."""
    shop.drain()
    shop.reconcile(context)
    return [event["detail"]["data"]["orderId"] for event in shop.drain()]


def _due() -> list[Due]:
    with ThreadPoolExecutor() as pool:
        return list(store().due(pool))


def _reconcile(due: Due) -> Republication | None:
    [order] = store().get_all([due.order_id])
    return reconcile(due, order, store(), first_pause=MINUTE, cancel_after=None)


def _place(shop: Shop, let_pass: LetPass, number: int) -> list[str]:
    """Orders that are due, in the order of their due times; nothing is on the bus."""
    ids = []
    for _ in range(number):
        ids.append(shop.place().body["orderId"])
        let_pass(milliseconds=10)
    let_pass(seconds=61)
    shop.drain()
    return ids


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
    assert placed["detail"]["metadata"]["attempt"] == 1
    assert "attempt" not in shop.item(order_id), "the first one needs no bytes"

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


# --- many at once -----------------------------------------------------------------------------------------------------


def test_a_run_reconciles_all_that_is_due_the_oldest_first(shop: Shop, let_pass: LetPass, configured: Any) -> None:
    configured(RECONCILE_CONCURRENCY="1")
    ids = _place(shop, let_pass, 25)
    assert _reconciled(shop) == ids
    assert _reconciled(shop) == []


def test_ten_orders_take_a_read_ten_writes_and_a_publication(shop: Shop, let_pass: LetPass, configured: Any) -> None:
    # given
    configured(RECONCILE_CONCURRENCY="3")
    _place(shop, let_pass, 40)
    before = len(shop.wire.calls)

    # when
    shop.reconcile()

    # then
    made = [call.action for call in shop.wire.calls[before:]]
    queries = 1 + YOUNG_SHARDS + len(LATE_SHARDS) * 2
    assert {action: made.count(action) for action in made} == {
        "dynamodb:Query": queries - 1,
        "dynamodb:BatchGetItem": 4,
        "dynamodb:UpdateItem": 40,
        "events:PutEvents": 4,
    }
    assert [len(call.params["Entries"]) for call in shop.wire.of("events:PutEvents")[-4:]] == [MOST_EVENTS] * 4


def test_as_many_batches_are_worked_on_at_once_as_the_deployment_says(
    shop: Shop, let_pass: LetPass, configured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three threads wait for one another: with fewer, the barrier breaks."""
    # given
    configured(RECONCILE_CONCURRENCY="3")
    ids = _place(shop, let_pass, 3 * MOST_EVENTS)
    together, read = threading.Barrier(3, timeout=60), type(store()).get_all

    def read_together(*args: Any) -> Any:
        together.wait()
        return read(*args)

    monkeypatch.setattr(type(store()), "get_all", read_together)

    # when, then
    assert sorted(_reconciled(shop)) == sorted(ids)


def test_the_list_of_due_orders_is_read_page_by_page(
    shop: Shop, let_pass: LetPass, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given seven orders in one shard, and pages of three
    monkeypatch.setattr(store_module, "DUE_PAGE", 3)
    ids = _place(shop, let_pass, 7)
    for order_id in ids:
        shop.change(order_id, openShard=LATE_SHARDS["open"])

    # when, then
    assert [due.order_id for due in _due()] == ids
    assert sorted(_reconciled(shop)) == sorted(ids)


def test_a_run_whose_time_is_up_leaves_the_rest_to_the_next_run_and_says_so(
    shop: Shop, let_pass: LetPass, configured: Any, log_lines: Lines
) -> None:
    # given three batches that are due, and time for two
    configured(RECONCILE_CONCURRENCY="1")
    ids = _place(shop, let_pass, 25)
    oldest_left = shop.item(ids[20])["dueAt"]

    # when, then
    assert _reconciled(shop, _Passing(looks=iter([120_000, 65_000, 64_999]))) == ids[:20]
    [warning] = [line for line in log_lines() if line["level"] == "WARNING"]
    assert warning["message"] == f"Out of time: the next run continues with the orders due since {oldest_left}"

    # and when, then
    assert _reconciled(shop) == ids[20:]


def test_a_run_ends_before_the_next_one_begins(shop: Shop) -> None:
    """A run works until 65 seconds are left of its time-out; the schedule is a minute."""
    [schedule] = [event["eventBridge"]["schedule"] for event in topology.service()["functions"]["reconciler"]["events"]]
    assert schedule == "rate(1 minute)"
    assert topology.time_out("reconciler") - reconciler._ROUND_MS / 1000 < 60


def test_an_order_that_the_list_has_twice_is_published_once(
    shop: Shop, let_pass: LetPass, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the index lags, an order that has moved to another shard may be in both."""
    [order_id] = _place(shop, let_pass, 1)
    twice = _due() * 2
    monkeypatch.setattr(type(store()), "due", lambda self, pool: iter(twice))
    assert _reconciled(shop) == [order_id]


def test_an_entry_that_the_bus_refuses_is_retried_without_the_others(
    shop: Shop, let_pass: LetPass, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a bus that refuses the second of three entries, once
    monkeypatch.setattr("orders.aws.backoff.time.sleep", lambda _: None)
    ids = _place(shop, let_pass, 3)
    refused = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
    accepted = {"FailedEntryCount": 1, "Entries": [{"EventId": "1"}, refused, {"EventId": "3"}]}
    shop.wire.answer("events:PutEvents", accepted)

    # when
    before = len(shop.wire.of("events:PutEvents"))
    shop.reconcile()

    # then
    first, second = shop.wire.of("events:PutEvents")[before:]
    assert [json.loads(entry["Detail"])["data"]["orderId"] for entry in first.params["Entries"]] == ids
    assert second.params["Entries"] == first.params["Entries"][1:2]


def test_an_entry_that_the_bus_refuses_for_ever_fails_the_run_at_its_end_and_holds_no_order_up(
    shop: Shop, let_pass: LetPass, configured: Any, log_lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr("orders.aws.backoff.time.sleep", lambda _: None)
    configured(RECONCILE_CONCURRENCY="1")
    ids = _place(shop, let_pass, 12)
    refused = {"ErrorCode": "InternalFailure", "ErrorMessage": "no"}
    entries = [refused, *({"EventId": str(n)} for n in range(9))]
    shop.wire.answer("events:PutEvents", {"FailedEntryCount": 1, "Entries": entries})
    shop.wire.answer("events:PutEvents", {"FailedEntryCount": 1, "Entries": [refused]}, times=3)

    # when
    with pytest.raises(ReconciliationIncomplete, match=f"1 orders could not be reconciled, the first is {ids[0]}"):
        shop.reconcile()

    # then all others were published, the second batch as well
    assert [event["detail"]["data"]["orderId"] for event in shop.drain()] == ids[1:]
    [error] = [line for line in log_lines() if line["level"] == "ERROR"]
    assert error["orderId"] == ids[0]
    assert "PublishFailed: OrderPlacedEvent" in error["message"]


def test_a_bus_that_accepts_nothing_ends_the_run_and_every_order_is_due_in_a_minute(
    shop: Shop, let_pass: LetPass, configured: Any, log_lines: Lines
) -> None:
    # given
    configured(RECONCILE_CONCURRENCY="1")
    ids = _place(shop, let_pass, 25)
    due = {order_id: shop.item(order_id)["dueAt"] for order_id in ids}
    shop.wire.fail("events:PutEvents", "InternalFailure", status=500, times=100)

    # when
    with pytest.raises(ReconciliationIncomplete, match="10 orders could not be reconciled"):
        shop.reconcile()

    # then the orders of the first batch are due a minute from now, and the others are as they were
    soon = clock.timestamp(clock.now() + MINUTE)
    assert {shop.item(order_id)["dueAt"] for order_id in ids[:10]} == {soon}
    assert {order_id: shop.item(order_id)["dueAt"] for order_id in ids[10:]} == {id_: due[id_] for id_ in ids[10:]}
    [warning] = [line for line in log_lines() if line["level"] == "WARNING"]
    assert warning["message"] == "The bus accepts no events: the next run continues with the orders that are due"

    # and when the bus is back, every order is published within a minute
    shop.wire.forget_faults()
    assert _reconciled(shop) == ids[10:]
    let_pass(seconds=60)
    assert sorted(_reconciled(shop)) == sorted(ids[:10])


def test_an_order_that_was_cancelled_while_the_bus_was_down_keeps_its_new_due_time(
    shop: Shop, let_pass: LetPass, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a customer who cancels between the run's write and its failed publication
    [order_id] = _place(shop, let_pass, 1)
    shop.wire.fail("events:PutEvents", "InternalFailure", status=500, times=100)
    publish_all, due_at = type(bus()).publish_all, []

    def cancelled_meanwhile(*args: Any) -> Any:
        let_pass(seconds=5)
        shop.cancel(order_id)
        due_at.append(shop.item(order_id)["dueAt"])
        let_pass(seconds=5)
        return publish_all(*args)

    monkeypatch.setattr(type(bus()), "publish_all", cancelled_meanwhile)
    monkeypatch.setattr(type(bus()), "publish", lambda *_: None)  # OrderService's own

    # when
    with pytest.raises(ReconciliationIncomplete):
        shop.reconcile()

    # then
    assert [shop.item(order_id)["dueAt"]] == due_at


def test_a_batch_that_can_not_be_read_fails_the_run_and_changes_nothing(
    shop: Shop, let_pass: LetPass, log_lines: Lines
) -> None:
    ids = _place(shop, let_pass, 2)
    before = {order_id: shop.item(order_id) for order_id in ids}
    shop.wire.fail("dynamodb:BatchGetItem", "InternalServerError", status=500, times=3)
    with pytest.raises(ReconciliationIncomplete, match="2 orders could not be reconciled"):
        shop.reconcile()
    assert {order_id: shop.item(order_id) for order_id in ids} == before
    assert [line["orderId"] for line in log_lines() if line["level"] == "ERROR"] == ids


def test_lines_of_threads_that_log_and_count_at_once_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    def work(number: int) -> None:
        for _ in range(50):
            count("OrdersCancelled", number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 400


# --- one by one -------------------------------------------------------------------------------------------------------


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
    [due] = _due()

    # when
    first = _reconcile(due)
    let_pass(milliseconds=1)
    second = _reconcile(due)

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
    [due] = _due()
    as_read = store().get(order_id)  # both have read it before either writes

    # when
    taken = [reconcile(due, as_read, store(), first_pause=MINUTE, cancel_after=None) for _ in range(2)]

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
    monkeypatch.setattr(type(store()), "due", lambda self, pool: iter(stale))
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
    let_pass(seconds=61)
    assert _reconciled(shop) == [order_id]


def test_an_order_that_has_vanished_fails_the_run_and_stays_away(shop: Shop) -> None:
    with pytest.raises(OrderNotFound):
        _reconcile(Due("2026-01-31T09:30:00.123Z", str(uuid4())))
    assert shop.everything()["Orders"] == []


def test_what_was_reconciled_is_counted(shop: Shop, let_pass: LetPass, metrics: Lines) -> None:
    shop.place()
    shop.place()
    let_pass(seconds=61)
    metrics()
    shop.reconcile()
    assert [line["OrdersReconciled"] for line in metrics() if "OrdersReconciled" in line] == [[2]]


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
