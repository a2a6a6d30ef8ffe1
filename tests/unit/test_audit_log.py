"""The audit log keeps every event on the bus: once, as it was, also the ones that no model accepts."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from handlers.responses import EventResponse
from handlers.wiring import audit_log
from orders import clock
from orders.choreography import record_event
from orders.errors import MalformedEvent
from tests.conftest import Lines
from tests.shop import ANNA, Envelope, Shop, changed, envelope


def _nested(levels: int) -> Any:
    value: Any = "the end"
    for _ in range(levels):
        value = {"in": value}
    return value


def _kept(shop: Shop, event: Envelope) -> dict[str, Any]:
    """What the log has of one event."""
    shop.deliver("auditLogger", event)
    [entry] = shop.log_entries()
    return entry


def test_ten_deliveries_of_an_event_make_one_entry(shop: Shop) -> None:
    _, placed = shop.placed()
    assert [record_event(placed, audit_log()) for _ in range(10)] == [True] + [False] * 9
    assert len(shop.log_entries()) == 1


def test_an_entry_is_never_overwritten(shop: Shop) -> None:
    _, placed = shop.placed()
    entry = _kept(shop, placed)
    assert _kept(shop, changed(placed, "detail.data.totalAmount", 1)) == entry


def test_each_publication_of_the_same_fact_is_an_entry_of_its_own_in_the_order_of_attempts(
    shop: Shop, let_pass: Any
) -> None:
    # given
    order_id, placed = shop.placed()
    for _ in range(9):
        let_pass(hours=7)
        shop.reconcile()

    # when they arrive in another order
    for event in [*shop.drain()[::-1], placed]:
        shop.deliver("auditLogger", event)

    # then
    trail = shop.trail(order_id)
    assert [entry["attempt"] for entry in trail] == list(range(1, 11))
    assert len({entry["eventId"] for entry in trail}) == 10
    assert len({entry["domainEventId"] for entry in trail}) == 1


def test_an_entry_has_the_event_s_ids_its_whole_detail_as_a_map_and_when_it_was_logged(
    shop: Shop, let_pass: Callable[..., None]
) -> None:
    _, placed = shop.placed()
    metadata = placed["detail"]["metadata"]
    let_pass(minutes=5)
    assert _kept(shop, placed) == {
        "eventId": placed["id"],
        "timestamp": metadata["occurredAt"],
        "eventType": "OrderPlacedEvent",
        "source": "order-processing.orders",
        "orderId": placed["detail"]["data"]["orderId"],
        "domainEventId": metadata["eventId"],
        "correlationId": metadata["correlationId"],
        "attempt": 1,
        "loggedAt": clock.timestamp(clock.now()),
        "detail": placed["detail"],
    }  # the first event has no cause


@pytest.mark.parametrize(
    ("occurred_at", "timestamp"),
    [
        ("2026-01-31T09:30:00.123Z", "2026-01-31T09:30:00.123Z"),
        ("2026-02-30T09:30:00.123Z", "2026-01-01T00:00:00.000Z"),
        ("2026-01-31T09:30:00Z", "2026-01-01T00:00:00.000Z"),
        ("soon", "2026-01-01T00:00:00.000Z"),
        (1, "2026-01-01T00:00:00.000Z"),
        (..., "2026-01-01T00:00:00.000Z"),
    ],
)
def test_the_timestamp_is_the_event_s_own_where_it_is_valid_and_else_the_bus_s(
    shop: Shop, occurred_at: Any, timestamp: str
) -> None:
    _, placed = shop.placed()
    event = changed({**placed, "time": "2026-01-01T00:00:00Z"}, "detail.metadata.occurredAt", occurred_at)
    assert _kept(shop, event)["timestamp"] == timestamp


@pytest.mark.parametrize(
    "detail",
    [
        {},
        {"metadata": None, "data": None},
        {"metadata": [], "data": "text"},
        {"metadata": {"eventId": 1, "correlationId": [], "causationId": {}, "attempt": "1"}, "data": {"orderId": 1}},
        {"metadata": {"attempt": True}, "data": {"orderId": ""}},
        {"metadata": {"eventId": "x" * 2049}, "data": {"orderId": "ä" * 1025}},
        [],
        ["a", {"b": 1}],
        "text",
        None,
        1,
        True,
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_event_of_ours_is_kept_without_what_can_not_be_a_key(shop: Shop, detail: Any) -> None:
    event = envelope("Whatever", "order-processing.elsewhere", detail)
    entry = _kept(shop, event)
    assert entry.pop("timestamp")
    assert entry.pop("loggedAt")
    assert entry == {
        "eventId": event["id"],
        "eventType": "Whatever",
        "source": "order-processing.elsewhere",
        "detail": detail,
    }


@pytest.mark.parametrize("order_id", ["x", "é" * 1024, "x" * 2048])
def test_whatever_can_be_a_key_finds_its_event_again(shop: Shop, order_id: str) -> None:
    event = envelope("Whatever", "order-processing.elsewhere", {"data": {"orderId": order_id}})
    assert _kept(shop, event)["orderId"] == order_id
    assert [entry["eventId"] for entry in audit_log().trail(order_id)] == [event["id"]]


@pytest.mark.parametrize(
    "value", [1, -1, 0, 10**37, 1.5, 0.1, 1e10, "", "ä\u0000\U0001f600", None, True, [], {}, _nested(20)], ids=str
)
def test_a_detail_that_can_be_a_map_is_kept_as_one(shop: Shop, value: Any) -> None:
    event = envelope("Whatever", "order-processing.elsewhere", {"value": value})
    assert _kept(shop, event)["detail"] == {"value": value}


@pytest.mark.parametrize("number", [10**38 + 1, -(10**40) - 1, 2**200], ids=str)
def test_a_number_of_over_38_digits_makes_the_detail_a_text(shop: Shop, number: int) -> None:
    detail = {"value": number}
    assert json.loads(_kept(shop, envelope("Whatever", "order-processing.elsewhere", detail))["detail"]) == detail


def test_an_attempt_of_over_38_digits_stays_in_the_detail_alone(shop: Shop) -> None:
    detail = {"metadata": {"attempt": 10**38}}
    entry = _kept(shop, envelope("Whatever", "order-processing.elsewhere", detail))
    assert "attempt" not in entry
    assert json.loads(entry["detail"]) == detail


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 1e200, 1e-200])
def test_a_number_that_dynamodb_does_not_know_makes_the_detail_a_text(shop: Shop, value: float) -> None:
    detail = {"value": value}
    assert json.loads(_kept(shop, envelope("Whatever", "order-processing.elsewhere", detail))["detail"]) == detail


@pytest.mark.parametrize("text", [{"value": "\ud800"}, {"\ud800": 1}], ids=repr)
def test_half_a_character_makes_the_detail_a_text(shop: Shop, text: dict[str, Any]) -> None:
    """JSON can say it, as an escape; UTF-8, and so DynamoDB, can't."""
    assert json.loads(_kept(shop, envelope("Whatever", "order-processing.elsewhere", text))["detail"]) == text


@pytest.mark.parametrize("levels", [200, 400, 800])
def test_a_detail_of_hundreds_of_levels_is_kept_as_a_text(shop: Shop, levels: int) -> None:
    detail = _nested(levels)
    assert _kept(shop, envelope("Whatever", "order-processing.elsewhere", detail))["detail"] == json.dumps(detail)


@pytest.mark.parametrize("code", ["ValidationException", "SerializationException"])
def test_a_detail_that_the_database_refuses_is_kept_as_a_text(shop: Shop, code: str) -> None:
    """Over 32 levels: DynamoDB refuses them, moto does not."""
    # given
    detail = {"deep": _nested(40)}
    shop.wire.fail("dynamodb:PutItem", code)

    # when
    entry = _kept(shop, envelope("Whatever", "order-processing.elsewhere", detail))

    # then
    assert json.loads(entry["detail"]) == detail
    assert entry["detail"].isascii()


@pytest.mark.parametrize("name", ["id", "time", "detail-type", "source"])
@pytest.mark.parametrize("value", [..., None, "", 1, "x" * 2049], ids=lambda value: str(value)[:8])
def test_what_eventbridge_never_sends_is_refused_with_the_reason(shop: Shop, name: str, value: Any) -> None:
    with pytest.raises(MalformedEvent, match=r"is missing or not text|can't be stored"):
        shop.deliver("auditLogger", changed(envelope("Whatever", "order-processing.elsewhere", {}), name, value))
    assert shop.log_entries() == []


def test_an_event_that_could_not_be_kept_raises(shop: Shop, log_lines: Lines) -> None:
    _, placed = shop.placed()
    shop.wire.fail("dynamodb:PutItem", "ProvisionedThroughputExceededException")
    with pytest.raises(ClientError):
        shop.deliver("auditLogger", placed)
    assert shop.log_entries() == []
    assert log_lines()[-1]["level"] == "ERROR"
    shop.wire.fail("dynamodb:PutItem", "ValidationException", times=2)
    with pytest.raises(ClientError):
        shop.deliver("auditLogger", placed)


def test_the_trail_is_read_page_by_page(shop: Shop) -> None:
    # given
    order_id, placed = shop.placed()
    for n in range(3):
        event = changed({**placed, "id": f"event-{n}"}, "detail.metadata.occurredAt", f"2026-01-31T09:30:0{n}.000Z")
        shop.deliver("auditLogger", event)

    # when DynamoDB answers with pages of one
    def one_by_one(params: dict[str, Any], **_: Any) -> None:
        params["Limit"] = 1

    hooks = audit_log()._dynamodb.meta.events
    hooks.register("provide-client-params.dynamodb.Query", one_by_one)
    try:
        trail = shop.trail(order_id)
    finally:
        hooks.unregister("provide-client-params.dynamodb.Query", one_by_one)

    # then
    assert [entry["eventId"] for entry in trail] == ["event-0", "event-1", "event-2"]


def test_the_trail_shows_an_event_that_is_kept_as_a_text_without_data(shop: Shop) -> None:
    order_id, placed = shop.placed()
    shop.deliver("auditLogger", changed(placed, "detail.data.totalAmount", 10**40 + 1))
    [entry] = shop.trail(order_id)
    assert (entry["eventType"], entry["data"]) == ("OrderPlacedEvent", None)


@pytest.mark.parametrize("detail", [[], "text", {"data": []}, {"data": "text"}, {"data": 1}], ids=str)
def test_events_of_no_order_are_in_no_trail(shop: Shop, detail: Any) -> None:
    order_id, _ = shop.placed()
    shop.deliver("auditLogger", envelope("Whatever", "order-processing.elsewhere", detail))
    assert shop.trail(order_id, by=ANNA) == []


# --- what somebody else wrote into the log ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"detail": None},
        {"detail": "no map"},
        {"detail": {"data": {"a set"}}},
        {"detail": {"data": [b"bytes"]}},
        {"source": None, "eventType": {"a set"}},
        {"correlationId": b"bytes", "causationId": 1},
        {"attempt": "first"},
        {"attempt": {1, 2}},
    ],
    ids=str,
)
def test_an_odd_entry_shows_what_can_be_read_and_leaves_the_others_as_they_are(
    shop: Shop, changes: dict[str, Any]
) -> None:
    # given two entries of the same moment, so that the attempts decide on their order
    order_id, placed = shop.placed()
    entry = _kept(shop, placed)
    odd = {**entry, "eventId": "odd", **changes}
    shop.log({name: value for name, value in odd.items() if value is not None})

    # when
    trail = {each["eventId"]: each for each in shop.trail(order_id)}

    # then
    shown, right = trail.pop("odd"), trail.pop(placed["id"])
    unreadable = {*changes} - {"detail"} | ({"data"} if "detail" in changes else set())
    assert right["data"] == placed["detail"]["data"]
    assert shown == {**right, "eventId": "odd", **dict.fromkeys(unreadable)}


def test_a_lone_surrogate_in_a_row_that_somebody_else_wrote_is_shown_as_null() -> None:
    row = {"eventId": "x", "timestamp": "2026-01-31T09:30:00.000Z", "source": "\ud800", "detail": {"data": ["\ud800"]}}
    shown = EventResponse.model_validate(row)
    assert (shown.source, shown.data) == (None, None)
    assert json.loads(shown.model_dump_json())["eventId"] == "x"
