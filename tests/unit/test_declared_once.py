"""What is declared in one place and must fit another: tokens, events, times, statuses, metrics' form."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from orders import clock, errors
from orders.aws.gateway import DECLINES
from orders.catalogue import PaymentMethod
from orders.config import Config
from orders.errors import MalformedEvent, OrderProcessingError
from orders.events import EVENTS, Event, FinalEvent, PaymentRefundedEvent, StatusEvent, is_id, new_id
from orders.model import FINAL, TRANSITIONS, Order, Status
from tests.conftest import Lines
from tests.shop import Shop


@pytest.mark.parametrize("token", DECLINES)
def test_an_order_may_name_each_token_of_the_gateway_and_no_other(token: str) -> None:
    tokens = TypeAdapter[str](PaymentMethod)
    assert tokens.validate_python(token) == token
    with pytest.raises(ValueError, match=r"tok_visa|pattern"):
        tokens.validate_python(f"{token}_")


def test_every_event_class_is_among_the_events_under_its_own_name() -> None:
    declared = {each.__name__: each for each in Event.__subclasses__()}
    assert dict(EVENTS) == declared
    assert all(each.detail_type() == name and each.source for name, each in EVENTS.items())


def test_each_status_is_reached_and_what_is_final_is_left_by_no_event() -> None:
    reached = {to for to, _ in TRANSITIONS.values()}
    left = {origin for _, origins in TRANSITIONS.values() for origin in origins}
    assert reached | {"PLACED"} == set(get_args(Status))
    assert set(FINAL) == set(get_args(Status)) - left
    assert set(get_args(StatusEvent)) == set(TRANSITIONS)


def test_the_customer_is_notified_of_each_event_that_decides_an_order_s_end() -> None:
    """A refund only follows from one: the cancellation."""
    decisive = {event for event, (to, _) in TRANSITIONS.items() if to in FINAL | {"CANCELLED"}}
    assert set(get_args(FinalEvent)) == decisive - {PaymentRefundedEvent}


def test_every_error_is_in_the_tree_of_its_file_and_says_what_becomes_of_it() -> None:
    for error in OrderProcessingError.__subclasses__():
        assert f"── {error.__name__} " in (errors.__doc__ or ""), error
        assert error.__doc__


def test_an_event_is_never_changed(shop: Shop) -> None:
    order_id, _ = shop.placed()
    event = Order.model_validate(shop.item(order_id)).placed_event()
    with pytest.raises(ValueError, match="frozen"):
        event.data = None  # type: ignore[assignment]
    with pytest.raises(ValueError, match="frozen"):
        event.metadata.attempt = 2


def test_a_new_id_is_a_uuid_in_36_characters_and_no_other_has_it() -> None:
    assert is_id(new_id())
    assert new_id() != new_id()


# --- time -------------------------------------------------------------------------------------------------------------

AT = datetime(2026, 1, 31, 9, 30, 0, 123000, tzinfo=UTC)


def test_a_time_is_written_in_utc_with_milliseconds_and_z() -> None:
    assert clock.timestamp(AT) == "2026-01-31T09:30:00.123Z"
    assert clock.timestamp(AT.replace(microsecond=0)) == "2026-01-31T09:30:00.000Z"
    assert clock.moment("2026-01-31T09:30:00.123Z") == AT
    assert clock.now().microsecond % 1000 == 0
    assert clock.moment(clock.timestamp(clock.now())).tzinfo is not None


@pytest.mark.parametrize(
    "value",
    ["", "2026-01-31", "2026-01-31T09:30:00Z", "2026-01-31 09:30:00.123Z", "2026-01-31T09:30:00.123+00:00",
     "2026-01-31T24:30:00.123Z", "2026-02-30T09:30:00.123Z", "2026-01-31T09:30:00.123Z\n", "٢٠٢٦-01-31T09:30:00.123Z",
     None, 1, AT],
    ids=repr,
)  # fmt: skip
def test_anything_else_is_no_timestamp(value: Any) -> None:
    assert not clock.is_timestamp(value)


@pytest.mark.parametrize("behind", [timedelta(), timedelta(milliseconds=1), timedelta(minutes=5)])
def test_an_effect_is_later_than_its_cause_even_where_the_clock_runs_behind(
    monkeypatch: pytest.MonkeyPatch, behind: timedelta
) -> None:
    monkeypatch.setattr(clock, "now", lambda: AT - behind)
    assert clock.just_after(clock.timestamp(AT)) == "2026-01-31T09:30:00.124Z"


def test_an_effect_is_now_where_the_clock_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: AT + timedelta(seconds=1))
    assert clock.just_after(clock.timestamp(AT)) == "2026-01-31T09:30:01.123Z"


def test_no_cause_is_later_than_its_effect_while_the_clocks_of_the_functions_differ(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.place()
    monkeypatch.setattr(clock, "now", lambda: AT)  # long ago
    shop.run()
    times = [event["detail"]["metadata"]["occurredAt"] for event in shop.published]
    assert times == sorted(set(times))


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [str(field.alias) for field in Config.model_fields.values()])
def test_a_missing_variable_is_named(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != name}
    with pytest.raises(ValueError, match=name):
        Config.model_validate(environment)


@pytest.mark.parametrize("value", ["0", "-1", "soon", ""])
def test_a_duration_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="RECONCILE_AFTER_SECONDS"):
        Config.model_validate({**os.environ, "RECONCILE_AFTER_SECONDS": value})


# --- what the operator sees -------------------------------------------------------------------------------------------


def test_metrics_are_in_the_embedded_format_under_the_service_s_name(shop: Shop, metrics: Lines) -> None:
    # when
    shop.place()
    shop.place(paymentMethod="tok_declined")
    shop.run()

    # then
    seen = metrics()
    for line in seen:
        [declared] = line["_aws"]["CloudWatchMetrics"]
        [metric] = declared["Metrics"]
        assert declared["Namespace"] == "OrderProcessing"
        assert declared["Dimensions"] == [["service"]]
        assert line["service"] == os.environ["POWERTOOLS_SERVICE_NAME"]
        assert metric["Unit"] == ("Seconds" if metric["Name"].startswith("Seconds") else "Count")
        assert line[metric["Name"]]
    names = [line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] for line in seen]
    assert {name: names.count(name) for name in names} == {
        "OrdersPlaced": 2,
        "OrdersPaid": 1,
        "OrdersDeclined": 1,
        "OrdersFulfilled": 1,
        "CustomersNotified": 2,
        "SecondsToFinalStatus": 2,
    }


def test_the_seconds_to_the_final_status_are_counted_from_the_order(shop: Shop, metrics: Lines, let_pass: Any) -> None:
    _, placed = shop.placed(paymentMethod="tok_declined")
    shop.deliver("paymentProcessing", placed)
    let_pass(seconds=90)
    shop.run()
    [line] = [line for line in metrics() if "SecondsToFinalStatus" in line]
    assert line["SecondsToFinalStatus"] == [pytest.approx(90, abs=5)]


def test_every_line_of_an_order_has_its_id_and_the_request_s(shop: Shop, metrics: Lines, log_lines: Lines) -> None:
    # given
    answer = shop.call(
        "POST", "/orders", {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"}, request_id="r-1"
    )

    # when
    shop.run()

    # then
    lines = metrics()
    assert [line["message"] for line in lines] == [
        "Placed the order",
        "The payment is COMPLETED",
        "The order is ready to ship",
        "The order is FULFILLED",
        "The email was sent",
    ]
    assert {line["orderId"] for line in lines} == {answer.body["orderId"]}
    assert {line["correlationId"] for line in lines} == {"r-1"}
    assert {line["service"] for line in lines} == {os.environ["POWERTOOLS_SERVICE_NAME"]}
    assert log_lines() == [], "nothing is said twice"


def test_a_line_of_what_is_not_counted_has_the_ids_too(shop: Shop, log_lines: Lines) -> None:
    _, placed = shop.placed()
    shop.deliver("paymentProcessing", placed)
    with pytest.raises(MalformedEvent):
        shop.deliver("fulfillment", placed)
    [line] = log_lines()
    assert line["orderId"] == placed["detail"]["data"]["orderId"]
    assert line["correlationId"] == placed["detail"]["metadata"]["correlationId"]
    assert (line["service"], line["level"]) == (os.environ["POWERTOOLS_SERVICE_NAME"], "ERROR")


def test_no_log_line_has_the_id_of_a_trace(shop: Shop, log_lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda sets one though nothing is traced."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-67414d5f-0a1b2c3d4e5f60718293a4b5;Parent=0a1b2c3d4e5f6071;Sampled=0")
    shop.place()
    shop.run()
    assert [line for line in log_lines() if "xray_trace_id" in line] == []


def test_the_keys_of_one_invocation_do_not_stay_for_the_next(shop: Shop, log_lines: Lines) -> None:
    shop.place()
    shop.call("GET", "/orders/nothing")
    assert "orderId" not in log_lines()[-1]
