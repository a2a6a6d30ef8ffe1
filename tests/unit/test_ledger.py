"""`npm run ledger` finds each difference between the orders and the payment provider's ledger, and no other."""

import json
import re
import sys
from collections.abc import Callable
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError

from operations import command, ledger
from operations.ledger import check, compare, difference
from operations.stack import Outputs, Stack
from orders import clock
from orders.aws.dynamodb import to_item
from orders.errors import GatewayContradictsOrder
from tests.shop import LEDGER, ORDERS, Shop
from tools.checkout import ROOT

AT, ID = "2026-01-31T09:30:00.000Z", "5f0c2e3a-0000-4000-8000-000000000001"
_RESULT = {"eventId": ID, "occurredAt": AT, "causationId": ID}
CLOSED: dict[str, Any] = {
    "orderId": "o",
    "status": "any",
    "totalAmount": 100,
    "currency": "EUR",
    "placedAt": AT,
}
OPEN = {**CLOSED, "dueAt": AT}
PAID = {"payment": {**_RESULT, "status": "COMPLETED", "paymentId": "p"}}
FAILED = {"payment": {**_RESULT, "status": "FAILED", "paymentId": "p", "reason": "card_declined"}}
VOID = {"payment": {"status": "VOIDED", "occurredAt": AT, "causationId": ID}}
CANCELLED = {"cancellation": {"eventId": ID, "occurredAt": AT, "reason": "customer_request", "requestId": "r"}}
REFUND: dict[str, Any] = {**CANCELLED, "refund": {**_RESULT, "refundId": "r", "amount": 100, "currency": "EUR"}}

NOTHING: dict[str, Any] = {"idempotencyKey": "o", "reference": "o", "state": "VOIDED", "charges": 0, "refunds": 0}
CHARGED = {**NOTHING, "state": "CHARGED", "charges": 1, "amount": 100, "currency": "EUR", "paymentId": "p"}
DECLINED = {**CHARGED, "state": "DECLINED", "charges": 0, "reason": "card_declined"}
REFUNDED = {**CHARGED, "state": "REFUNDED", "refunds": 1, "refundId": "r"}

AGREE: dict[str, tuple[dict[str, Any] | None, list[dict[str, Any]]]] = {
    "an order that is paid": ({**CLOSED, **PAID}, [CHARGED]),
    "an order that is refunded": ({**CLOSED, **PAID, **REFUND}, [REFUNDED]),
    "an order that was declined": ({**CLOSED, **FAILED}, [DECLINED]),
    "an order that was declined before there was a ledger": ({**CLOSED, **FAILED}, []),
    "an order that is voided": ({**CLOSED, **CANCELLED, **VOID}, [NOTHING]),
    "an order whose decline was voided": ({**CLOSED, **CANCELLED, **VOID}, [{**DECLINED, "state": "VOIDED"}]),
    "an order that nobody has charged yet": (OPEN, []),
    "an order whose charge is under way": (OPEN, [CHARGED]),
    "an order whose decline is under way": (OPEN, [DECLINED]),
    "an order whose void is under way": ({**OPEN, **CANCELLED}, [NOTHING]),
    "an order whose refund is under way": ({**OPEN, **PAID, **CANCELLED}, [REFUNDED]),
    "a refund whose charge the order does not know either": ({**OPEN, **CANCELLED}, [REFUNDED]),
    "a cancelled order that is not settled yet": ({**OPEN, **PAID, **CANCELLED}, [CHARGED]),
    "an order that somebody has closed before it was charged": (CLOSED, []),
    "a second key that moved no money": (
        {**CLOSED, **PAID, **REFUND},
        [REFUNDED, {**DECLINED, "idempotencyKey": "x", "amount": 1, "paymentId": "x"}],
    ),
    "a declined card of nobody's": (None, [DECLINED]),
    "a void of nobody's": (None, [NOTHING]),
}
DIFFER: dict[str, tuple[dict[str, Any] | None, list[dict[str, Any]], str]] = {
    "no order": (None, [CHARGED], "charged, and there is no such order"),
    "no order, and a refund alone": (None, [{**REFUNDED, "charges": 0}], "charged, and there is no such order"),
    "two charges under two keys": (
        {**CLOSED, **PAID},
        [CHARGED, {**CHARGED, "idempotencyKey": "x"}],
        "charged 2 times and refunded 0 times",
    ),
    "two charges of an open order": (OPEN, [{**CHARGED, "charges": 2}], "charged 2 times and refunded 0 times"),
    "two refunds": (
        {**CLOSED, **PAID, **REFUND},
        [{**REFUNDED, "refunds": 2}],
        "charged 1 times and refunded 2 times",
    ),
    "a refund without a charge": (
        {**OPEN, **CANCELLED},
        [{**REFUNDED, "charges": 0}],
        "charged 0 times and refunded 1 times",
    ),
    "paid and not charged": ({**CLOSED, **PAID}, [], "paid, and the ledger has no charge"),
    "paid and not charged, and still open": ({**OPEN, **PAID}, [], "paid, and the ledger has no charge"),
    "paid and voided": ({**OPEN, **PAID, **CANCELLED}, [NOTHING], "paid, and the ledger has no charge"),
    "declined and charged": ({**OPEN, **FAILED}, [CHARGED], "the payment is FAILED, and the ledger has a charge"),
    "voided and charged": (
        {**OPEN, **CANCELLED, **VOID},
        [CHARGED],
        "the payment is VOIDED, and the ledger has a charge",
    ),
    "voided by the order alone": (
        {**CLOSED, **CANCELLED, **VOID},
        [DECLINED],
        "the payment is VOIDED, and the ledger has voided nothing",
    ),
    "voided by the ledger alone": (OPEN, [NOTHING], "the ledger has voided it, and the order is not cancelled"),
    "closed without a payment": (CLOSED, [CHARGED], "closed without a payment, and charged"),
    "a refund of the order's alone": (
        {**CLOSED, **PAID, **REFUND},
        [CHARGED],
        "refunded, and the ledger has no refund",
    ),
    "a refund of the ledger's alone": (
        {**CLOSED, **PAID, **CANCELLED},
        [REFUNDED],
        "the ledger has a refund, and the order has none",
    ),
    "a refund of an open order that is not cancelled": (
        {**OPEN, **PAID},
        [REFUNDED],
        "the ledger has a refund, and the order has none",
    ),
    "cancelled, closed and never refunded": (
        {**CLOSED, **PAID, **CANCELLED},
        [CHARGED],
        "cancelled and closed, and never refunded",
    ),
    "another amount": ({**CLOSED, **PAID}, [{**CHARGED, "amount": 99}], "charged another amount than the order's"),
    "another amount under way": (OPEN, [{**CHARGED, "amount": 99}], "charged another amount than the order's"),
    "another currency": (
        {**CLOSED, **PAID},
        [{**CHARGED, "currency": "USD"}],
        "charged another amount than the order's",
    ),
    "another payment": (
        {**CLOSED, **PAID},
        [{**CHARGED, "paymentId": "x"}],
        "charged as another payment than the order's",
    ),
    "another refund": (
        {**CLOSED, **PAID, **REFUND},
        [{**REFUNDED, "refundId": "x"}],
        "refunded as another refund than the order's",
    ),
    "another amount refunded": (
        {**CLOSED, **PAID, **CANCELLED, "refund": {**REFUND["refund"], "amount": 99}},
        [REFUNDED],
        "refunded another amount than the order says",
    ),
    "an order without an amount": ({"orderId": "o"}, [CHARGED], "the order can't be read: status: Field required"),
    "an order whose payment is text": (
        {**CLOSED, "payment": "COMPLETED"},
        [],
        "the order can't be read: payment: Input should be",
    ),
    "a row without a number of charges": (
        {**CLOSED, **PAID},
        [{"idempotencyKey": "o", "reference": "o", "state": "CHARGED", "refunds": 0}],
        "the ledger's row can't be read: charges: Field required",
    ),
    "a row of nobody's that can't be read": (None, [{"idempotencyKey": "o"}], "the ledger's row can't be read: "),
}


@pytest.mark.parametrize("name", AGREE)
def test_what_agrees_or_is_under_way_is_no_difference(name: str) -> None:
    assert difference("o", *AGREE[name]) is None


@pytest.mark.parametrize("name", DIFFER)
def test_each_difference_is_found_and_comes_with_both_sides_and_what_to_do(name: str) -> None:
    order, rows, what = DIFFER[name]
    found = difference("o", order, rows)
    assert found
    assert (found.order_id, found.what[: len(what)]) == ("o", what)
    assert found.remedy


def test_a_difference_says_what_the_order_and_what_the_ledger_says() -> None:
    found = difference("o", {**OPEN, **PAID, **REFUND}, [CHARGED, {**REFUNDED, "idempotencyKey": "x"}])
    assert found
    assert found.order == "any, open, 1.00 EUR, payment p COMPLETED, cancelled, refund r of 1.00 EUR"
    assert found.ledger == (
        "CHARGED under the key o, charged 1 × 1.00 EUR, payment p;"
        " REFUNDED under the key x, charged 1 × 1.00 EUR, payment p, refunded 1 ×, refund r"
    )
    for order, rows, said in (
        (None, [CHARGED], ("nothing", "CHARGED under the key o, charged 1 × 1.00 EUR, payment p")),
        ({**CLOSED, **PAID}, [], ("any, closed, 1.00 EUR, payment p COMPLETED", "nothing")),
        (OPEN, [NOTHING], ("any, open, 1.00 EUR, no payment", "VOIDED under the key o")),
    ):
        found = difference("o", order, rows)
        assert found
        assert (found.order, found.ledger) == said


# --- on the tables ----------------------------------------------------------------------------------------------------


@pytest.fixture
def stack() -> Stack:
    return Stack("dev", cast(Any, boto3), None, Outputs(OrdersTableName=ORDERS, GatewayLedgerTableName=LEDGER))


@pytest.fixture
def orders(shop: Shop) -> list[str]:
    """One of each way to end."""
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


def put(shop: Shop, row: dict[str, Any]) -> None:
    shop.wire.client("dynamodb").put_item(TableName=LEDGER, Item=to_item(row))


def whats(stack: Stack, **options: Any) -> dict[str, str]:
    return {each.order_id: each.what for each in compare(stack, **options).differences}


def test_what_the_functions_leave_agrees(stack: Stack, orders: list[str]) -> None:
    found = compare(stack)
    assert (found.orders, found.differences, found.under_way, found.unsettled) == (4, [], 0, 0)
    assert found.states == {"CHARGED": 1, "DECLINED": 1, "VOIDED": 1, "REFUNDED": 1}
    assert (found.charged, found.refunded) == ({"EUR": 5600}, {"EUR": 2800})


def test_what_is_under_way_is_counted(
    stack: Stack, shop: Shop, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider has charged and nobody has stored it; a cancellation was stored and nobody has settled it."""
    order_id, _ = shop.placed()
    put(shop, {**shop.ledger[orders[0]], "idempotencyKey": order_id, "reference": order_id})
    cancelled, placed = shop.placed()
    shop.deliver("paymentProcessing", placed)
    shop.cancel(cancelled)

    found = compare(stack)

    assert (found.differences, found.under_way, found.unsettled) == ([], 1, 1)


def test_a_pair_that_changed_between_the_two_scans_is_read_again(
    stack: Stack, shop: Shop, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is read first: an order that is charged after that is paid, and its row was not there."""
    scan, late = ledger._scan, []

    def scan_slowly(of: Stack, table: str, *rest: Any) -> Any:
        found = list(scan(of, table, *rest))
        if table == "GatewayLedgerTableName":
            late.append(shop.place().body["orderId"])
            shop.run()
        return iter(found)

    monkeypatch.setattr(ledger, "_scan", scan_slowly)
    assert compare(stack).differences == []
    assert shop.order(late[0])["status"] == "FULFILLED"


def between(monkeypatch: pytest.MonkeyPatch, *acts: Callable[[], object]) -> None:
    """Do these one after the other, each right before an order is read once more."""
    get, waiting = ledger._get, list(acts)

    def get_after(of: Stack, table: str, **key: str) -> Any:
        if table == "OrdersTableName" and waiting:
            waiting.pop(0)()
        return get(of, table, **key)

    monkeypatch.setattr(ledger, "_get", get_after)


def test_an_order_that_is_charged_between_the_readings_of_its_pair_is_no_difference(
    stack: Stack, shop: Shop, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = shop.place().body["orderId"]
    between(monkeypatch, shop.run)  # the row is read, then it is charged, then the order is read: it is paid
    assert check(stack, order_id) is None
    assert shop.order(order_id)["status"] == "FULFILLED"


def test_an_order_that_is_cancelled_and_refunded_between_the_readings_of_its_pair_is_no_difference(
    stack: Stack, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read when it was not cancelled, and its row after the refund."""
    order_id, placed = shop.placed()
    shop.deliver("paymentProcessing", placed)
    shop.drain()
    reads: list[object] = []
    get = ledger._get

    def get_before(of: Stack, table: str, **key: str) -> Any:
        found = get(of, table, **key)
        if table == "OrdersTableName" and not reads:
            reads.append(found)
            shop.cancel(order_id)
            shop.run()
        return found

    monkeypatch.setattr(ledger, "_get", get_before)
    assert check(stack, order_id) is None
    assert shop.order(order_id)["status"] == "REFUNDED"


def test_a_true_difference_is_found_also_after_the_row_has_changed(
    stack: Stack, shop: Shop, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reading finds another number of requests, until it changes no more."""
    shop.change(orders[0], totalAmount=1)
    row = shop.ledger[orders[0]]
    between(monkeypatch, *(lambda n=n: put(shop, {**row, "requests": n}) for n in (10, 11, 12)))
    found = check(stack, orders[0])
    assert found
    assert found.what == "charged another amount than the order's"


def test_a_row_that_never_stops_changing_is_under_way(
    stack: Stack, shop: Shop, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.change(orders[0], totalAmount=1)
    row = shop.ledger[orders[0]]
    between(monkeypatch, *(lambda n=n: put(shop, {**row, "requests": n}) for n in range(10, 100)))
    assert check(stack, orders[0]) is None


def test_a_row_under_another_key_is_found_by_its_reference(stack: Stack, shop: Shop, orders: list[str]) -> None:
    put(shop, {**shop.ledger[orders[0]], "idempotencyKey": "fresh"})
    assert whats(stack) == {orders[0]: "charged 2 times and refunded 0 times"}


def test_a_charge_counts_for_its_reference_and_not_for_the_order_whose_key_it_has(
    stack: Stack, shop: Shop, orders: list[str]
) -> None:
    put(shop, {**shop.ledger[orders[0]], "reference": orders[3]})
    assert whats(stack) == {
        orders[0]: "paid, and the ledger has no charge",
        orders[3]: "charged 2 times and refunded 1 times",
    }


@pytest.mark.parametrize("reference", ["nobody's", "", "x" * 3000, 7, None])
def test_a_charge_for_no_order_is_found_whatever_its_reference_is(
    stack: Stack, shop: Shop, orders: list[str], reference: object
) -> None:
    put(shop, {**shop.ledger[orders[0]], "idempotencyKey": "fresh", "reference": reference})
    [found] = compare(stack).differences
    assert found.order_id == str(reference)
    assert found.what.startswith(
        "charged, and there" if isinstance(reference, str) else "the ledger's row can't be read"
    )


def test_orders_that_are_older_than_the_ledger_can_be_left_out(stack: Stack, shop: Shop, orders: list[str]) -> None:
    """With their rows; a charge for no order is found all the same."""
    shop.change(orders[0], placedAt="2020-01-31T09:00:00.000Z", totalAmount=1)
    put(shop, {**shop.ledger[orders[0]], "idempotencyKey": "fresh", "reference": "nobody's"})

    assert set(whats(stack)) == {orders[0], "nobody's"}
    assert set(whats(stack, since="2020-01-31T09:00:00.000Z")) == {orders[0], "nobody's"}
    left = compare(stack, since="2020-01-31T09:00:00.001Z")
    assert ([each.order_id for each in left.differences], left.orders) == (["nobody's"], 3)
    assert left.charged == {"EUR": 5600}


def test_it_shows_how_far_it_is(stack: Stack, orders: list[str], shop: Shop) -> None:
    shop.change(orders[0], totalAmount=1)
    said: list[str] = []
    compare(stack, progress=said.append)
    assert said == [
        "reading GatewayLedger: 4 items",
        "reading Orders: 4 items",
        "reading what differs again: 1 of 1",
    ]


def test_all_pages_are_read(stack: Stack, shop: Shop, orders: list[str]) -> None:
    """A page of a scan has at most a megabyte."""
    row = shop.ledger[orders[0]]
    for n in range(4):
        put(shop, {**row, "idempotencyKey": f"fresh {n}", "reference": f"nobody's {n}", "note": "x" * 390_000})
    assert len(whats(stack)) == 4


# --- what the runbook says to do --------------------------------------------------------------------------------------


def test_a_refund_that_is_written_by_hand_as_the_runbook_says_ends_the_order(stack: Stack, shop: Shop) -> None:
    # given a paid order that the ledger does not know of, cancelled
    order_id, placed = shop.placed()
    shop.deliver("paymentProcessing", placed)
    shop.drain()
    shop.forget_ledger()
    shop.cancel(order_id)
    [cancelled] = shop.drain()
    with pytest.raises(GatewayContradictsOrder):
        shop.deliver("paymentProcessing", cancelled)
    for function in ("orderStatusUpdater", "notification"):
        shop.deliver(function, cancelled)
    assert (shop.order(order_id)["status"], whats(stack)) == (
        "CANCELLED",
        {order_id: "paid, and the ledger has no charge"},
    )

    # when
    order = shop.item(order_id)
    write_refund(shop, order)

    # then
    shop.deliver("paymentProcessing", cancelled)
    shop.run()
    ended = shop.order(order_id)
    assert (ended["status"], ended["refund"]["refundId"]) == ("REFUNDED", "REFUND_ID")
    assert "dueAt" not in shop.item(order_id)
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        write_refund(shop, order)


def test_what_a_difference_leads_to_is_in_the_runbook() -> None:
    file, _, anchor = ledger._RUNBOOK.partition("#")
    headings = re.findall(r"^### (.+)$", (ROOT / file).read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def write_refund(shop: Shop, order: dict[str, Any]) -> None:
    """By the command in docs/runbook.md, with the values that it asks for."""
    section = (
        (ROOT / "docs" / "runbook.md").read_text().partition("### Orders and ledger differ\n")[2].partition("\n### ")[0]
    )
    [written] = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    later = clock.timestamp(clock.moment(order["cancellation"]["occurredAt"]) + clock.TICK)
    for word, value in (
        ("NEW_UUID", ID),
        ("CANCELLATION_EVENT_ID", order["cancellation"]["eventId"]),
        ("2026-01-31T09:30:00.000Z", later),
        ("1890", str(order["totalAmount"])),
    ):
        assert written.count(word) == 1
        written = written.replace(word, value)
    options = dict(re.findall(r"--(update-expression|condition-expression) '([^']+)'", section))
    shop.wire.client("dynamodb").update_item(
        TableName=ORDERS,
        Key=to_item({"orderId": order["orderId"]}),
        UpdateExpression=options["update-expression"],
        ConditionExpression=options["condition-expression"],
        ExpressionAttributeValues=json.loads(written),
    )


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def called(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`called("--since", …)`: the exit code of the command."""
    monkeypatch.setattr(command, "find", lambda *_: stack)

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["ledger", *arguments, "--stage", "dev"])
        return ledger.main()

    return call


def test_agreement_is_shown_in_a_table_and_ends_with_0(
    called: Callable[..., int], orders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert called() == 0
    out, err = capsys.readouterr()
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert rows == [
        "orders 4",
        "charged 2 56.00 EUR",
        "refunded 1 28.00 EUR",
        "declined 1",
        "voided 1",
        "under way 0 open orders without the provider's result yet",
        "to be settled 0 open orders that are cancelled",
        "✓ orders and ledger agree",
    ]
    assert err == ""


def test_a_difference_is_named_and_ends_with_1_and_nothing_is_changed(
    called: Callable[..., int], shop: Shop, orders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    payment = shop.item(orders[0])["payment"]
    shop.change(orders[0], payment={**payment, "paymentId": "[/b]\x1b[2J"})
    before = shop.everything()

    assert called() == 1

    out, err = capsys.readouterr()
    assert out.endswith(
        f"✗ order {orders[0]}: charged as another payment than the order's\n"
        "    order:  FULFILLED, closed, 28.00 EUR, payment [/b]\\x1b[2J COMPLETED\n"
        f"    ledger: CHARGED under the key {orders[0]}, charged 1 × 28.00 EUR, payment {payment['paymentId']}\n"
        "    do:     ask the provider which of the two is correct, and repair the other by hand\n"
    )
    assert err == "1 differences; how to look closer: docs/runbook.md#orders-and-ledger-differ\n"
    assert shop.everything() == before


def test_it_reads_only_and_what_is_there_now(called: Callable[..., int], shop: Shop, orders: list[str]) -> None:
    shop.change(orders[0], totalAmount=1)
    before = len(shop.wire.calls)

    assert called() == 1

    calls = shop.wire.calls[before:]
    assert {call.action for call in calls} == {"dynamodb:Scan", "dynamodb:GetItem"}
    assert all(call.params["ConsistentRead"] for call in calls)


def test_since_is_a_time_on_the_command_line(called: Callable[..., int], shop: Shop, orders: list[str]) -> None:
    shop.change(orders[0], placedAt="2020-01-31T09:00:00.000Z", totalAmount=1)
    assert called() == 1
    assert called("--since", "2020-01-31T09:00Z") == 1
    assert called("--since", "2020-01-31T10:01+01:00") == 0


def test_a_since_that_is_no_time_is_one_line_and_exit_code_2(
    called: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        called("--since", "yesterday")
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "argument --since: 'yesterday' is not a time; write it like 2026-01-31T09:00Z; see: npm run ledger -- --help\n"
    )
