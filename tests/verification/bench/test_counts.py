"""An order makes no more calls, units, events, invocations and log lines than were decided on.

`npm run bench -- --only counts` writes the new counts.
"""

from collections import Counter

import pytest

from operations.preflight.account import INVOCATIONS_OF_A_THREAD
from orders.aws.dynamodb import from_item
from orders.events import EVENTS
from tests.verification.bench.conftest import Stories
from tools import topology
from tools.checkout import ROOT
from tools.topology import always_deployed
from verification.bench import growth, price, results, units
from verification.bench.cold_start import Start, starts
from verification.bench.counts import NOBODY_WATCHES, WAITING, WATCHED, Counts
from verification.bench.figures import TARGETS
from verification.bench.journey import FUNCTIONS, WITH_STOREFRONT, functions

RECONCILE_CONCURRENCY = int(topology.setting("${param:reconcileConcurrency}"))
REQUESTS_OF_A_PAGE = 10
BYTES = ("log bytes", "event bytes", "response bytes", "websocket bytes", "stored bytes", "stored index bytes")
"""May differ by a few: log lines contain durations and line numbers."""


def test_every_story_costs_what_was_decided_on(measured: Stories, decided: Stories) -> None:
    assert measured.keys() == decided.keys()
    assert [story for story in measured if not _alike(measured[story], decided[story])] == []


def _alike(counts: Counts, decided: Counts) -> bool:
    exact = {name: value for name, value in decided.items() if name not in BYTES}
    bytes_ = {name: pytest.approx(decided[name], rel=0.01, abs=40) for name in BYTES}
    return bool(counts == {**exact, **bytes_})


def test_an_approved_order_makes_no_more_calls_than_its_target(measured: Stories) -> None:
    assert sum(measured["approved"]["calls"].values()) <= TARGETS["calls"]


def test_a_thousand_due_orders_take_a_read_and_a_publication_for_ten_and_a_write_for_each(measured: Stories) -> None:
    """Before, one by one, they took 3,000 calls and ten runs."""
    due = measured["reconciler, 1,000 due"]
    assert due["calls"] == {
        "reconciler dynamodb:Query": 24,
        "reconciler dynamodb:BatchGetItem": 100,
        "reconciler dynamodb:UpdateItem": 1000,
        "reconciler events:PutEvents": 100,
    }
    assert due["events"] == {"OrderPlacedEvent": 1000}
    assert measured["reconciler, nothing due"]["calls"] == {"reconciler dynamodb:Query": 24}


def test_the_reconciler_heals_sixty_times_as_many_orders_a_minute_as_when_it_took_one_after_the_other(
    measured: Stories,
) -> None:
    """By counted calls, the durations that are assumed of AWS's, and the measured processor time."""
    assert price.healing(measured["reconciler, 1,000 due"]).orders_a_minute >= 60 * 100


def test_preflight_knows_how_many_invocations_a_thread_of_the_reconciler_keeps_busy(measured: Stories) -> None:
    """Ten orders in the time of a batch's calls, each of whose functions run for a while."""
    batch_ms = 10 * price.healing(measured["reconciler, 1,000 due"]).waiting_ms * RECONCILE_CONCURRENCY
    order_ms = sum(price.milliseconds(measured["approved"]).values())
    assert pytest.approx(10 * order_ms / batch_ms, rel=0.2) == INVOCATIONS_OF_A_THREAD


def test_the_provider_is_asked_once_about_an_order_and_at_most_twice_more_about_a_cancelled_one(
    measured: Stories,
) -> None:
    asked = {story: counts["provider's calls"] for story, counts in measured.items() if counts["provider's calls"]}
    assert asked == {
        "approved": 1,
        "approved, with phone": 1,
        "declined": 1,
        "cancelled before the charge": 2,  # nothing to refund, so it voids
        "cancelled after the charge": 2,  # the charge, and the refund
    }


def test_a_million_approved_orders_cost_no_more_than_was_decided_on(measured: Stories) -> None:
    """The target of 20 USD is missed, and docs/costs.md says why: so this holds the sum where it is."""
    assert price.total(price.a_million(measured["approved"])) < 22


def test_the_claim_of_the_e_mail_and_its_receipt_are_the_only_writes_of_an_order_that_count_twice(
    measured: Stories,
) -> None:
    """The order and its audit trail; docs/costs.md says why."""
    approved = measured["approved"]
    written = sum(times for call, times in approved["calls"].items() if call.endswith((":PutItem", ":UpdateItem")))
    assert approved["write units"] == written + 2
    assert units.WRITE_UNIT_BYTES < approved["largest item"]["Orders"] <= 2 * units.WRITE_UNIT_BYTES


def test_what_comes_twice_sends_and_publishes_nothing(measured: Stories) -> None:
    for story, counts in measured.items():
        if story.startswith("duplicate") or story == "replayed request":
            assert (counts["events"], counts["e-mails"], counts["text messages"]) == ({}, 0, 0), story


def test_each_event_is_delivered_twice_to_each_of_its_consumers(measured: Stories) -> None:
    stories = ("approved", "declined", "cancelled after the charge")
    events = {event for story in stories for event in measured[story]["events"]}
    assert events == set(EVENTS)
    assert {name.removeprefix("duplicate ") for name in measured if name.startswith("duplicate")} == events


# --- the order feed ---------------------------------------------------------------------------------------------------


def test_an_event_that_nobody_watches_costs_one_query_of_an_index(measured: Stories) -> None:
    unwatched = measured[NOBODY_WATCHES]
    assert unwatched["calls"] == {"orderFeed dynamodb:Query": 1}
    assert (unwatched["read units"], unwatched["write units"], unwatched["log lines"]) == (0.5, 0, 0)


def test_the_page_of_an_order_asks_ten_times_until_its_order_has_ended(measured: Stories) -> None:
    """By web/follower.js as it is: it polled 16 times."""
    watched = measured[WATCHED]
    assert watched["requests"] == REQUESTS_OF_A_PAGE
    assert watched["invocations"] == {"orderFeed": 3 + 3, "orderService": 8 + 1}  # the ticket is the tenth request
    assert watched["calls"]["orderFeed execute-api:PostToConnection"] == 2, "the page opens after the first event"
    assert watched["websocket messages"] == 2 + 2, "and two, with which its connection opens and closes"


def test_a_connection_writes_its_ticket_and_itself_and_deletes_both(measured: Stories) -> None:
    watched = measured[WATCHED]
    assert (watched["calls"]["orderFeed dynamodb:PutItem"], watched["calls"]["orderFeed dynamodb:DeleteItem"]) == (2, 2)
    assert (watched["write units"], watched["index write units"]) == (4, 2), "a ticket is in no index"
    assert (watched["stored bytes"], watched["stored index bytes"]) == (0, 0)


def test_a_page_whose_order_waits_asks_ever_more_seldom(measured: Stories) -> None:
    """Every 0.4 s, it asked 300 times in a minute."""
    assert measured[WAITING]["requests"] == 11


def test_the_order_s_page_reads_by_the_rule_that_is_counted() -> None:
    """page.mjs has a copy of it, since a view needs a browser; web/follower.js is no copy."""
    rule = "isPushed && isComplete(order, events)"
    view, counted = (ROOT / "web/views/order.js").read_text(), (ROOT / "verification/bench/page.mjs").read_text()
    assert f"Promise.all([api.order(orderId), {rule} ? null : api.events(orderId)" in view
    assert "const over = isOver(order) && isComplete(order, events);" in view
    assert f"!({rule})" in counted
    assert "over: isOver(order) && isComplete(order, events)" in counted


def test_an_order_costs_the_same_however_many_there_are() -> None:
    sizes = results.kept()["growth"].values
    assert list(sizes) == ["1000", "10000", "100000"]
    assert list(growth.measure((1, 300), say=lambda _: None).values()) == [sizes["1000"]] * 2, "as the code is now"
    assert list(sizes.values()) == [sizes["1000"]] * 3


# --- what is counted is each function's own event, handled ------------------------------------------------------------


@pytest.fixture
def at() -> dict[str, Start]:
    return starts()


def test_every_function_is_timed(at: dict[str, Start]) -> None:
    assert set(at) == set(WITH_STOREFRONT) == set(topology.functions())
    assert [*FUNCTIONS] == always_deployed()


def test_each_function_gets_the_event_that_is_its_own(at: dict[str, Start]) -> None:
    found = {
        name: [from_item(item)["status"] for item in start.stub.tables["Orders"].items.values()]
        for name, start in at.items()
    }
    assert found == {
        "orderService": [],
        "paymentProcessing": ["PLACED"],
        "fulfillment": ["PLACED"],
        "orderStatusUpdater": ["PLACED"],
        "notification": ["FULFILLED"],
        "auditLogger": ["PLACED"],
        "orderFeed": ["PLACED"],
        "reconciler": ["FULFILLED"],
    }


def test_a_function_that_does_not_do_its_work_is_not_counted(at: dict[str, Start]) -> None:
    with functions() as shop, pytest.raises(RuntimeError, match="batchItemFailures"):
        shop.invoke("notification", at["notification"].event)  # of an order that is in no table


def test_calls_belong_to_the_function_that_made_them_and_logs_too() -> None:
    with functions() as shop:
        story = shop.order()
    made = {each.function: Counter(call.action for call in each.calls) for each in story}
    assert made["paymentProcessing"] == {"dynamodb:GetItem": 1, "dynamodb:UpdateItem": 2, "events:PutEvents": 1}
    [provider_s] = [call for each in story for call in each.calls if call.is_provider_s]
    assert provider_s.request["TableName"] == "GatewayLedger", "the only one that is not ours"
    assert made["notification"] == {"dynamodb:UpdateItem": 2, "ses:SendEmail": 1}
    logged = {each.function for each in story if "OrdersPlaced" in each.log}
    assert logged == {"orderService"}


def test_a_stub_refuses_what_dynamodb_would_refuse() -> None:
    """With the item, as the code asks for it, and at what a write of it would cost."""
    with functions() as shop:
        shop.order(key="the same")
        [again] = shop.order(key="the same")
    [call] = again.calls
    assert (call.action, call.status, call.usage.write_units) == ("dynamodb:PutItem", 400, 2)
    assert call.response["Item"]["status"] == {"S": "FULFILLED"}
