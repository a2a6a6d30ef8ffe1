"""Whether an order costs the same with a thousand, ten thousand and a hundred thousand orders in the table.

At each size: calls and units of an order, of a page of orders, of a timeline and of a reconciler's run.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from operations.stack import Stack
from orders.aws.dynamodb import to_item
from verification.bench.counts import Counts, MeteredStack, in_turn, reconciled

SIZES = (1_000, 10_000, 100_000)
CUSTOMERS = 1_000
PAGE = 20
_BATCH = 25  # items, the most that BatchWriteItem takes

Say = Callable[[str], None]


def measure(metered: MeteredStack, sizes: tuple[int, ...] = SIZES, *, say: Say) -> dict[str, Any]:
    """Counts by size and by what is counted; fills the tables up to each size."""
    order_id = metered.post()
    metered.recorded(invoked=1)
    pattern = _pattern(metered.stack, order_id)
    for _ in range(PAGE):
        _order(metered)  # one after the other: the queue would hand several to one invocation
    filled, found = 0, {}
    for size in sizes:
        started = time.monotonic()
        _fill(metered.stack, pattern, filled, size)
        filled = size
        say(f"{size} orders in the table after {time.monotonic() - started:.0f} s")
        found[str(size)] = _at_this_size(metered, order_id)
    return found


def _at_this_size(metered: MeteredStack, order_id: str) -> dict[str, Counts]:
    return {
        "order": _order(metered),
        f"page of {PAGE}": _read(metered, f"/orders?limit={PAGE}"),
        "timeline": _read(metered, f"/orders/{order_id}/events"),
        "reconciler": brief(reconciled(metered)),
    }


def _order(metered: MeteredStack) -> Counts:
    while True:
        metered.post()
        recorded = metered.recorded(invoked=1)
        if in_turn(recorded.calls):
            return brief(recorded.counts)


def _read(metered: MeteredStack, path: str) -> Counts:
    metered.customer.get(path)
    return brief(metered.recorded(invoked=1).counts)


def brief(counts: Counts) -> Counts:
    return {
        "calls": sum(counts["calls"].values()),
        "read units": counts["read units"],
        "write units": counts["write units"] + counts["index write units"],
    }


# --- filling ----------------------------------------------------------------------------------------------------------


def _pattern(stack: Stack, order_id: str) -> dict[str, list[dict[str, Any]]]:
    """A real order and its audit trail, which the others are copies of."""
    dynamodb, tables = stack.client("dynamodb"), stack.outputs
    order = dynamodb.get_item(TableName=tables["OrdersTableName"], Key=to_item({"orderId": order_id}))["Item"]
    trail = dynamodb.query(
        TableName=tables["AuditLogTableName"],
        IndexName="byOrder",
        KeyConditionExpression="orderId = :order",
        ExpressionAttributeValues=to_item({":order": order_id}),
    )["Items"]
    return {tables["OrdersTableName"]: [order], tables["AuditLogTableName"]: trail}


def _fill(stack: Stack, pattern: dict[str, list[dict[str, Any]]], first: int, last: int) -> None:
    dynamodb = stack.client("dynamodb")
    batch: list[tuple[str, dict[str, Any]]] = []
    for number in range(first, last):
        batch += _copies(pattern, number)
        if len(batch) > _BATCH or number == last - 1:
            _write(dynamodb, batch)
            batch = []


def _copies(pattern: dict[str, list[dict[str, Any]]], number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """One more order of some other customer, placed and ended a second after the last."""
    order_id = {"S": str(uuid4())}
    at = {"S": f"20{20 + number % 6:02}-01-{1 + number % 28:02}T00:{number % 60:02}:{number // 60 % 60:02}.000Z"}
    for table, items in pattern.items():
        for item in items:
            changed = {"orderId": order_id}
            changed |= {"customerId": {"S": f"customer {number % CUSTOMERS}"}} if "customerId" in item else {}
            changed |= {"placedAt": at} if "placedAt" in item else {}
            changed |= {"eventId": {"S": str(uuid4())}} if "timestamp" in item else {}
            yield table, {**item, **changed}


def _write(dynamodb: Any, items: list[tuple[str, dict[str, Any]]]) -> None:
    for start in range(0, len(items), _BATCH):
        wanted: dict[str, list[Any]] = {}
        for table, item in items[start : start + _BATCH]:
            wanted.setdefault(table, []).append({"PutRequest": {"Item": item}})
        while wanted:
            wanted = dynamodb.batch_write_item(RequestItems=wanted)["UnprocessedItems"]
