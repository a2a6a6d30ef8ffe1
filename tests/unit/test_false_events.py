"""Forged events, and payloads that are no events at all: each raises with its reason and changes nothing."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from orders.aws.gateway import SimulatedGateway
from orders.errors import EventContradictsOrder, GatewayUnavailable, MalformedEvent, MalformedOrder, OrderNotFound
from tests.conftest import Charges, Lines
from tests.shop import Envelope, NotTold, Shop, changed, envelope
from tools import flow, topology
from verification import matching

MADE_UP_ID = "00000000-0000-4000-8000-000000000000"


Refuses = Callable[[str, Envelope, type[Exception], str], None]


@pytest.fixture
def refuses(shop: Shop, log_lines: Lines) -> Refuses:
    """The function raises for the event, logs the error with this reason (a pattern), and does nothing at all."""

    def refuses(function: str, event: Envelope, error: type[Exception], reason: str) -> None:
        done = shop.wire.effects()
        with pytest.raises(NotTold if function == "notification" else error):  # which gives the message back
            shop.deliver(function, event)
        logged = [line["message"] for line in log_lines() if line["level"] == "ERROR"]
        assert re.match(f"{error.__name__}: .*{reason}", logged[-1])
        assert shop.wire.effects() == done

    return refuses


@pytest.fixture
def events(shop: Shop) -> dict[str, Envelope]:
    """One true event of each kind, of two orders that are still open: nothing has come by status updater and mail."""
    _, placed = shop.placed(phone="+4915112345678")
    shop.deliver("paymentProcessing", placed)
    [paid] = shop.drain()
    shop.deliver("fulfillment", paid)
    [fulfilled] = shop.drain()
    _, declined = shop.placed(paymentMethod="tok_declined")
    shop.deliver("paymentProcessing", declined)
    [failed] = shop.drain()
    return {event["detail-type"]: event for event in (placed, paid, fulfilled, failed)}


CONTRADICTIONS = [
    ("OrderPlacedEvent", "totalAmount", 1),
    ("OrderPlacedEvent", "customerId", "somebody else"),
    ("OrderPlacedEvent", "currency", "USD"),
    ("OrderPlacedEvent", "paymentMethod", "tok_mastercard"),
    ("OrderPlacedEvent", "items", [{"sku": "MUG", "name": "Stoneware mug", "quantity": 2, "unitPrice": 1}]),
    ("PaymentCompletedEvent", "paymentId", MADE_UP_ID),
    ("PaymentCompletedEvent", "totalAmount", 1),
    ("PaymentCompletedEvent", "currency", "USD"),
    ("PaymentFailedEvent", "paymentId", MADE_UP_ID),
    ("PaymentFailedEvent", "totalAmount", 1),
    ("PaymentFailedEvent", "currency", "USD"),
    ("PaymentFailedEvent", "reason", "insufficient_funds"),
    ("FulfillmentCompletedEvent", "trackingId", "NW000000000000"),
    ("FulfillmentCompletedEvent", "carrier", "Pirate Parcel"),
]


@pytest.mark.parametrize(("event_type", "field", "value"), CONTRADICTIONS, ids=lambda value: str(value))
def test_an_event_that_contradicts_the_order_is_refused_by_all_its_consumers(
    refuses: Refuses, events: dict[str, Envelope], event_type: str, field: str, value: Any
) -> None:
    forged = changed(events[event_type], f"detail.data.{field}", value)
    for function in _steps(forged):
        refuses(function, forged, EventContradictsOrder, f"{field} is {re.escape(repr(value))}; order .* says")


METADATA = [
    ("OrderPlacedEvent", "eventId", MADE_UP_ID),
    ("OrderPlacedEvent", "occurredAt", "2999-01-01T00:00:00.000Z"),
    *(
        (event_type, field, value)
        for event_type in ("PaymentCompletedEvent", "PaymentFailedEvent", "FulfillmentCompletedEvent")
        for field, value in (
            ("eventId", MADE_UP_ID),
            ("occurredAt", "2999-01-01T00:00:00.000Z"),
            ("causationId", MADE_UP_ID),
            ("causationId", None),
        )
    ),
]


@pytest.mark.parametrize(("event_type", "field", "value"), METADATA, ids=lambda value: str(value))
def test_an_event_with_another_id_time_or_cause_than_the_stored_one_contradicts_the_order(
    refuses: Refuses, events: dict[str, Envelope], event_type: str, field: str, value: Any
) -> None:
    forged = changed(events[event_type], f"detail.metadata.{field}", value)
    for function in _steps(forged):
        refuses(function, forged, EventContradictsOrder, f"{value!r}; order .* says")


def test_an_event_by_hand_that_waits_with_the_true_one_for_the_gateway_leaves_no_trace_on_the_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given both failed while the gateway was down
    monkeypatch.setenv("PAYMENT_GATEWAY", "down")
    order_id, placed = shop.placed()
    forged = changed(placed, "detail.metadata.eventId", MADE_UP_ID)
    forged = changed(forged, "detail.metadata.occurredAt", "2999-01-01T00:00:00.000Z")
    for event, error in ((forged, EventContradictsOrder), (placed, GatewayUnavailable)):
        with pytest.raises(error):
            shop.deliver("paymentProcessing", event)
    monkeypatch.setenv("PAYMENT_GATEWAY", "up")

    # when both are redriven, the forged one first
    with pytest.raises(EventContradictsOrder):
        shop.deliver("paymentProcessing", forged)
    shop.deliver("paymentProcessing", placed)
    shop.run()

    # then
    order = shop.item(order_id)
    assert order["status"] == "FULFILLED"
    assert order["payment"]["causationId"] == placed["detail"]["metadata"]["eventId"]
    assert not [entry for entry in shop.trail(order_id) if entry["timestamp"].startswith("2999")]


def test_an_order_by_hand_that_does_not_know_what_placed_it_takes_the_word_of_its_event(
    shop: Shop, charges: Charges
) -> None:
    # given
    order_id, placed = shop.placed()
    shop.change(order_id, statusHistory=None)
    by_hand = changed(placed, "detail.metadata.eventId", MADE_UP_ID)

    # when
    shop.deliver("paymentProcessing", by_hand)

    # then
    payment = shop.item(order_id)["payment"]
    assert (len(charges), payment["causationId"]) == (1, MADE_UP_ID)


def test_every_field_of_an_event_s_order_is_checked(events: dict[str, Envelope]) -> None:
    told = {(name, field) for name, event in events.items() for field in event["detail"]["data"]}
    checked = {(name, field) for name, field, _ in CONTRADICTIONS}
    assert told - checked == {(name, "orderId") for name in events}, "an unknown order is another matter"


@pytest.mark.parametrize(
    "event_type", ["OrderPlacedEvent", "PaymentCompletedEvent", "PaymentFailedEvent", "FulfillmentCompletedEvent"]
)
def test_an_event_of_an_unknown_order_is_refused(
    refuses: Refuses, events: dict[str, Envelope], event_type: str
) -> None:
    stray = changed(events[event_type], "detail.data.orderId", MADE_UP_ID)
    for function in _steps(stray):
        refuses(function, stray, OrderNotFound, f"there is no order {MADE_UP_ID}")


def test_made_up_events_of_an_order_that_is_not_paid_are_refused(shop: Shop, refuses: Refuses) -> None:
    # given
    order_id, placed = shop.placed()
    metadata = {**placed["detail"]["metadata"], "causationId": str(uuid4())}
    money = {"totalAmount": 2800, "currency": "EUR"}

    # when, then
    for name, source, data in (
        ("PaymentCompletedEvent", "payment", {"paymentId": MADE_UP_ID, **money}),
        ("PaymentFailedEvent", "payment", {"paymentId": MADE_UP_ID, "reason": "card_declined", **money}),
        ("FulfillmentCompletedEvent", "fulfillment", {"trackingId": "NW000000000000", "carrier": "Northwind Parcel"}),
    ):
        made_up = envelope(
            name, f"order-processing.{source}", {"metadata": metadata, "data": {"orderId": order_id, **data}}
        )
        for function in _steps(made_up):
            refuses(function, made_up, EventContradictsOrder, f"{name} says .*; order {order_id} says None")


def test_a_declined_payment_can_not_pass_for_a_completed_one(refuses: Refuses, events: dict[str, Envelope]) -> None:
    failed = events["PaymentFailedEvent"]
    forged = {**failed, "detail-type": "PaymentCompletedEvent"}
    for function in ("fulfillment", "orderStatusUpdater"):
        refuses(function, forged, EventContradictsOrder, "payment.status is 'COMPLETED'; order .* 'FAILED'")


def test_a_completed_payment_can_not_pass_for_a_declined_one(refuses: Refuses, events: dict[str, Envelope]) -> None:
    paid = events["PaymentCompletedEvent"]
    forged = changed({**paid, "detail-type": "PaymentFailedEvent"}, "detail.data.reason", "card_declined")
    for function in ("orderStatusUpdater", "notification"):
        refuses(function, forged, EventContradictsOrder, "payment.status is 'FAILED'; order .* 'COMPLETED'")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("detail", ...),
        ("detail", None),
        ("detail", "text"),
        ("detail", []),
        ("detail.metadata", ...),
        ("detail.metadata", None),
        ("detail.metadata.eventId", ...),
        ("detail.metadata.eventId", "not-a-uuid"),
        ("detail.metadata.eventId", "{00000000-0000-4000-8000-000000000000}"),
        ("detail.metadata.eventId", f"{MADE_UP_ID}\n"),
        ("detail.metadata.version", "2"),
        ("detail.metadata.version", 1),
        ("detail.metadata.occurredAt", ...),
        ("detail.metadata.occurredAt", "2026-02-30T00:00:00.000Z"),
        ("detail.metadata.occurredAt", "2026-01-31T09:30:00Z"),
        ("detail.metadata.occurredAt", "2026-01-31T09:30:00.000+01:00"),
        ("detail.metadata.occurredAt", 1),
        ("detail.metadata.occurredAt", "9999-12-31T23:59:59.999Z"),
        ("detail.metadata.correlationId", ...),
        ("detail.metadata.correlationId", ""),
        ("detail.metadata.causationId", "x"),
        ("detail.metadata.attempt", 0),
        ("detail.metadata.attempt", "1"),
        ("detail.metadata.attempt", True),
        ("detail.metadata.attempt", 1.5),
        ("detail.data", ...),
        ("detail.data", None),
        ("detail.data.orderId", ...),
        ("detail.data.orderId", "1"),
        ("detail.data.orderId", None),
    ],
    ids=lambda value: str(value),
)
def test_an_event_that_no_model_accepts_is_refused_with_the_field_that_is_wrong(
    refuses: Refuses, events: dict[str, Envelope], path: str, value: Any
) -> None:
    for event in events.values():
        broken = changed(event, path, value)
        for function in _steps(broken):
            place = path.removeprefix("detail.")
            refuses(function, broken, MalformedEvent, f"{event['detail-type']}: {place}: ")


DATA = [
    ("OrderPlacedEvent", "customerId", ["", None, 1]),
    ("OrderPlacedEvent", "items", [[], {}, None, [{}], [{"sku": "MUG", "name": "M", "quantity": "2", "unitPrice": 1}]]),
    ("OrderPlacedEvent", "totalAmount", ["2800", 2800.5, -1, 2**53, 10**40, True, None]),
    ("OrderPlacedEvent", "currency", ["eur", "EURO", "", None]),
    ("OrderPlacedEvent", "paymentMethod", ["", None]),
    ("PaymentCompletedEvent", "paymentId", ["", None, 1]),
    ("PaymentCompletedEvent", "totalAmount", ["2800", 2800.5, -1, 2**53, 10**40, True]),
    ("PaymentCompletedEvent", "currency", ["eur"]),
    ("PaymentFailedEvent", "paymentId", [""]),
    ("PaymentFailedEvent", "totalAmount", ["2800", 10**40]),
    ("PaymentFailedEvent", "currency", ["eur"]),
    ("PaymentFailedEvent", "reason", ["", None, 1]),
    ("FulfillmentCompletedEvent", "trackingId", ["", None, 1]),
    ("FulfillmentCompletedEvent", "carrier", ["", None, 1]),
]


@pytest.mark.parametrize(("event_type", "field", "values"), DATA, ids=lambda value: str(value)[:40])
def test_each_field_of_the_data_is_checked(
    refuses: Refuses, events: dict[str, Envelope], event_type: str, field: str, values: list[Any]
) -> None:
    for value in [..., *values]:
        broken = changed(events[event_type], f"detail.data.{field}", value)
        for function in _steps(broken):
            refuses(function, broken, MalformedEvent, rf"{event_type}: data\.{field}")


def test_no_field_of_the_data_is_left_out_of_these_tests(events: dict[str, Envelope]) -> None:
    assert {(name, field) for name, event in events.items() for field in event["detail"]["data"]} == {
        (name, field) for name, field, _ in DATA
    } | {(name, "orderId") for name in events}


def test_python_s_names_are_not_the_contract_s(refuses: Refuses, events: dict[str, Envelope]) -> None:
    placed = events["OrderPlacedEvent"]
    snake = changed(changed(placed, "detail.data.orderId", ...), "detail.data.order_id", MADE_UP_ID)
    refuses("paymentProcessing", snake, MalformedEvent, "data.orderId: Field required")


@pytest.mark.parametrize("detail_type", ["OrderShippedEvent", "", None, ["OrderPlacedEvent"], ...], ids=str)
def test_an_unknown_detail_type_is_refused_with_those_that_are_known(
    refuses: Refuses, events: dict[str, Envelope], detail_type: Any
) -> None:
    for function in ("paymentProcessing", "fulfillment", "orderStatusUpdater", "notification"):
        broken = changed(events["OrderPlacedEvent"], "detail-type", detail_type)
        refuses(function, broken, MalformedEvent, "must be one of OrderPlacedEvent, PaymentCompletedEvent, ")


@pytest.mark.parametrize("nothing", [None, [], "text", 1, True], ids=repr)
def test_what_is_no_object_is_refused_as_no_event(refuses: Refuses, nothing: Any) -> None:
    for function in topology.service()["functions"]:
        if function not in ("orderService", "reconciler"):  # which take no events
            refuses(function, nothing, MalformedEvent, "the payload is a .*; EventBridge delivers a JSON object")


def test_an_event_that_goes_astray_is_refused(refuses: Refuses, events: dict[str, Envelope]) -> None:
    for function in ("paymentProcessing", "fulfillment", "orderStatusUpdater", "notification"):
        for event in events.values():
            if function not in matching.consumers(event):
                refuses(function, event, MalformedEvent, f"{event['detail-type']} was delivered to a consumer of .*")


def test_fields_that_a_consumer_does_not_know_are_ignored(shop: Shop, charges: Charges) -> None:
    # given
    order_id, placed = shop.placed()
    for path in ("giftWrap", "detail.giftWrap", "detail.metadata.giftWrap", "detail.data.giftWrap"):
        placed = changed(placed, path, True)
    placed["detail"]["data"]["items"][0]["giftWrap"] = True

    # when
    shop.deliver("paymentProcessing", placed)

    # then
    assert shop.item(order_id)["payment"]["paymentId"] == charges[0].payment_id


def test_the_stored_amount_is_charged_under_the_order_s_id(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    asked: list[tuple[Any, ...]] = []
    charge = SimulatedGateway.charge

    def watched(gateway: SimulatedGateway, *args: Any, **more: Any) -> Any:
        asked.append((*args, more))
        return charge(gateway, *args, **more)

    monkeypatch.setattr(SimulatedGateway, "charge", watched)
    order_id, placed = shop.placed()

    # when
    shop.deliver("paymentProcessing", placed)

    # then
    assert asked == [("tok_visa", 2800, "EUR", {"idempotency_key": order_id, "reference": order_id})]


def test_an_order_that_nobody_can_read_is_an_error_with_the_reason(shop: Shop, refuses: Refuses) -> None:
    order_id, placed = shop.placed()
    shop.change(order_id, status="LOST")
    refuses("paymentProcessing", placed, MalformedOrder, f"order {order_id}: status: Input should be 'PLACED'")


def test_an_order_whose_history_can_not_grow_is_an_error_with_the_reason(shop: Shop, refuses: Refuses) -> None:
    order_id, placed = shop.placed()
    shop.deliver("paymentProcessing", placed)
    shop.change(order_id, statusHistory="PLACED")
    refuses("orderStatusUpdater", shop.published[-1], MalformedOrder, f"order {order_id}: .*ValidationException")


def test_the_reason_is_in_the_log_with_the_ids_of_order_and_event(
    shop: Shop, events: dict[str, Envelope], log_lines: Lines
) -> None:
    # given
    forged = changed(events["OrderPlacedEvent"], "detail.data.totalAmount", 1)

    # when
    with pytest.raises(EventContradictsOrder):
        shop.deliver("paymentProcessing", forged)

    # then
    [line] = log_lines()
    order_id = forged["detail"]["data"]["orderId"]
    assert line["level"] == "ERROR"
    assert line["message"] == (
        f"EventContradictsOrder: OrderPlacedEvent says totalAmount is 1; order {order_id} says 2800"
    )
    assert (line["orderId"], line["eventId"], line["eventType"]) == (order_id, forged["id"], "OrderPlacedEvent")
    assert line["correlationId"] == forged["detail"]["metadata"]["correlationId"]


def _steps(event: Envelope) -> list[str]:
    """The event's consumers, but for those that take whatever comes."""
    return [function for function in matching.consumers(event) if function not in flow.recorders()]
