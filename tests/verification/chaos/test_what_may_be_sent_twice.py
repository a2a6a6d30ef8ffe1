"""A message may be sent again only if a fault kept the first sending from being recorded."""

from typing import Any

import pytest

from verification.chaos.call_log import ObservedCall, may_repeat

LOST, THROTTLED = 7, 8
EMAIL = ("order", "email")


def call(at: float, service: str, **more: Any) -> ObservedCall:
    usual = {
        "operation": "",
        "function": "notification",
        "process": 1,
        "order": "order",
        "seconds": 0.01,
        "status": 200,
    }
    fields = {**dict.fromkeys(ObservedCall._fields), **usual, "at": at, "service": service, **more}
    return ObservedCall(**fields)


def sent(at: float = 1, **more: Any) -> ObservedCall:
    return call(at, "ses", **more)


def recorded(at: float = 2, **more: Any) -> ObservedCall:
    return call(at, "dynamodb", receipt="email", **more)


def allowed(*calls: ObservedCall, timed_out: bool = False) -> dict[tuple[str, str], int]:
    return may_repeat(calls, frozenset({LOST}), timed_out)


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([sent(killed="after")], id="the process was killed after SES accepted it"),
        pytest.param([sent(rule=LOST)], id="the response was lost"),
        pytest.param([sent(seconds=2.3)], id="the response came too late"),
        pytest.param([sent(), recorded(killed="before", status=None)], id="killed before the receipt was stored"),
        pytest.param(
            [sent(), *[recorded(rule=THROTTLED, status=None)] * 3], id="no attempt at the receipt got through"
        ),
    ],
)
def test_a_sending_that_could_not_be_recorded_may_be_repeated(calls: list[ObservedCall]) -> None:
    assert allowed(*calls) == {EMAIL: 1}


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([sent(), recorded()], id="recorded"),
        pytest.param([sent()], id="nobody kept it from being recorded"),
        pytest.param([sent(), recorded(status=400)], id="the receipt was refused, not disturbed"),
        pytest.param([sent(rule=THROTTLED, status=None)], id="never sent"),
        pytest.param([sent(killed="before", status=None)], id="killed before it was sent"),
        pytest.param([sent(), recorded(killed="after")], id="killed when the receipt was stored"),
        pytest.param(
            [sent(), recorded(rule=THROTTLED, status=None), recorded(3)],
            id="a later attempt at the receipt got through",
        ),
        pytest.param(
            [sent(), call(2, "dynamodb", receipt="sms", killed="before", status=None)], id="another channel's"
        ),
    ],
)
def test_no_other_sending_may_be_repeated(calls: list[ObservedCall]) -> None:
    assert allowed(*calls) == {}


def test_the_receipt_of_a_second_sending_is_not_the_firsts() -> None:
    disturbed = recorded(2, rule=THROTTLED, status=None)
    assert allowed(sent(1), disturbed, sent(3), recorded(4)) == {EMAIL: 1}


def test_a_process_that_made_no_further_call_may_have_timed_out() -> None:
    assert allowed(sent(), timed_out=True) == {EMAIL: 1}
    assert allowed(sent(), call(2, "dynamodb"), timed_out=True) == {}
