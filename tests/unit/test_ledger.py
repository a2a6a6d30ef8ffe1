"""`npm run ledger` finds each difference between the orders and the payment provider's ledger, and no other."""

from typing import Any, cast

import boto3
import pytest

from operations import ledger
from operations.ledger import compare, difference, is_under_way
from operations.stack import Outputs, Stack
from orders.aws.dynamodb import to_item
from tests.shop import LEDGER, ORDERS, Shop

ORDER: dict[str, Any] = {"orderId": "o", "totalAmount": 100, "currency": "EUR"}
OPEN = {**ORDER, "dueAt": "2026-01-31T09:30:00.000Z"}
PAID = {"payment": {"status": "COMPLETED", "paymentId": "p"}}
REFUND = {"cancellation": {}, "refund": {"refundId": "r"}}
CHARGED: dict[str, Any] = {
    "idempotencyKey": "o",
    "reference": "o",
    "state": "CHARGED",
    "amount": 100,
    "currency": "EUR",
    "paymentId": "p",
    "charges": 1,
    "refunds": 0,
}
REFUNDED = {**CHARGED, "state": "REFUNDED", "refunds": 1, "refundId": "r"}
NOTHING = {"idempotencyKey": "o", "reference": "o", "state": "VOIDED", "charges": 0, "refunds": 0}

AGREE: dict[str, tuple[dict[str, Any] | None, list[dict[str, Any]]]] = {
    "an order that is paid": ({**ORDER, **PAID}, [CHARGED]),
    "an order that is refunded": ({**ORDER, **PAID, **REFUND}, [REFUNDED]),
    "an order that was declined": ({**ORDER, "payment": {"status": "FAILED", "paymentId": "p"}}, [NOTHING]),
    "an order that is voided": ({**ORDER, "cancellation": {}, "payment": {"status": "VOIDED"}}, [NOTHING]),
    "an order that nobody has charged yet": (OPEN, []),
    "an order whose charge is under way": (OPEN, [CHARGED]),
    "an order whose refund is under way": ({**OPEN, **PAID, "cancellation": {}}, [REFUNDED]),
    "a refund whose charge the order does not know either": ({**OPEN, "cancellation": {}}, [REFUNDED]),
    "a cancelled order that is not settled yet": ({**OPEN, **PAID, "cancellation": {}}, [CHARGED]),
    "a declined card of nobody's": (None, [NOTHING]),
}
DIFFER: dict[str, tuple[dict[str, Any] | None, list[dict[str, Any]], str]] = {
    "no order": (None, [CHARGED], "there is no such order"),
    "two charges under two keys": ({**ORDER, **PAID}, [CHARGED, {**CHARGED, "idempotencyKey": "x"}], "charged 2 times"),
    "two refunds": ({**ORDER, **PAID, **REFUND}, [{**REFUNDED, "refunds": 2}], "refunded 2 times"),
    "a refund without a charge": ({**OPEN, "cancellation": {}}, [{**REFUNDED, "charges": 0}], "charged 0 times and"),
    "paid and not charged": ({**ORDER, **PAID}, [], "the ledger has no charge"),
    "declined and charged": ({**ORDER, "payment": {"status": "FAILED"}}, [CHARGED], "FAILED, and charged"),
    "voided and charged": ({**ORDER, "payment": {"status": "VOIDED"}}, [CHARGED], "VOIDED, and charged"),
    "closed without a payment": (ORDER, [CHARGED], "closed without a payment"),
    "a refund of the order's alone": ({**ORDER, **PAID, **REFUND}, [CHARGED], "the ledger has no refund"),
    "a refund of the ledger's alone": ({**ORDER, **PAID}, [REFUNDED], "and the order has none"),
    "a refund of an open order that is not cancelled": ({**OPEN, **PAID}, [REFUNDED], "and the order has none"),
    "cancelled, closed and never refunded": ({**ORDER, **PAID, "cancellation": {}}, [CHARGED], "never refunded"),
    "another amount": ({**ORDER, **PAID}, [{**CHARGED, "amount": 99}], "charged 0.99 EUR"),
    "another currency": ({**ORDER, **PAID}, [{**CHARGED, "currency": "USD"}], "charged 1.00 USD"),
    "another payment": ({**ORDER, **PAID}, [{**CHARGED, "paymentId": "x"}], "the ledger x"),
    "another refund": ({**ORDER, **PAID, **REFUND}, [{**REFUNDED, "refundId": "x"}], "the ledger x"),
}


@pytest.mark.parametrize("name", AGREE)
def test_what_agrees_or_is_under_way_is_no_difference(name: str) -> None:
    order, rows = AGREE[name]
    assert difference(order, rows) is None
    if order:
        assert is_under_way(order, rows) == (name.endswith("is under way") or "does not know" in name)


@pytest.mark.parametrize("name", DIFFER)
def test_each_difference_is_found(name: str) -> None:
    order, rows, expected = DIFFER[name]
    assert expected in (difference(order, rows) or "")


@pytest.fixture
def stack() -> Stack:
    return Stack("dev", cast(Any, boto3), None, Outputs(OrdersTableName=ORDERS, GatewayLedgerTableName=LEDGER))


@pytest.fixture
def orders(shop: Shop) -> list[str]:
    """One of each way to end, and one whose charge is under way."""
    ids = [shop.place(paymentMethod=method).body["orderId"] for method in ("tok_visa", "tok_declined")]
    shop.run()
    for is_charged in (False, True):
        order_id, placed = shop.placed()
        if is_charged:
            shop.deliver("paymentProcessing", placed)
        shop.cancel(order_id)
        shop.run()
        ids.append(order_id)
    return ids


def test_what_the_functions_leave_agrees(stack: Stack, orders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = compare(stack)
    assert (found.orders, found.differences, found.under_way) == (4, [], 0)
    assert found.states == {"CHARGED": 1, "DECLINED": 1, "VOIDED": 1, "REFUNDED": 1}
    assert found.kept == {"EUR": 2800}
    assert ledger._show(stack) == 0
    printed = capsys.readouterr().out
    assert "28.00 EUR" in printed
    assert "orders and ledger agree" in printed


def test_a_difference_is_named_and_fails_and_nothing_is_changed(
    stack: Stack, shop: Shop, orders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shop.change(orders[0], payment={**shop.item(orders[0])["payment"], "paymentId": "another"})
    before = shop.everything()
    capsys.readouterr()
    assert ledger._show(stack) == 1
    assert f"order {orders[0]}: the order has the payment another" in capsys.readouterr().out
    assert shop.everything() == before


def test_a_pair_that_changed_between_the_two_readings_is_read_again(
    stack: Stack, shop: Shop, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is read first: an order that is charged after that is paid, and its row was not there."""
    scan = ledger._scan

    def late(of: Stack, table: str, *attributes: Any) -> Any:
        found = list(scan(of, table, *attributes))
        if table == "GatewayLedgerTableName":
            shop.place()
            shop.run()
        return iter(found)

    monkeypatch.setattr(ledger, "_scan", late)
    assert compare(stack).differences == []


def test_a_row_under_another_key_is_found_by_its_reference(stack: Stack, shop: Shop, orders: list[str]) -> None:
    row = {**shop.ledger[orders[0]], "idempotencyKey": "fresh"}
    shop.wire.client("dynamodb").put_item(TableName=LEDGER, Item=to_item(row))
    assert [each.what for each in compare(stack).differences] == ["charged 2 times and refunded 0 times"]
