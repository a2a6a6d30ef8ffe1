"""What the labs of notebooks 11 to 13 decide without a stack: which answers they refuse, and why."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from notebooks.labs import cancelling, loyalty, versions
from orders.errors import MalformedEvent
from orders.events import OrderPlacedEvent, PaymentCompletedEvent
from tools.checkout import ROOT

RECORDED = ROOT / "tests" / "recorded" / "v1" / "events"


def recorded(name: str) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return envelope


# --- 11.1 -------------------------------------------------------------------------------------------------------------

CANCELLED = {"status": "CANCELLED", "cancellation": {}}
VOIDED = {"state": "VOIDED", "charges": 0, "refunds": 0}


def test_an_order_that_is_voided_and_cancelled_is_right() -> None:
    assert cancelling.not_voided(CANCELLED, VOIDED) is None


@pytest.mark.parametrize(
    ("order", "ledger", "said"),
    [
        ({}, VOIDED, "no such order"),
        ({"status": "PLACED"}, VOIDED, "not cancelled"),
        (CANCELLED, {"state": "REFUNDED", "charges": 1, "refunds": 1}, "too late"),
        (CANCELLED, {"state": None, "charges": 0, "refunds": 0}, "never asked"),
        (CANCELLED, {"state": "DECLINED", "charges": 0, "refunds": 0}, "`DECLINED`"),
        ({**CANCELLED, "status": "PLACED"}, VOIDED, "still `PLACED`"),
    ],
)
def test_an_order_that_could_still_be_charged_or_was_is_refused(
    order: Mapping[str, Any], ledger: Mapping[str, Any], said: str
) -> None:
    assert said in (cancelling.not_voided(order, ledger) or "")


# --- 12.1 -------------------------------------------------------------------------------------------------------------


def upcast(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    if detail["metadata"].get("version") != "0":
        return detail
    data = dict(detail["data"])
    data["customerId"] = data.pop("customer")
    data["totalAmount"] = int(Decimal(data.pop("amount")) * 100)
    return {"metadata": {**detail["metadata"], "version": "1"}, "data": data}


def of_18_90() -> OrderPlacedEvent:
    detail = recorded("OrderPlacedEvent")["detail"]
    detail["data"]["totalAmount"] = 1890
    return OrderPlacedEvent.read(detail)


def test_version_0_has_the_amount_as_text_and_the_customer_under_another_name() -> None:
    old = versions.version_0(of_18_90())

    assert (old["metadata"]["version"], old["data"]["amount"], old["data"]["customer"]) == ("0", "18.90", "anna")
    assert not {"totalAmount", "customerId"} & set(old["data"])
    with pytest.raises(MalformedEvent):
        OrderPlacedEvent.read(old)


def test_an_upcaster_that_gives_the_very_event_back_is_right() -> None:
    event = of_18_90()

    assert versions.fault_of(upcast, event) is None
    assert OrderPlacedEvent.read(upcast(versions.version_0(event))) == event


def in_place(detail: dict[str, Any]) -> Mapping[str, Any]:
    detail["metadata"]["version"] = "1"
    return detail


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (in_place, "pure"),
        (lambda detail: detail["data"], "`metadata` and `data`"),
        (lambda detail: {**detail, "data": {"totalAmount": Decimal("18.90")}}, "is JSON"),
        (lambda detail: {"metadata": {}, "data": {}}, "come back as it is"),
    ],
)
def test_an_upcaster_that_is_impure_or_changes_a_current_event_is_refused(
    wrong: Callable[[Any], Any], said: str
) -> None:
    assert said in (versions.fault_of(wrong, of_18_90()) or "")


# --- 13.1 -------------------------------------------------------------------------------------------------------------


def test_the_forged_event_is_another_fact_about_the_same_order() -> None:
    event = recorded("PaymentCompletedEvent")
    before = deepcopy(event)

    deliveries = list(loyalty.deliveries(event))
    details = [PaymentCompletedEvent.read(delivered["detail"]) for _, delivered, _ in deliveries]

    assert event == before
    assert [may_fail for _, _, may_fail in deliveries] == [False, False, True]
    assert {detail.order_id for detail in details} == {event["detail"]["data"]["orderId"]}
    assert details[0] == details[1]
    assert details[2].metadata.event_id != details[0].metadata.event_id
    assert details[2].data.total_amount > details[0].data.total_amount


def test_the_unreadable_event_is_one_that_no_model_accepts() -> None:
    with pytest.raises(MalformedEvent, match=r"data\.totalAmount"):
        PaymentCompletedEvent.read(loyalty.unreadable(recorded("PaymentCompletedEvent"))["detail"])


# --- 13.2 -------------------------------------------------------------------------------------------------------------

ALARM = {
    "Namespace": "AWS/Lambda",
    "MetricName": "Errors",
    "Dimensions": [{"Name": "FunctionName", "Value": "loyalty"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "ActionsEnabled": True,
    "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:topic"],
}


@pytest.mark.parametrize("same", [{}, {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 0.0}])
def test_an_alarm_on_one_failed_invocation_is_right(same: Mapping[str, Any]) -> None:
    assert loyalty.fault_of({**ALARM, **same}, "loyalty") is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Namespace": "AWS/SQS"}, "namespace"),
        ({"MetricName": "Invocations"}, "`Errors`"),
        ({"Dimensions": []}, "`FunctionName`"),
        ({"Dimensions": [{"Name": "FunctionName", "Value": "fulfillment"}]}, "`loyalty`"),
        ({"Statistic": "Average"}, "low average"),
        ({"Threshold": 2.0}, "at one error"),
        ({"Threshold": 0.0}, "not at none"),
        ({"ComparisonOperator": "LessThanThreshold"}, "comparison"),
        ({"Period": 3600}, "five minutes"),
        ({"EvaluationPeriods": 5}, "five minutes"),
        ({"AlarmActions": []}, "nobody"),
        ({"ActionsEnabled": False}, "nobody"),
    ],
)
def test_an_alarm_that_watches_the_wrong_thing_or_notifies_nobody_is_refused(
    change: Mapping[str, Any], said: str
) -> None:
    assert said in (loyalty.fault_of({**ALARM, **change}, "loyalty") or "")
