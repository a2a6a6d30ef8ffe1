"""`GET /orders`: the caller's own, newest first, page by page."""

import json
from typing import Any

import pytest

from orders import clock
from tests.conftest import Lines
from tests.odd_requests import ORDER_ID
from tests.shop import ANNA, BELA, Shop


def _ids(shop: Shop, query: dict[str, str]) -> tuple[list[str], str | None]:
    response = shop.orders(query)
    assert response.status == 200, response
    return [order["orderId"] for order in response.body["orders"]], response.body["nextToken"]


@pytest.fixture
def placed(shop: Shop, let_pass: Any) -> list[str]:
    """The ids of 25 orders of Anna's, newest first; Bela has some in between."""
    ids = []
    for n in range(25):
        ids.append(shop.place().body["orderId"])
        if n % 5 == 0:
            shop.place(by=BELA)
        let_pass(milliseconds=1)
    return ids[::-1]


def test_the_caller_s_own_orders_come_newest_first_twenty_by_default(shop: Shop, placed: list[str]) -> None:
    first, token = _ids(shop, {})
    assert first == placed[:20]
    assert token
    rest, end = _ids(shop, {"nextToken": token})
    assert (rest, end) == (placed[20:], None)


@pytest.mark.parametrize("limit", [1, 7, 24, 25, 26, 100])
def test_pages_of_any_size_show_each_order_once(shop: Shop, placed: list[str], limit: int) -> None:
    seen: list[str] = []
    page, token = _ids(shop, {"limit": str(limit)})
    while True:
        assert len(page) <= limit
        seen += page
        if token is None:
            break
        page, token = _ids(shop, {"limit": str(limit), "nextToken": token})
    assert seen == placed


def test_an_order_in_the_list_is_shown_as_by_itself(shop: Shop) -> None:
    order_id = shop.place().body["orderId"]
    shop.run()
    assert shop.orders({}).body["orders"] == [shop.order(order_id)]


def test_who_has_no_orders_gets_an_empty_list(shop: Shop) -> None:
    shop.place(by=BELA)
    assert shop.orders({}).body == {"orders": [], "nextToken": None}


def test_orders_of_the_same_millisecond_are_all_shown(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    placed = {shop.place().body["orderId"] for _ in range(3)}
    one, token = _ids(shop, {"limit": "2"})
    two, _ = _ids(shop, {"limit": "2", "nextToken": str(token)})
    assert len(one) == 2
    assert set(one + two) == placed


def test_what_one_call_leaves_out_for_its_size_is_asked_for_again(shop: Shop) -> None:
    # given
    order_id, _ = shop.placed()
    keys = {"Keys": [{"orderId": {"S": order_id}}], "ConsistentRead": True}
    shop.wire.answer("dynamodb:BatchGetItem", {"Responses": {}, "UnprocessedKeys": {"Orders": keys}})

    # when, then
    assert _ids(shop, {}) == ([order_id], None)
    assert len(shop.wire.of("dynamodb:BatchGetItem")) == 2


# --- what lies in the table -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        {"paymentMethod": ""},
        {"status": "RETURNED"},
        {"items": []},
        {"phone": {"+49": "1"}},
        {"payment": "paid"},
    ],
    ids=str,
)
def test_an_order_that_can_not_be_read_is_left_out_of_the_list_logged_and_counted(
    shop: Shop, placed: list[str], log_lines: Lines, metrics: Lines, damage: dict[str, Any]
) -> None:
    # given
    shop.change(placed[1], **damage)
    metrics()

    # when
    ids, token = _ids(shop, {"limit": "3"})

    # then
    assert ids == [placed[0], placed[2]]
    assert _ids(shop, {"limit": "3", "nextToken": str(token)})[0] == placed[3:6], "the short page leads to the next"
    [line] = log_lines()
    assert (line["level"], placed[1] in line["message"], next(iter(damage)) in line["message"]) == ("ERROR", True, True)
    assert ANNA.email not in json.dumps(line)
    assert [line["OrdersUnreadable"] for line in metrics() if "OrdersUnreadable" in line] == [[1]]


def test_a_page_of_orders_that_can_not_be_read_is_empty_and_leads_on(shop: Shop, placed: list[str]) -> None:
    for order_id in placed[:2]:
        shop.change(order_id, status="RETURNED")
    none, token = _ids(shop, {"limit": "2"})
    assert none == []
    assert _ids(shop, {"limit": "2", "nextToken": str(token)})[0] == placed[2:4]


def test_an_order_that_is_gone_while_the_index_still_has_it_is_left_out(
    shop: Shop, log_lines: Lines, metrics: Lines
) -> None:
    # given
    order_id, _ = shop.placed()
    shop.wire.answer("dynamodb:BatchGetItem", {"Responses": {"Orders": []}, "UnprocessedKeys": {}})

    # when, then
    assert _ids(shop, {}) == ([], None)
    assert order_id in log_lines()[-1]["message"]
    assert [line["OrdersUnreadable"] for line in metrics() if "OrdersUnreadable" in line] == [[1]]


@pytest.mark.parametrize("odd", [{"placedAt": "yesterday"}, {"placedAt": "ü" * 512}, {"orderId": "by hand"}], ids=str)
def test_a_list_goes_on_behind_an_order_with_an_odd_key(shop: Shop, odd: dict[str, Any]) -> None:
    # given one that was put into the table by hand, and is the last one of the first page
    order_id, _ = shop.placed()
    shop.store({**shop.item(order_id), "orderId": ORDER_ID, "placedAt": "2999-01-01T00:00:00.000Z", **odd})

    # when
    _, token = _ids(shop, {"limit": "1"})

    # then
    assert _ids(shop, {"limit": "1", "nextToken": str(token)})[0] == [order_id]


def test_somebody_else_s_token_is_422(shop: Shop) -> None:
    shop.place(by=BELA)
    shop.place(by=BELA)
    token = shop.orders({"limit": "1"}, by=BELA).body["nextToken"]
    assert shop.orders({"nextToken": token}, by=BELA).status == 200
    assert shop.orders({"nextToken": token}).status == 422


def test_a_tampered_token_is_422(shop: Shop, placed: list[str]) -> None:
    _, token = _ids(shop, {"limit": "1"})
    assert token
    for tampered in (token[1:], token[:-5], "!" + token, token[:10] + "*" + token[10:], token + "=", token * 2):
        assert shop.orders({"nextToken": tampered}).status == 422, tampered
