"""What fails inside a call that succeeds is tried again after a pause, a few times, and then given up."""

from itertools import pairwise
from typing import Any

import pytest

from orders.aws import backoff
from orders.aws.backoff import ATTEMPTS
from tests.conftest import Lines
from tests.shop import Shop
from tools import topology

REFUSED = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}]}


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each pause; none is waited for."""
    pauses: list[float] = []
    monkeypatch.setattr("orders.aws.backoff.time.sleep", pauses.append)
    return pauses


def left_out(order_id: str) -> dict[str, Any]:
    keys = {"Keys": [{"orderId": {"S": order_id}}], "ConsistentRead": True}
    return {"Responses": {}, "UnprocessedKeys": {"Orders": keys}}


def test_an_entry_that_the_bus_refuses_for_ever_is_put_a_few_times_with_a_pause_before_each_retry(
    shop: Shop, slept: list[float]
) -> None:
    shop.wire.answer("events:PutEvents", REFUSED, times=100)

    assert shop.place().status == 201, "the order is kept, and the reconciler publishes it"

    assert len(shop.wire.of("events:PutEvents")) == ATTEMPTS
    assert len(slept) == ATTEMPTS - 1


def test_orders_that_the_table_leaves_out_for_ever_are_read_a_few_times_with_a_pause_before_each_retry(
    shop: Shop, slept: list[float], log_lines: Lines
) -> None:
    order_id, _ = shop.placed()
    shop.wire.answer("dynamodb:BatchGetItem", left_out(order_id), times=100)

    assert shop.orders({}).status == 500

    assert len(shop.wire.of("dynamodb:BatchGetItem")) == ATTEMPTS
    assert len(slept) == ATTEMPTS - 1
    assert log_lines()[-1]["message"] == "ReadIncomplete: DynamoDB left out 1 of 1 orders"


def test_the_pauses_grow_and_differ_so_that_not_all_callers_come_back_at_once(
    shop: Shop, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.wire.answer("events:PutEvents", REFUSED, times=1000)
    for _ in range(100):
        shop.place()

    rounds = [slept[n :: ATTEMPTS - 1] for n in range(ATTEMPTS - 1)]
    assert all(0 <= pause <= backoff.longest_pause(n) for n, pauses in enumerate(rounds, start=1) for pause in pauses)
    assert all(sum(later) > sum(earlier) for earlier, later in pairwise(rounds))
    assert all(len(set(pauses)) > 90 for pauses in rounds)


def test_all_pauses_together_fit_into_a_tenth_of_every_function_s_time() -> None:
    longest = sum(backoff.longest_pause(attempt) for attempt in range(1, ATTEMPTS))
    assert longest <= min(map(topology.time_out, topology.service()["functions"])) / 10
