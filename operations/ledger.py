"""`npm run ledger`: compare the payments of the orders with the payment provider's ledger.

It reads both tables and changes nothing. An order is compared with all rows that have its id as their `reference`: so a
charge under a second idempotency key shows as a second charge.

Work in progress is no difference. An open order may be charged or refunded, and not have it stored yet. And the tables
are read one after the other, so a pair that differs is read again, such that both are as they were at one moment.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError
from rich.table import Table

from operations.command import Parser, moment, run
from operations.screen import console, filled
from operations.stack import Stack, add_stage
from operations.streams import print_error
from orders import clock
from orders.aws.dynamodb import PARTITION_KEY_MAX_BYTES, from_item, is_key, to_item
from orders.events import Frozen
from orders.model import Cancellation, Payment, Refund, VoidedPayment
from orders.money import MinorUnits, format_money

_READS = 5
"""How often a pair is read at most until its rows are the same before and after the order."""

_RUNBOOK = "docs/runbook.md#orders-and-ledger-differ"

Item = Mapping[str, Any]
"""An item of a table, as plain values."""


class OrdersMoney(Frozen):
    """The payment of an order as the order has it, and whether anything may still happen to it."""

    order_id: str
    status: str
    total_amount: MinorUnits
    currency: str
    placed_at: str
    due_at: str | None = None
    """An open order has it."""
    payment: Annotated[Payment | VoidedPayment, Field(discriminator="status")] | None = None
    cancellation: Cancellation | None = None
    refund: Refund | None = None

    @property
    def is_open(self) -> bool:
        return self.due_at is not None

    @property
    def is_unsettled(self) -> bool:
        return bool(self.cancellation) and not (self.refund or isinstance(self.payment, VoidedPayment))

    def __str__(self) -> str:
        total = format_money(self.total_amount, self.currency)
        said = [f"{self.status}, {'open' if self.is_open else 'closed'}, {total}"]
        if isinstance(self.payment, Payment):
            said.append(f"payment {self.payment.payment_id} {self.payment.status}")
        else:
            said.append("payment VOIDED" if self.payment else "no payment")
        said += ["cancelled"] if self.cancellation else []
        if self.refund:
            said.append(f"refund {self.refund.refund_id} of {format_money(self.refund.amount, self.refund.currency)}")
        return ", ".join(said)


class LedgerRow(Frozen):
    """The provider's row of one idempotency key. One that was never charged has no amount and no payment."""

    idempotency_key: str
    reference: str
    state: Literal["CHARGED", "DECLINED", "VOIDED", "REFUNDED"]
    charges: Annotated[int, Field(ge=0)]
    refunds: Annotated[int, Field(ge=0)]
    amount: MinorUnits = 0
    currency: str = ""
    payment_id: str = ""
    refund_id: str = ""

    def __str__(self) -> str:
        said = [f"{self.state} under the key {self.idempotency_key}"]
        said += [f"charged {self.charges} × {format_money(self.amount, self.currency)}"] if self.charges else []
        said += [f"payment {self.payment_id}"] if self.charges else []
        said += [f"refunded {self.refunds} ×, refund {self.refund_id}"] if self.refunds else []
        return ", ".join(said)


class Difference(NamedTuple):
    """A difference between order and ledger: what is wrong, what each of them says, and what to do."""

    order_id: str
    what: str
    order: str
    ledger: str
    remedy: str


class Comparison(NamedTuple):
    """The result of a comparison."""

    orders: int
    states: Counter[str]
    """State of the ledger's rows → how many."""
    charged: Mapping[str, int]
    """Currency → amount, in minor units."""
    refunded: Mapping[str, int]
    """Currency → amount, in minor units."""
    under_way: int
    """Open orders that may not have the provider's result yet."""
    unsettled: int
    """Open orders that are cancelled, and neither voided nor refunded yet."""
    differences: Sequence[Difference]


# --- one order --------------------------------------------------------------------------------------------------------


def difference(order_id: str, item: Item | None, items: Sequence[Item]) -> Difference | None:
    """The difference between an order (None: there is no such order) and its rows in the ledger; None if they agree."""
    try:
        order, rows = _read(item, items)
    except ValidationError as error:
        whose = "the ledger's row" if error.title == LedgerRow.__name__ else "the order"
        why = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return Difference(
            order_id, f"{whose} can't be read: {why}", "-", "-", "find out who wrote it; repair it by hand"
        )
    found = _contradiction(order, rows)
    if not found:
        return None
    said = "; ".join(map(str, rows)) or "nothing"
    return Difference(order_id, found[0], str(order or "nothing"), said, found[1])


def _read(item: Item | None, items: Sequence[Item]) -> tuple[OrdersMoney | None, list[LedgerRow]]:
    """Raises ValidationError."""
    order = None if item is None else OrdersMoney.model_validate(item, by_alias=True, by_name=False)
    return order, [LedgerRow.model_validate(row, by_alias=True, by_name=False) for row in items]


def _contradiction(order: OrdersMoney | None, rows: Sequence[LedgerRow]) -> tuple[str, str] | None:
    """What is wrong, and what to do."""
    charges, refunds = sum(row.charges for row in rows), sum(row.refunds for row in rows)
    if order is None:
        return ("charged, and there is no such order", _REFUND) if charges or refunds else None
    payment, refund = order.payment, order.refund
    status, is_voided = payment.status if payment else None, "VOIDED" in {row.state for row in rows}
    if charges > 1 or refunds > charges:
        return f"charged {charges} times and refunded {refunds} times", "at the provider, leave one charge or none"
    if status == "COMPLETED" and not charges:
        return (
            "paid, and the ledger has no charge",
            f"{_FIND_OUT}; leave out orders older than the ledger: --since",
        )
    if status in ("FAILED", "VOIDED") and charges:
        return f"the payment is {status}, and the ledger has a charge", _REFUND
    if charges and not payment and not order.is_open:
        return "closed without a payment, and charged", _REFUND
    if refund and not refunds:
        return "refunded, and the ledger has no refund", _REFUND
    if refunds and not refund and not (order.is_open and order.cancellation):
        return "the ledger has a refund, and the order has none", "stop the parcel, or ask the customer to pay again"
    if charges and order.cancellation and not refund and not order.is_open:
        return "cancelled and closed, and never refunded", _REFUND
    if status == "VOIDED" and not is_voided:
        return "the payment is VOIDED, and the ledger has voided nothing", _FIND_OUT
    if is_voided and not order.cancellation:
        return (
            "the ledger has voided it, and the order is not cancelled",
            "ask the customer to cancel it and to place a new order",
        )
    for row in rows:
        if row.charges and (row.amount, row.currency) != (order.total_amount, order.currency):
            return "charged another amount than the order's", "refund or charge the rest at the provider"
        if row.charges and isinstance(payment, Payment) and row.payment_id != payment.payment_id:
            return "charged as another payment than the order's", _FIND_OUT
        if row.refunds and refund and row.refund_id != refund.refund_id:
            return "refunded as another refund than the order's", _FIND_OUT
        if row.refunds and refund and (row.amount, row.currency) != (refund.amount, refund.currency):
            return "refunded another amount than the order says", _FIND_OUT
    return None


_REFUND = "refund the charge at the provider"
_FIND_OUT = "ask the provider which of the two is correct, and repair the other by hand"


def check(stack: Stack, order_id: str, keys: Sequence[str] = ()) -> Difference | None:
    """The difference of one order now; `keys` are known idempotency keys in addition to the order's own.

    The order is compared with rows that were the same before and after it was read, and so at that moment.
    """
    rows = _rows(stack, order_id, keys)
    for _ in range(_READS):
        order = _get(stack, "OrdersTableName", orderId=order_id)
        before, rows = rows, _rows(stack, order_id, keys)
        if rows == before:
            return difference(order_id, order, rows)
    return None  # the provider is working on it: it is under way


def _rows(stack: Stack, order_id: str, keys: Sequence[str]) -> list[Item]:
    found = (_get(stack, "GatewayLedgerTableName", idempotencyKey=key) for key in sorted({order_id, *keys}))
    return [row for row in found if row and _reference(row) == order_id]


# --- all of them ------------------------------------------------------------------------------------------------------


def compare(stack: Stack, *, since: str = "", progress: Callable[[str], object] = lambda _: None) -> Comparison:
    """Compare the orders that were placed since then. `progress` is called with the state of the work.

    The ledger is in memory as a whole, the orders one by one.
    """
    ledger: dict[str, list[Item]] = defaultdict(list)
    for row in _scan(stack, "GatewayLedgerTableName", LedgerRow, progress):
        ledger[_reference(row)].append(row)
    totals = _Totals()
    suspects: dict[str, list[Item]] = {}
    for item in _scan(stack, "OrdersTableName", OrdersMoney, progress):
        order_id = str(item["orderId"])
        rows = ledger.pop(order_id, [])
        if str(item.get("placedAt")) >= since:
            totals.add(item, rows)
            if difference(order_id, item, rows):
                suspects[order_id] = rows
    for reference, rows in ledger.items():
        totals.add(None, rows)
        if difference(reference, None, rows):
            suspects[reference] = rows
    differences = []
    for number, (order_id, rows) in enumerate(sorted(suspects.items()), 1):
        progress(f"reading what differs again: {number:,} of {len(suspects):,}")
        differences.append(check(stack, order_id, [str(row["idempotencyKey"]) for row in rows]))
    return totals.comparison([each for each in differences if each])


class _Totals:
    """Sums over the readable rows; an unreadable one is a difference."""

    def __init__(self) -> None:
        self._orders = self._under_way = self._unsettled = 0
        self._states, self._charged, self._refunded = Counter[str](), Counter[str](), Counter[str]()

    def add(self, item: Item | None, items: Sequence[Item]) -> None:
        self._orders += item is not None
        try:
            order, rows = _read(item, items)
        except ValidationError:
            return
        for row in rows:
            self._states[row.state] += 1
            self._charged[row.currency] += row.charges * row.amount
            self._refunded[row.currency] += row.refunds * row.amount
        if order and order.is_open:
            known = bool(order.payment) + bool(order.refund)
            self._under_way += sum(row.charges + row.refunds for row in rows) > known
            self._unsettled += order.is_unsettled

    def comparison(self, differences: Sequence[Difference]) -> Comparison:
        return Comparison(
            self._orders,
            self._states,
            +self._charged,
            +self._refunded,
            self._under_way,
            self._unsettled,
            differences,
        )


# --- the tables -------------------------------------------------------------------------------------------------------


def _scan(stack: Stack, table: str, model: type[Frozen], progress: Callable[[str], object]) -> Iterator[dict[str, Any]]:
    """All items, with the attributes that the model needs."""
    names, count = {f"#{field.alias}": str(field.alias) for field in model.model_fields.values()}, 0
    pages = stack.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(
        TableName=stack.outputs[table],
        ConsistentRead=True,
        ProjectionExpression=", ".join(names),
        ExpressionAttributeNames=names,
    ):
        yield from map(from_item, page["Items"])
        count += len(page["Items"])
        progress(f"reading {stack.outputs[table]}: {count:,} items")


def _get(stack: Stack, table: str, **key: str) -> dict[str, Any] | None:
    if not all(is_key(value, PARTITION_KEY_MAX_BYTES) for value in key.values()):
        return None  # a reference may be any text
    found = stack.client("dynamodb").get_item(TableName=stack.outputs[table], Key=to_item(key), ConsistentRead=True)
    return from_item(found["Item"]) if "Item" in found else None


def _reference(row: Item) -> str:
    return str(row.get("reference"))


# --- the command ------------------------------------------------------------------------------------------------------


def main() -> int:
    return run(_parser(), _show)


def _show(stack: Stack, arguments: argparse.Namespace) -> int:
    screen, since = console(soft_wrap=True), clock.timestamp(arguments.since) if arguments.since else ""
    with screen.status("reading the ledger") as status:
        found = compare(stack, since=since, progress=status.update)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("orders", f"{found.orders:,}")
    table.add_row("charged", f"{found.states['CHARGED'] + found.states['REFUNDED']:,}", _sum(found.charged))
    table.add_row("refunded", f"{found.states['REFUNDED']:,}", _sum(found.refunded))
    table.add_row("declined", f"{found.states['DECLINED']:,}")
    table.add_row("voided", f"{found.states['VOIDED']:,}")
    table.add_row("under way", f"{found.under_way:,}", "open orders without the provider's result yet")
    table.add_row("to be settled", f"{found.unsettled:,}", "open orders that are cancelled")
    screen.print(table)
    for each in found.differences:
        screen.print(filled("[red]✗[/] order {order}: {what}", order=each.order_id, what=each.what))
        for name, text in (("order", each.order), ("ledger", each.ledger), ("do", each.remedy)):
            screen.print(filled("    {name} {text}", name=f"{name}:".ljust(7), text=text))
    if found.differences:
        print_error(f"{len(found.differences)} differences; how to look closer: {_RUNBOOK}")
        return 1
    screen.print(filled("[green]✓[/] orders and ledger agree"))
    return 0


def _sum(amounts: Mapping[str, int]) -> str:
    return ", ".join(format_money(amount, currency) for currency, amount in sorted(amounts.items()))


def _parser() -> Parser:
    parser = Parser(prog="npm run ledger --", description="Compare the orders with the payment provider's ledger.")
    text = "leave out orders placed before, such as 2026-01-31T09:00Z: a stage may be older than its ledger"
    parser.add_argument("--since", type=moment, metavar="TIME", help=text)
    add_stage(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
