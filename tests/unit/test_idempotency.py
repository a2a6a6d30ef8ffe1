"""Idempotency-Key in all its cases, and the response that the SDK loses."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Lock
from typing import Any

import pytest
from moto.dynamodb.models import DynamoDBBackend

from handlers.wiring import store
from orders.catalogue import PRODUCTS
from orders.choreography import place_order
from orders.model import Customer, OrderRequest
from tests.conftest import Lines
from tests.shop import ANNA, BELA, Shop, an_order


def test_the_same_key_and_body_return_the_same_order_and_publish_no_second_event(shop: Shop, metrics: Lines) -> None:
    # given
    first = shop.place(key="key-1", phone="+4915112345678")

    # when
    again = shop.place(key="key-1", phone="+4915112345678")

    # then
    assert (first.status, again.status) == (201, 200)
    assert again.body == first.body
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert len(shop.published) == 1
    assert [line["OrdersPlaced"] for line in metrics() if "OrdersPlaced" in line] == [[1]]


def test_bodies_are_the_same_when_they_mean_the_same(shop: Shop) -> None:
    first = shop.call("POST", "/orders", an_order(), headers={"idempotency-key": "key-1"})
    body = '{"phone":null,\n "paymentMethod":"tok_visa", "items":[{"quantity":2,"sku":"MUG"}]}'
    again = shop.call("POST", "/orders", body, headers={"idempotency-key": "key-1"})
    assert (again.status, again.body) == (200, first.body)


def test_lines_in_another_order_are_the_same_order(shop: Shop) -> None:
    lines = [{"sku": "MUG", "quantity": 2}, {"sku": "KETTLE", "quantity": 1}, {"sku": "GRINDER", "quantity": 1}]
    first = shop.place(key="key-1", items=lines)
    again = shop.place(key="key-1", items=[lines[2], *lines[:2]])
    assert (first.status, again.status, again.body) == (201, 200, first.body)
    assert len(shop.published) == 1


# --- a product leaves the catalogue -----------------------------------------------------------------------------------


def test_a_repetition_returns_its_order_though_the_product_has_left_the_catalogue(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    first = shop.place(key="key-1")
    monkeypatch.delitem(PRODUCTS, "MUG")

    # when
    again = shop.place(key="key-1")

    # then
    assert (first.status, again.status, again.body) == (201, 200, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert len(shop.published) == 1


@pytest.mark.parametrize(
    "other", [{"items": [{"sku": "MUG", "quantity": 3}]}, {"items": [{"sku": "TEAPOT", "quantity": 2}]}], ids=str
)
def test_the_same_key_with_another_body_and_a_product_that_is_not_sold_is_422_for_the_key(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    shop.place(key="key-1")
    monkeypatch.delitem(PRODUCTS, "MUG")
    response = shop.place(key="key-1", **other)
    assert (response.status, response.body["type"]) == (422, "urn:order-processing:problem:idempotency-key-reused")


def test_a_product_that_is_not_sold_uses_no_key_up(shop: Shop) -> None:
    assert shop.place(key="key-1", items=[{"sku": "TEAPOT", "quantity": 1}]).status == 422
    assert shop.place(key="key-1").status == 201


def test_another_customer_s_key_tells_nothing_of_its_order(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    shop.place(key="key-1", by=BELA)
    monkeypatch.delitem(PRODUCTS, "MUG")

    # when
    taken, free = (shop.place(key=key, by=ANNA) for key in ("key-1", "key-2"))

    # then
    assert taken == free
    assert (taken.status, taken.body["type"]) == (422, "urn:order-processing:problem:validation-failed")


def test_no_more_calls_are_made_for_a_product_that_is_sold_or_without_a_key(shop: Shop) -> None:
    """The stored order is looked for only where it can be there and its request could not be written."""
    for key in (None, "key-1", "key-1"):
        shop.place(key=key)
    shop.place(items=[{"sku": "TEAPOT", "quantity": 1}])
    assert [call.action for call in shop.wire.calls if call.action.startswith("dynamodb:")] == 3 * ["dynamodb:PutItem"]


def test_a_repetition_shows_the_order_as_it_is_now(shop: Shop) -> None:
    shop.place(key="key-1")
    shop.run()
    again = shop.place(key="key-1")
    assert (again.status, again.body["status"]) == (200, "FULFILLED")
    assert shop.drain() == []


@pytest.mark.parametrize(
    "other",
    [
        {"items": [{"sku": "MUG", "quantity": 3}]},
        {"items": [{"sku": "KETTLE", "quantity": 2}]},
        {"items": [{"sku": "MUG", "quantity": 2}, {"sku": "KETTLE", "quantity": 1}]},
        {"paymentMethod": "tok_mastercard"},
        {"phone": "+4915112345678"},
    ],
    ids=str,
)
def test_the_same_key_with_another_body_is_422_and_orders_nothing(shop: Shop, other: dict[str, Any]) -> None:
    # given
    shop.place(key="key-1")
    before = shop.wire.effects()

    # when
    response = shop.place(key="key-1", **other)

    # then
    assert response.status == 422
    assert response.body["type"] == "urn:order-processing:problem:idempotency-key-reused"
    assert shop.wire.effects() == before


def test_another_customer_s_key_is_another_order(shop: Shop) -> None:
    annas, belas = shop.place(key="key-1", by=ANNA), shop.place(key="key-1", by=BELA)
    assert (annas.status, belas.status) == (201, 201)
    assert annas.body["orderId"] != belas.body["orderId"]


@pytest.mark.parametrize(("one", "other"), [(None, None), ("a", "b"), ("a", "A"), ("a", "a ")])
def test_another_key_or_none_is_a_new_order(shop: Shop, one: str | None, other: str | None) -> None:
    responses = [shop.place(key=one), shop.place(key=other)]
    assert [response.status for response in responses] == [201, 201]
    assert len({response.body["orderId"] for response in responses}) == 2
    assert len(shop.published) == 2


def test_a_key_that_looks_like_another_customer_s_pair_leads_nowhere(shop: Shop) -> None:
    """The id is made of customer and key: `anna` with `x:y` must not be `anna:x` with `y`."""
    one = shop.place(by=ANNA._replace(sub="anna"), key="x:y")
    other = shop.place(by=ANNA._replace(sub="anna:x"), key="y")
    assert (one.status, other.status) == (201, 201)
    assert one.body["orderId"] != other.body["orderId"]


def test_an_invalid_body_uses_no_key_up(shop: Shop) -> None:
    assert shop.place(key="key-1", phone="1").status == 422
    assert shop.place(key="key-1").status == 201


@pytest.mark.parametrize("key", ["key-1", None])
def test_a_write_whose_response_was_lost_is_known_as_ours(shop: Shop, metrics: Lines, key: str | None) -> None:
    """The SDK repeats the write by itself, and finds the order there."""
    # given
    shop.wire.lose_answer("dynamodb:PutItem")

    # when
    response = shop.place(key=key)

    # then
    assert response.status == 201
    assert "idempotency-replayed" not in response.headers
    assert [event["detail"]["data"]["orderId"] for event in shop.published] == [response.body["orderId"]]
    assert [line["OrdersPlaced"] for line in metrics() if "OrdersPlaced" in line] == [[1]]
    if key:
        assert shop.place(key=key).status == 200


@pytest.fixture
def _one_write_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB applies the writes to one item one after another; moto looks and writes in two steps."""
    lock, put_item = Lock(), DynamoDBBackend.put_item

    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return put_item(*args, **kwargs)

    monkeypatch.setattr(DynamoDBBackend, "put_item", locked)


@pytest.mark.usefixtures("_one_write_at_a_time")
def test_twenty_requests_at_once_place_one_order(shop: Shop) -> None:
    # given
    request = OrderRequest.model_validate(an_order())
    orders, start = store(), Barrier(20)

    def place(n: int) -> bool:
        start.wait()
        return place_order(
            request,
            Customer(customer_id="anna", email=ANNA.email),
            orders,
            request_id=f"request-{n}",
            idempotency_key="key-1",
            due_in=timedelta(seconds=60),
        ).applied

    # when
    with ThreadPoolExecutor(20) as pool:
        applied = list(pool.map(place, range(20)))

    # then
    assert sorted(applied) == [False] * 19 + [True]
    assert len(shop.everything()["Orders"]) == 1
