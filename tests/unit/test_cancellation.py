"""An order is either shipped or cancelled, and nobody pays for a cancelled one, whatever comes when, and how often."""

import random
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from handlers.wiring import gateway, store
from orders import clock
from orders.aws.gateway import SimulatedGateway
from orders.aws.store import LATE_SHARDS
from orders.errors import EventContradictsOrder, GatewayContradictsOrder, GatewayUnavailable
from orders.message import message
from orders.model import Order
from tests.conftest import Charges, Lines
from tests.shop import ANNA, BELA, Envelope, NotTold, Shop, changed
from tools import flow
from verification import matching

LetPass = Any
TOO_LATE = "urn:order-processing:problem:too-late"


def _charged(shop: Shop, **changes: Any) -> tuple[str, Envelope, Envelope]:
    """An order whose card was charged: its id, what placed it, and the event that nobody has got yet."""
    order_id, placed = shop.placed(**changes)
    shop.deliver("paymentProcessing", placed)
    [paid] = shop.drain()
    return order_id, placed, paid


def _cancelled(shop: Shop, order_id: str) -> Envelope:
    """Cancel the order and take the event off the bus."""
    assert shop.cancel(order_id).status == 202
    [*_, cancelled] = shop.drain()
    return cancelled


def _statuses(shop: Shop, order_id: str) -> list[str]:
    return [change["status"] for change in shop.order(order_id)["statusHistory"]]


def _money(shop: Shop, order_id: str) -> tuple[int, int]:
    """The charges and the refunds of an order, over all rows of the provider's ledger."""
    rows = [row for row in shop.ledger.values() if row["reference"] == order_id]
    return sum(row["charges"] for row in rows), sum(row["refunds"] for row in rows)


def _deliver_to_all(shop: Shop, event: Envelope) -> None:
    for function in matching.consumers(event):
        shop.deliver(function, event)


# --- the two stories --------------------------------------------------------------------------------------------------


def test_an_order_that_is_cancelled_before_the_charge_is_voided_and_never_charged(shop: Shop) -> None:
    # given
    order_id, placed = shop.placed()

    # when
    response = shop.cancel(order_id)
    shop.run()
    shop.deliver("paymentProcessing", placed)  # however late

    # then
    assert response.status == 202
    order = shop.order(order_id)
    assert _statuses(shop, order_id) == ["PLACED", "CANCELLED"]
    assert order["payment"] == {"status": "VOIDED"}
    assert order["cancellation"] == response.body["cancellation"]
    assert not {"refund", "fulfillment"} & order.keys()
    assert _money(shop, order_id) == (0, 0)
    assert len(shop.emails) == 1
    assert "dueAt" not in shop.item(order_id)
    assert [event["detail-type"] for event in shop.published] == ["OrderPlacedEvent", "OrderCancelledEvent"]


def test_an_order_that_is_cancelled_after_the_charge_is_refunded_once(shop: Shop, metrics: Lines) -> None:
    # given
    order_id, _, paid = _charged(shop)

    # when
    cancelled = _cancelled(shop, order_id)
    for event in (paid, cancelled):
        _deliver_to_all(shop, event)
    shop.run()

    # then
    order = shop.order(order_id)
    assert _statuses(shop, order_id) == ["PLACED", "PAID", "CANCELLED", "REFUNDED"]
    assert order["payment"]["status"] == "COMPLETED"
    assert (order["refund"]["amount"], order["refund"]["currency"]) == (2800, "EUR")
    assert order["refund"]["refundId"] == shop.ledger[order_id]["refundId"]
    assert "fulfillment" not in order
    assert _money(shop, order_id) == (1, 1)
    assert len(shop.emails) == 1
    assert "dueAt" not in shop.item(order_id)
    counted = [name for line in metrics() for name in ("OrdersCancelled", "PaymentsRefunded") if name in line]
    assert counted == ["OrdersCancelled", "PaymentsRefunded"]


def test_the_two_events_carry_what_the_contract_says(shop: Shop) -> None:
    # given
    order_id, placed, paid = _charged(shop)

    # when
    cancelled = _cancelled(shop, order_id)
    shop.deliver("paymentProcessing", cancelled)
    [refunded] = shop.drain()

    # then
    order = shop.order(order_id)
    assert cancelled["source"] == "order-processing.orders"
    assert cancelled["detail"]["data"] == {"orderId": order_id, "customerId": "anna", "reason": "customer_request"}
    assert cancelled["detail"]["metadata"]["causationId"] is None
    assert refunded["source"] == "order-processing.payment"
    assert refunded["detail"]["data"] == {
        "orderId": order_id,
        "paymentId": order["payment"]["paymentId"],
        "refundId": order["refund"]["refundId"],
        "totalAmount": 2800,
        "currency": "EUR",
    }
    ids = [event["detail"]["metadata"] for event in (placed, paid, cancelled, refunded)]
    assert ids[3]["causationId"] == ids[2]["eventId"]
    assert len({each["correlationId"] for each in ids}) == 1
    assert ids[0]["occurredAt"] < ids[2]["occurredAt"] < ids[3]["occurredAt"]
    assert ids[1]["occurredAt"] < ids[3]["occurredAt"]
    assert order["cancellation"] == {"at": ids[2]["occurredAt"]}
    assert order["refund"]["at"] == ids[3]["occurredAt"]


# --- the API ----------------------------------------------------------------------------------------------------------


def test_a_second_request_gets_the_order_and_publishes_nothing(shop: Shop) -> None:
    order_id, _ = shop.placed()
    first = shop.cancel(order_id)
    shop.drain()
    second = shop.cancel(order_id)
    assert (first.status, second.status) == (202, 200)
    assert second.body == first.body
    assert shop.drain() == []


def test_twenty_requests_cancel_once(shop: Shop, metrics: Lines) -> None:
    order_id, _ = shop.placed()
    assert sorted(shop.cancel(order_id).status for _ in range(20)) == [200] * 19 + [202]
    assert len(shop.drain()) == 1
    assert len([line for line in metrics() if "OrdersCancelled" in line]) == 1


@pytest.mark.parametrize(
    ("method", "reason"), [("tok_visa", "handed to the carrier"), ("tok_declined", "the payment failed")]
)
def test_it_is_too_late_once_the_order_is_shipped_or_declined(shop: Shop, method: str, reason: str) -> None:
    # given
    order_id = shop.place(paymentMethod=method).body["orderId"]
    shop.run()
    before = shop.everything()

    # when
    response = shop.cancel(order_id)

    # then
    assert (response.status, response.headers["content-type"]) == (409, "application/problem+json")
    assert (response.body["type"], response.body["title"]) == (TOO_LATE, "Conflict")
    assert reason in response.body["detail"]
    assert shop.everything() == before
    assert shop.drain() == []


def test_it_is_too_late_as_soon_as_the_parcel_is_stored_though_no_status_says_so_yet(shop: Shop) -> None:
    order_id, _, paid = _charged(shop)
    shop.deliver("fulfillment", paid)
    assert shop.order(order_id)["status"] == "PLACED"
    assert shop.cancel(order_id).status == 409


@pytest.mark.parametrize("state", ["placed", "shipped", "cancelled"])
def test_nobody_else_learns_of_an_order_by_cancelling_it(shop: Shop, state: str) -> None:
    # given
    order_id, _, paid = _charged(shop)
    if state == "shipped":
        shop.deliver("fulfillment", paid)
    elif state == "cancelled":
        _cancelled(shop, order_id)
    before = shop.everything()

    # when, then
    shop.drain()
    unknown = shop.cancel("00000000-0000-4000-8000-000000000000")
    for response in (shop.cancel(order_id, by=BELA), shop.cancel("no-id"), unknown):
        assert (response.status, response.body) == (404, unknown.body)
    assert shop.everything() == before
    assert shop.drain() == []


def test_an_access_token_cancels_nothing(shop: Shop) -> None:
    order_id, _ = shop.placed()
    access = shop.call("POST", f"/orders/{order_id}/cancellation", by=BELA._replace(token_use="access"))
    assert access.status == 403
    assert "cancellation" not in shop.item(order_id)


@pytest.mark.parametrize("body", [None, "", "no JSON", b"\xff", {"reason": "because"}], ids=repr)
def test_a_body_and_its_type_are_ignored_and_so_is_an_idempotency_key(shop: Shop, body: Any) -> None:
    order_id, _ = shop.placed()
    headers = {"content-type": "text/plain", "idempotency-key": "k" * 300}
    response = shop.call("POST", f"/orders/{order_id}/cancellation", body, headers=headers)
    assert response.status == 202


def test_an_address_that_is_not_verified_may_cancel(shop: Shop) -> None:
    order_id, _ = shop.placed()
    assert shop.cancel(order_id, by=ANNA._replace(email_verified="false")).status == 202


def test_a_write_whose_answer_was_lost_is_known_as_the_request_s_own(shop: Shop, metrics: Lines) -> None:
    order_id, _ = shop.placed()
    shop.wire.lose_answer("dynamodb:UpdateItem")
    assert shop.cancel(order_id).status == 202
    assert len(shop.drain()) == 1
    assert len([line for line in metrics() if "OrdersCancelled" in line]) == 1


def test_a_cancellation_that_can_not_be_published_is_kept_and_published_by_the_reconciler(
    shop: Shop, let_pass: LetPass, log_lines: Lines
) -> None:
    # given
    order_id, _ = shop.placed()
    shop.wire.fail("events:PutEvents", "InternalFailure", status=500)

    # when
    assert shop.cancel(order_id).status == 202
    assert [line["level"] for line in log_lines() if "could not be published" in line["message"]] == ["ERROR"]
    assert shop.drain() == []
    let_pass(seconds=61)
    shop.reconcile()
    shop.run()

    # then
    assert [event["detail-type"] for event in shop.published] == ["OrderPlacedEvent", "OrderCancelledEvent"]
    assert _statuses(shop, order_id) == ["PLACED", "CANCELLED"]


def test_the_repeated_order_request_shows_the_order_as_it_is(shop: Shop) -> None:
    order_id = shop.place(key="k").body["orderId"]
    shop.cancel(order_id)
    again = shop.place(key="k")
    assert (again.status, again.body["orderId"]) == (200, order_id)
    assert again.body["cancellation"]


def test_a_cancellation_is_later_than_the_order_even_where_the_clock_runs_behind(shop: Shop) -> None:
    order_id, _ = shop.placed()
    shop.change(order_id, placedAt="2999-01-01T00:00:00.000Z")
    assert shop.cancel(order_id).body["cancellation"] == {"at": "2999-01-01T00:00:00.001Z"}


# --- shipped or cancelled, never both ---------------------------------------------------------------------------------


def test_the_write_that_comes_first_wins(shop: Shop) -> None:
    for first in ("cancel", "ship"):
        # given
        order_id, _, paid = _charged(shop)

        # when
        if first == "cancel":
            _cancelled(shop, order_id)
        shop.deliver("fulfillment", paid)
        late = shop.cancel(order_id)

        # then
        assert ("fulfillment" in shop.item(order_id)) == (first == "ship")
        assert ("cancellation" in shop.item(order_id)) == (first == "cancel")
        assert late.status == (200 if first == "cancel" else 409)
        assert len(shop.drain()) == (0 if first == "cancel" else 1), "Fulfillment ends quietly: it published nothing"


def test_a_forged_payment_of_a_cancelled_order_does_not_end_quietly(shop: Shop) -> None:
    order_id, _, paid = _charged(shop)
    _cancelled(shop, order_id)
    with pytest.raises(EventContradictsOrder):
        shop.deliver("fulfillment", changed(paid, "detail.data.paymentId", "made up"))


# --- the money --------------------------------------------------------------------------------------------------------


def test_a_cancellation_that_overtakes_the_order_voids_it(shop: Shop, charges: Charges) -> None:
    # given
    order_id, placed = shop.placed()
    cancelled = _cancelled(shop, order_id)

    # when
    _deliver_to_all(shop, cancelled)
    _deliver_to_all(shop, placed)

    # then
    assert charges == []
    assert _money(shop, order_id) == (0, 0)
    assert shop.drain() == []
    assert shop.order(order_id)["status"] == "CANCELLED"


@pytest.mark.parametrize("settled", [False, True], ids=["cancelled only", "settled as well"])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("method", ["tok_visa", "tok_declined"])
def test_a_cancellation_while_the_charge_is_under_way(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, method: str, moment: str, settled: bool
) -> None:
    """It comes before the provider charges, or between the charge and its record."""
    # given
    order_id, placed = shop.placed(paymentMethod=method)
    charge = SimulatedGateway.charge
    events: list[Envelope] = []

    def cancel() -> None:
        events.append(_cancelled(shop, order_id))
        if settled:
            shop.deliver("paymentProcessing", events[0])

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        if moment == "before":
            cancel()
        answer = charge(*args, **kwargs)
        if moment == "after":
            cancel()
        return answer

    # when
    monkeypatch.setattr(SimulatedGateway, "charge", overtaken)
    shop.deliver("paymentProcessing", placed)
    monkeypatch.setattr(SimulatedGateway, "charge", charge)
    shop.run()
    _deliver_to_all(shop, events[0])
    shop.run()

    # then
    order, charges = shop.order(order_id), _money(shop, order_id)
    is_charged = method == "tok_visa" and (moment == "after" or not settled)
    assert charges == ((1, 1) if is_charged else (0, 0))
    assert order["status"] == ("REFUNDED" if is_charged else "CANCELLED")
    assert order["payment"]["status"] == ("COMPLETED" if is_charged else "VOIDED")
    assert "dueAt" not in shop.item(order_id)
    assert len(shop.emails) == 1
    assert not shop.events("PaymentFailedEvent")


def test_a_charge_whose_answer_was_lost_for_good_is_refunded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function died after the charge, so the order knows of no payment: the provider does."""
    # given
    order_id, placed = shop.placed()
    with monkeypatch.context() as patch:
        patch.setattr(type(store()), "record_payment", _dies)
        with pytest.raises(_Died):
            shop.deliver("paymentProcessing", placed)

    # when
    shop.deliver("paymentProcessing", _cancelled(shop, order_id))
    shop.run()

    # then
    item = shop.item(order_id)
    assert _money(shop, order_id) == (1, 1)
    assert item["payment"]["paymentId"] == shop.ledger[order_id]["paymentId"]
    assert item["payment"]["causationId"] == placed["detail"]["metadata"]["eventId"]
    assert placed["detail"]["metadata"]["occurredAt"] < item["payment"]["occurredAt"] < item["refund"]["occurredAt"]
    assert [event["detail-type"] for event in shop.published].count("PaymentCompletedEvent") == 0
    assert _statuses(shop, order_id)[-1] == "REFUNDED"


class _Died(Exception):
    """The function ends here, as in a crash."""


def _dies(*_: Any, **__: Any) -> None:
    raise _Died


def test_a_crash_between_refund_and_record_refunds_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    order_id, _, _ = _charged(shop)
    cancelled = _cancelled(shop, order_id)
    with monkeypatch.context() as patch:
        patch.setattr(type(store()), "record_refund", _dies)
        with pytest.raises(_Died):
            shop.deliver("paymentProcessing", cancelled)
    assert _money(shop, order_id) == (1, 1)
    assert "refund" not in shop.item(order_id)

    # when
    shop.deliver("paymentProcessing", cancelled)

    # then
    assert _money(shop, order_id) == (1, 1)
    assert shop.item(order_id)["refund"]["refundId"] == shop.ledger[order_id]["refundId"]


def test_a_refund_that_was_stored_but_not_published_is_published_as_the_same(shop: Shop) -> None:
    # given
    order_id, _, _ = _charged(shop)
    cancelled = _cancelled(shop, order_id)
    shop.wire.fail("events:PutEvents", "InternalFailure", status=500)
    with pytest.raises(Exception, match=f"PaymentRefundedEvent of order {order_id}"):
        shop.deliver("paymentProcessing", cancelled)

    # when
    for _ in range(10):
        shop.deliver("paymentProcessing", cancelled)

    # then
    told = shop.events("PaymentRefundedEvent")
    assert len(told) == 10
    assert all(event["detail"] == told[0]["detail"] for event in told)
    assert _money(shop, order_id) == (1, 1)


def test_a_gateway_that_is_down_leaves_the_order_open_until_it_is_up_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, let_pass: LetPass
) -> None:
    # given
    order_id, _, _ = _charged(shop)
    cancelled = _cancelled(shop, order_id)
    monkeypatch.setenv("PAYMENT_GATEWAY", "down")
    with pytest.raises(GatewayUnavailable):
        shop.deliver("paymentProcessing", cancelled)
    shop.deliver("orderStatusUpdater", cancelled)
    shop.deliver("notification", cancelled)
    assert "dueAt" in shop.item(order_id), "cancelled and notified, but the money is not settled"

    # when
    monkeypatch.setenv("PAYMENT_GATEWAY", "up")
    let_pass(seconds=61)
    shop.reconcile()
    shop.run()

    # then
    assert shop.order(order_id)["status"] == "REFUNDED"
    assert "dueAt" not in shop.item(order_id)


@pytest.mark.parametrize("seed", range(20))
def test_both_events_ten_times_in_any_order_at_any_consumer(shop: Shop, seed: int) -> None:
    # given an order whose events nobody has seen, charged or not
    order_id, placed = shop.placed()
    if seed % 2:
        shop.deliver("paymentProcessing", placed)
        shop.drain()
    cancelled = _cancelled(shop, order_id)

    # when
    deliveries = [(function, event) for event in (placed, cancelled) for function in matching.consumers(event)] * 10
    shuffler = random.Random(seed)
    shuffler.shuffle(deliveries)
    while deliveries:
        shop.deliver(*deliveries.pop())
        deliveries += [(function, event) for event in shop.drain() for function in matching.consumers(event)]
        shuffler.shuffle(deliveries)

    # then
    is_charged = bool(seed % 2)
    assert _money(shop, order_id) == ((1, 1) if is_charged else (0, 0))
    assert shop.order(order_id)["status"] == ("REFUNDED" if is_charged else "CANCELLED")
    assert "dueAt" not in shop.item(order_id)
    assert len(shop.emails) == 1
    assert len({event["detail"]["metadata"]["eventId"] for event in shop.events("PaymentRefundedEvent")}) <= 1


@pytest.mark.parametrize("is_charged", [False, True])
def test_a_replay_or_redrive_a_week_later_does_not_even_ask_the_provider(
    shop: Shop, let_pass: LetPass, is_charged: bool
) -> None:
    # given
    order_id, placed = shop.placed()
    if is_charged:
        shop.deliver("paymentProcessing", placed)
    _deliver_to_all(shop, _cancelled(shop, order_id))
    shop.run()
    before, published = shop.everything(), len(shop.published)

    # when
    let_pass(days=7)
    for event in list(shop.published):
        _deliver_to_all(shop, {**event, "replay-name": "replay"})

    # then
    assert shop.everything() == before, "the ledger's count of requests included"
    assert len(shop.published) == published


@pytest.mark.parametrize("arrival", sorted(set(permutations(["refund", "refund", "status", "mail"]))), ids="-".join)
def test_a_refund_that_overtakes_the_cancellation_ends_refunded(shop: Shop, arrival: tuple[str, ...]) -> None:
    # given
    order_id, _, _ = _charged(shop)
    cancelled = _cancelled(shop, order_id)
    shop.deliver("paymentProcessing", cancelled)
    [refunded] = shop.drain()

    # when
    for each in arrival:
        shop.deliver(
            "notification" if each == "mail" else "orderStatusUpdater", refunded if each == "refund" else cancelled
        )

    # then
    assert shop.order(order_id)["status"] == "REFUNDED"
    assert "dueAt" not in shop.item(order_id)


@pytest.mark.parametrize("arrival", sorted(permutations(["settle", "status", "mail"])), ids="-".join)
def test_the_last_write_closes_a_voided_order(shop: Shop, arrival: tuple[str, ...]) -> None:
    # given
    order_id, _ = shop.placed()
    cancelled = _cancelled(shop, order_id)
    consumers = {"settle": "paymentProcessing", "status": "orderStatusUpdater", "mail": "notification"}

    # when, then
    for number, each in enumerate(arrival):
        assert ("dueAt" in shop.item(order_id)) == (number < 3)
        shop.deliver(consumers[each], cancelled)
    assert not {"dueAt", "openShard"} & shop.item(order_id).keys()


@pytest.mark.parametrize("function", ["paymentProcessing", "orderStatusUpdater", "notification"])
@pytest.mark.parametrize("is_charged", [False, True])
def test_a_write_whose_answer_was_lost_changes_nothing(shop: Shop, function: str, is_charged: bool) -> None:
    for skip in range(4):
        # given
        order_id, placed = shop.placed()
        if is_charged:
            shop.deliver("paymentProcessing", placed)
            shop.drain()
        waiting = [_cancelled(shop, order_id)]

        # when
        shop.wire.forget_losses()
        while waiting:
            event = waiting.pop(0)
            for consumer in matching.consumers(event):
                if consumer == function:
                    shop.wire.lose_answer("dynamodb:UpdateItem", skip=skip)
                shop.deliver(consumer, event)
                shop.wire.forget_losses()
            waiting += shop.drain()

        # then
        assert _money(shop, order_id) == ((1, 1) if is_charged else (0, 0))
        assert shop.order(order_id)["status"] == ("REFUNDED" if is_charged else "CANCELLED")
        assert "dueAt" not in shop.item(order_id)
    assert len(shop.emails) == 4


# --- a provider that contradicts itself or the order ------------------------------------------------------------------


def _stays_as_it_is(shop: Shop, order_id: str, event: Envelope, reason: str) -> None:
    before = shop.item(order_id)
    with pytest.raises(GatewayContradictsOrder, match=reason):
        shop.deliver("paymentProcessing", event)
    assert shop.item(order_id) == before
    assert "dueAt" in before, "the order stays open"
    assert shop.drain() == []


def test_an_order_charged_before_there_was_a_ledger_can_not_be_refunded(shop: Shop) -> None:
    order_id, _, _ = _charged(shop)
    shop.forget_ledger()
    _stays_as_it_is(shop, order_id, _cancelled(shop, order_id), "nothing was charged, but it has Payment")


def test_a_refund_of_another_payment_than_the_stored_one_is_refused(shop: Shop) -> None:
    order_id, _, _ = _charged(shop)
    cancelled = _cancelled(shop, order_id)
    shop.change(order_id, payment={**shop.item(order_id)["payment"], "paymentId": "another"})
    _stays_as_it_is(shop, order_id, cancelled, "is not a refund of the stored Payment")


def test_a_voided_charge_of_an_order_that_is_not_cancelled_is_refused_and_never_fails_the_order(shop: Shop) -> None:
    order_id, placed = shop.placed()
    gateway().cancel(idempotency_key=order_id, reference=order_id)
    _stays_as_it_is(shop, order_id, placed, "voided, the order is not cancelled")


# --- what is not true -------------------------------------------------------------------------------------------------

FORGED: list[tuple[str, str, Any]] = [
    ("OrderCancelledEvent", "data.customerId", "bela"),
    ("OrderCancelledEvent", "data.reason", "timed_out"),
    ("OrderCancelledEvent", "metadata.eventId", "00000000-0000-4000-8000-000000000000"),
    ("OrderCancelledEvent", "metadata.occurredAt", "2999-01-01T00:00:00.000Z"),
    ("PaymentRefundedEvent", "data.paymentId", "made up"),
    ("PaymentRefundedEvent", "data.refundId", "made up"),
    ("PaymentRefundedEvent", "data.totalAmount", 1),
    ("PaymentRefundedEvent", "data.currency", "USD"),
    ("PaymentRefundedEvent", "metadata.eventId", "00000000-0000-4000-8000-000000000000"),
    ("PaymentRefundedEvent", "metadata.occurredAt", "2999-01-01T00:00:00.000Z"),
    ("PaymentRefundedEvent", "metadata.causationId", None),
]


@pytest.mark.parametrize(("event_type", "path", "value"), FORGED, ids=lambda value: str(value))
def test_a_forged_event_is_refused_by_all_its_consumers_and_changes_nothing(
    shop: Shop, event_type: str, path: str, value: Any
) -> None:
    # given
    order_id, _, _ = _charged(shop)
    cancelled = _cancelled(shop, order_id)
    shop.deliver("paymentProcessing", cancelled)
    [refunded] = shop.drain()
    true = {"OrderCancelledEvent": cancelled, "PaymentRefundedEvent": refunded}[event_type]

    # when, then
    _is_refused(shop, changed(true, f"detail.{path}", value))


def test_an_order_that_nobody_cancelled_is_neither_settled_nor_marked_nor_mailed(shop: Shop) -> None:
    # given the true events of another order
    other_id, _, _ = _charged(shop)
    cancelled = _cancelled(shop, other_id)
    shop.deliver("paymentProcessing", cancelled)
    [refunded] = shop.drain()
    order_id, _, _ = _charged(shop)

    # when, then
    for event in (cancelled, refunded):
        _is_refused(shop, changed(event, "detail.data.orderId", order_id))


def _is_refused(shop: Shop, forged: Envelope) -> None:
    before = shop.wire.effects()
    for function in set(matching.consumers(forged)) - set(flow.recorders()):
        with pytest.raises(NotTold if function == "notification" else EventContradictsOrder):
            shop.deliver(function, forged)
    assert shop.wire.effects() == before


# --- the reconciler ---------------------------------------------------------------------------------------------------


def test_the_reconciler_publishes_a_cancelled_order_s_cancellation_and_nothing_else(
    shop: Shop, let_pass: LetPass
) -> None:
    # given
    order_id, _ = shop.placed()
    cancelled = _cancelled(shop, order_id)

    for attempt in (2, 3):
        # when
        let_pass(hours=7)
        shop.reconcile()

        # then
        [again] = shop.drain()
        assert again["detail"] == changed(cancelled, "detail.metadata.attempt", attempt)["detail"]


def test_a_cancelled_order_is_due_after_the_first_pause_however_long_the_last_one_was(
    shop: Shop, let_pass: LetPass
) -> None:
    order_id, _ = shop.placed()
    shop.change(order_id, attempt=50)
    let_pass(hours=7)
    shop.reconcile()
    shop.drain()
    _cancelled(shop, order_id)
    let_pass(seconds=61)
    shop.reconcile()
    assert [event["detail-type"] for event in shop.drain()] == ["OrderCancelledEvent"]


def test_whichever_event_of_a_cancelled_order_is_lost_it_ends_all_the_same(shop: Shop, let_pass: LetPass) -> None:
    for lost in ("OrderCancelledEvent", "PaymentRefundedEvent"):
        # given
        order_id, _, _ = _charged(shop)
        cancelled = _cancelled(shop, order_id)
        if lost == "PaymentRefundedEvent":
            _deliver_to_all(shop, cancelled)
            shop.drain()

        # when
        let_pass(seconds=61)
        shop.reconcile()
        shop.run()

        # then
        assert shop.order(order_id)["status"] == "REFUNDED"
        assert _money(shop, order_id) == (1, 1)
        assert "dueAt" not in shop.item(order_id)


def test_an_order_unsettled_for_over_an_hour_is_counted_until_it_is_settled(
    shop: Shop, let_pass: LetPass, metrics: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an order of two hours that is cancelled
    monkeypatch.setenv("PAYMENT_GATEWAY", "down")
    order_id, _ = shop.placed()
    let_pass(hours=2)
    shop.reconcile()
    _cancelled(shop, order_id)

    def counted() -> tuple[list[float], list[float]]:
        metrics()
        shop.reconcile()
        lines = metrics()
        names = ("OrdersOpenOverAnHour", "OrdersUnsettledOverAnHour")
        open_, unsettled = ([line[name][0] for line in lines if name in line] for name in names)
        return open_, unsettled

    assert counted() == ([1], [0])

    # when each run comes as soon as the order is due
    for _ in range(20):
        due = clock.moment(shop.item(order_id)["dueAt"])
        let_pass(seconds=max(0.0, (due - clock.now()).total_seconds()) + 0.001)
        shop.reconcile()
        if shop.item(order_id)["openShard"] == LATE_SHARDS["unsettled"]:
            break

    # then: exactly an hour after the cancellation
    since = clock.moment(shop.item(order_id)["cancellation"]["occurredAt"])
    assert 3600 <= (clock.now() - since).total_seconds() < 3601
    assert counted() == ([1], [1])

    # and when the provider is back
    monkeypatch.setenv("PAYMENT_GATEWAY", "up")
    let_pass(hours=7)
    shop.reconcile()
    shop.run()
    assert counted() == ([0], [0])


def test_an_order_settled_late_but_not_notified_counts_as_open_only(shop: Shop, let_pass: LetPass) -> None:
    order_id, _ = shop.placed()
    cancelled = _cancelled(shop, order_id)
    let_pass(hours=2)
    shop.reconcile()
    assert shop.item(order_id)["openShard"] == LATE_SHARDS["unsettled"]
    shop.deliver("paymentProcessing", cancelled)
    let_pass(hours=7)
    shop.reconcile()
    assert shop.item(order_id)["openShard"] == LATE_SHARDS["open"]


# --- the deadline -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_charged", [False, True])
def test_an_order_at_its_deadline_is_cancelled_with_the_same_effect_and_e_mail(
    shop: Shop, let_pass: LetPass, configured: Callable[..., None], metrics: Lines, is_charged: bool
) -> None:
    # given an order that nothing takes further
    configured(CANCEL_AFTER_HOURS="2")
    order_id, placed = shop.placed()
    if is_charged:
        shop.deliver("paymentProcessing", placed)
        shop.drain()
    for minutes in (5, 114):
        let_pass(minutes=minutes)
        shop.reconcile()
        shop.drain()
    assert "cancellation" not in shop.item(order_id)
    metrics()

    # when
    let_pass(minutes=1, seconds=1)
    shop.reconcile()

    # then
    [cancelled] = shop.drain()
    assert cancelled["detail"]["data"] == {"orderId": order_id, "customerId": "anna", "reason": "timed_out"}
    [line] = [line for line in metrics() if "OrdersCancelled" in line]
    assert (line["orderId"], line["correlationId"]) == (order_id, placed["detail"]["metadata"]["correlationId"])
    _deliver_to_all(shop, cancelled)
    shop.run()
    assert shop.order(order_id)["status"] == ("REFUNDED" if is_charged else "CANCELLED")
    assert _money(shop, order_id) == ((1, 1) if is_charged else (0, 0))
    assert "If your card was charged, the full amount will be refunded." in str(shop.emails)


def test_an_order_is_due_at_its_deadline_whatever_the_pause(
    shop: Shop, let_pass: LetPass, configured: Callable[..., None]
) -> None:
    configured(CANCEL_AFTER_HOURS="2")
    order_id, _ = shop.placed()
    shop.change(order_id, attempt=50)
    let_pass(minutes=90)
    shop.reconcile()
    item = shop.item(order_id)
    assert (clock.moment(item["dueAt"]) - clock.moment(item["placedAt"])).total_seconds() == 7200


def test_without_a_deadline_no_order_is_cancelled(shop: Shop, let_pass: LetPass) -> None:
    order_id, _ = shop.placed()
    let_pass(days=365)
    shop.reconcile()
    assert "cancellation" not in shop.item(order_id)


@pytest.mark.parametrize("method", ["tok_visa", "tok_declined"])
def test_the_deadline_cancels_nothing_that_is_shipped_or_declined(
    shop: Shop, let_pass: LetPass, configured: Callable[..., None], method: str
) -> None:
    # given an order of which the customer was not notified
    configured(CANCEL_AFTER_HOURS="1")
    order_id, placed = shop.placed(paymentMethod=method)
    shop.deliver("paymentProcessing", placed)
    for event in shop.drain():
        if method == "tok_visa":
            shop.deliver("fulfillment", event)
    shop.drain()

    # when
    let_pass(hours=7)
    shop.reconcile()

    # then
    assert "cancellation" not in shop.item(order_id)
    assert [event["detail-type"] for event in shop.drain()] == ["OrderPlacedEvent"]


def test_a_cancellation_by_the_customer_wins_over_the_deadline_and_the_other_way_round(
    shop: Shop, let_pass: LetPass, configured: Callable[..., None]
) -> None:
    configured(CANCEL_AFTER_HOURS="1")
    mine, _ = shop.placed()
    late, _ = shop.placed()
    let_pass(hours=2)
    shop.cancel(mine)
    shop.drain()
    shop.reconcile()
    assert shop.item(mine)["cancellation"]["reason"] == "customer_request"
    assert shop.item(late)["cancellation"]["reason"] == "timed_out"
    assert shop.cancel(late).status == 200


# --- the message ------------------------------------------------------------------------------------------------------


def test_the_message_is_true_whether_or_not_the_card_was_charged(shop: Shop) -> None:
    order_id, _ = shop.placed(phone="+4915112345678")
    before = shop.cancel(order_id)
    shop.run()
    written = message(Order.model_validate(shop.item(order_id)))
    assert before.status == 202
    assert written.subject.endswith("is cancelled")
    for text in (written.text, written.html, written.sms):
        assert "If your card was charged, the full amount will be refunded." in text
    assert (len(shop.emails), len(shop.texts)) == (1, 1)


def test_a_declined_order_is_not_called_cancelled(shop: Shop) -> None:
    order_id = shop.place(paymentMethod="tok_declined").body["orderId"]
    shop.run()
    written = message(Order.model_validate(shop.item(order_id)))
    assert "was not completed" in written.text
    assert not [text for text in written if "cancel" in text.lower()]
