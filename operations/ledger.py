"""`npm run ledger`: compare what the orders say of their money with what the payment provider's ledger says.

It reads both tables and changes nothing. Rows are compared by their `reference`, the order's id, and summed up: so a
charge under a second idempotency key shows as a second charge. What is under way in a running shop is no difference: an
order that is still open may be charged, or refunded, and not know it yet.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table

from operations.command import Parser, run
from operations.screen import console, filled
from operations.stack import Stack, add_stage
from orders.aws.dynamodb import from_item, to_item
from orders.money import format_money

Row = Mapping[str, Any]
"""An item of a table, as plain values."""

_OF_AN_ORDER = ("orderId", "totalAmount", "currency", "dueAt", "payment", "cancellation", "refund")


class Difference(NamedTuple):
    """An order whose money is not what the ledger says, and what is wrong."""

    order_id: str
    what: str


class Comparison(NamedTuple):
    """All that was compared."""

    orders: int
    states: Mapping[str, int]
    """State of the ledger's rows → how many."""
    kept: Mapping[str, int]
    """Currency → what was charged and not refunded, in minor units."""
    under_way: int
    """Open orders that may not know yet what the provider did."""
    differences: Sequence[Difference]


def compare(stack: Stack) -> Comparison:
    """Read both tables. A pair that differs is read again, since it may have changed between the two readings."""
    rows = defaultdict(list)
    for row in _scan(stack, "GatewayLedgerTableName"):
        rows[str(row.get("reference"))].append(row)
    orders = {str(order["orderId"]): order for order in _scan(stack, "OrdersTableName", _OF_AN_ORDER)}
    ledger = [row for of_one in rows.values() for row in of_one]
    kept: Counter[str] = Counter()
    for row in ledger:
        if row["charges"]:
            kept[row["currency"]] += row["amount"] * (row["charges"] - row["refunds"])
    return Comparison(
        orders=len(orders),
        states=Counter(row["state"] for row in ledger),
        kept=kept,
        under_way=sum(is_under_way(orders[key], rows[key]) for key in orders),
        differences=[
            Difference(key, what)
            for key in sorted({*orders, *rows})
            if difference(orders.get(key), rows[key]) and (what := check(stack, key, rows[key]))
        ],
    )


def difference(order: Row | None, rows: Sequence[Row]) -> str | None:
    """What is wrong between an order (None: there is no such order) and its rows in the ledger; None if nothing is."""
    charges, refunds = (sum(row[name] for row in rows) for name in ("charges", "refunds"))
    if order is None:
        return f"charged {charges} times, and there is no such order" if charges else None
    payment, refund = order.get("payment"), order.get("refund")
    is_open, is_cancelled = "dueAt" in order, "cancellation" in order
    status = payment["status"] if payment else None
    if charges > 1 or refunds > 1 or refunds > charges:
        return f"charged {charges} times and refunded {refunds} times"
    if status == "COMPLETED" and not charges:
        return "paid, and the ledger has no charge"
    if status in ("FAILED", "VOIDED") and charges:
        return f"{status}, and charged"
    if payment is None and charges and not is_open:
        return "closed without a payment, and charged"
    if refund and not refunds:
        return "refunded, and the ledger has no refund"
    if refunds and not refund and not (is_open and is_cancelled):
        return "the ledger has a refund, and the order has none"
    if status == "COMPLETED" and is_cancelled and not refund and not is_open:
        return "cancelled and closed, and never refunded"
    for row in rows:
        if row["charges"] and (row["amount"], row["currency"]) != (order["totalAmount"], order["currency"]):
            return f"charged {format_money(row['amount'], row['currency'])}"
        if payment and row["charges"] and row["paymentId"] != payment["paymentId"]:
            return f"the order has the payment {payment['paymentId']}, the ledger {row['paymentId']}"
        if refund and row["refunds"] and row["refundId"] != refund["refundId"]:
            return f"the order has the refund {refund['refundId']}, the ledger {row['refundId']}"
    return None


def is_under_way(order: Row, rows: Sequence[Row]) -> bool:
    """Whether the order is open, and the provider has charged or refunded what the order does not know of yet."""
    known = ("payment" in order) + ("refund" in order)
    return "dueAt" in order and sum(row["charges"] + row["refunds"] for row in rows) > known


def check(stack: Stack, order_id: str, rows: Sequence[Row] = ()) -> str | None:
    """What is wrong with one order now; `rows` are those of the ledger that are known, besides the order's own."""
    keys = {order_id, *(row["idempotencyKey"] for row in rows)}
    found = (_get(stack, "GatewayLedgerTableName", idempotencyKey=key) for key in sorted(keys))
    again = [row for row in found if row and row["reference"] == order_id]
    return difference(_get(stack, "OrdersTableName", orderId=order_id), again)


def _scan(stack: Stack, table: str, attributes: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    names = {f"#{name}": name for name in attributes}
    wanted: dict[str, Any] = (
        {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names} if names else {}
    )
    pages = stack.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=stack.outputs[table], ConsistentRead=True, **wanted):
        yield from map(from_item, page["Items"])


def _get(stack: Stack, table: str, **key: str) -> dict[str, Any] | None:
    found = stack.client("dynamodb").get_item(TableName=stack.outputs[table], Key=to_item(key), ConsistentRead=True)
    return from_item(found["Item"]) if "Item" in found else None


def main() -> int:
    parser = Parser(prog="npm run ledger --", description="Compare the orders with the payment provider's ledger.")
    add_stage(parser)
    return run(parser, lambda stack, _: _show(stack))


def _show(stack: Stack) -> int:
    screen = console(soft_wrap=True)
    with screen.status("reading the orders and the ledger …"):
        found = compare(stack)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("orders", str(found.orders))
    for state in ("CHARGED", "REFUNDED", "DECLINED", "VOIDED"):
        table.add_row(f"{state.lower()} in the ledger", str(found.states.get(state, 0)))
    for currency, amount in sorted(found.kept.items()):
        table.add_row("charged and not refunded", format_money(amount, currency))
    table.add_row("under way", str(found.under_way))
    screen.print(table)
    for order_id, what in found.differences:
        screen.print(filled("[red]✗[/] order {order}: {what}", order=order_id, what=what))
    if found.differences:
        screen.print("What to do: docs/runbook.md#ordersunsettledoveranhour")
        return 1
    screen.print(filled("[green]✓[/] orders and ledger agree"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
