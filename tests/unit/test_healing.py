"""What has become of the orders of dead letters: how it is read, however many there are."""

from itertools import count
from types import SimpleNamespace

import pytest

from operations.healing import OrderNow, OrdersUnread, orders_now
from orders.aws import backoff
from orders.aws.dynamodb import Item, to_item
from tests.unit.dead_letter_queues import Queues


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr(backoff, "time", SimpleNamespace(sleep=pauses.append))
    return pauses


@pytest.fixture
def queues() -> Queues:
    return Queues()


def put_orders(queues: Queues, count: int) -> list[str]:
    ids = [f"order-{number:05}" for number in range(count)]
    for order_id in ids:
        queues.orders[order_id] = to_item({"orderId": order_id, "status": "FULFILLED"})
    return ids


def test_an_order_has_healed_when_it_is_no_longer_due(queues: Queues) -> None:
    queues.orders["healed"] = to_item({"orderId": "healed", "status": "PAYMENT_FAILED"})
    queues.orders["open"] = to_item({"orderId": "open", "status": "PLACED", "dueAt": "2026-01-01T00:00:00.000Z"})

    found = orders_now(queues.stack, ["open", "healed", "open", "of nobody", "", "x" * 3000])

    assert found == {"healed": OrderNow("PAYMENT_FAILED", True), "open": OrderNow("PLACED", False)}


def test_thousands_are_read_a_hundred_at_a_time(queues: Queues) -> None:
    ids, heard = put_orders(queues, 2_050), list[int]()

    assert orders_now(queues.stack, ids, heard.append).keys() == set(ids)

    assert heard == [*range(100, 2_001, 100), 2_050]


def test_a_key_that_is_left_out_is_read_again_after_a_pause(queues: Queues, pauses: list[float]) -> None:
    ids, reads = put_orders(queues, 150), count()

    def all_but_three(keys: list[Item]) -> list[Item]:
        return keys[3:] if next(reads) < backoff.ATTEMPTS - 1 else []

    queues.unprocessed = all_but_three

    assert orders_now(queues.stack, ids).keys() == set(ids)
    assert len(pauses) == backoff.ATTEMPTS - 1


def test_keys_that_are_left_out_for_good_are_an_error(queues: Queues, pauses: list[float]) -> None:
    ids = put_orders(queues, 150)
    queues.unprocessed = lambda keys: keys[-2:]

    with pytest.raises(OrdersUnread, match=r"^DynamoDB left out 2 of 100 orders$"):
        orders_now(queues.stack, ids)


def test_without_dead_letters_nothing_is_read(queues: Queues) -> None:
    queues.unprocessed = lambda keys: pytest.fail("it was read")
    assert orders_now(queues.stack, []) == {}
