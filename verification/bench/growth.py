"""Whether an order costs the same with a thousand, ten thousand and a hundred thousand orders in the table.

At each size: calls and units of an order, of a page of orders, of a timeline and of a reconciler's run, and how long
they take. The embedded AWS gets slower by itself as it fills, so each time stands beside that of one bare call of
DynamoDB in the same run.
"""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any
from uuid import uuid4

from operations.stack import Stack
from orders.aws.dynamodb import to_item
from verification.bench.counts import Counts, MeteredStack, in_turn, reconciled

SIZES = (1_000, 10_000, 100_000)
CUSTOMERS = 1_000
PAGE = 20
_TIMES = 20
_BATCH = 25

Say = Callable[[str], None]


def measure(metered: MeteredStack, sizes: tuple[int, ...] = SIZES, *, say: Say) -> dict[str, Any]:
    """By size; fills the tables up to each."""
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


def _at_this_size(metered: MeteredStack, order_id: str) -> dict[str, Any]:
    get, page, trail = (
        lambda: metered.customer.get(f"/orders/{order_id}"),
        lambda: metered.customer.get(f"/orders?limit={PAGE}"),
        lambda: metered.customer.get(f"/orders/{order_id}/events"),
    )
    counts = {
        "order": _order(metered),
        "page": _read(metered, page),
        "timeline": _read(metered, trail),
        "reconciler": brief(reconciled(metered)),
    }
    dynamodb, tables = metered.stack.client("dynamodb"), metered.stack.outputs
    by_order = {
        "TableName": tables["AuditLogTableName"],
        "IndexName": "byOrder",
        "KeyConditionExpression": "orderId = :order",
        "ExpressionAttributeValues": to_item({":order": order_id}),
    }
    key = to_item({"orderId": order_id})
    times = {
        "bare GetItem": _milliseconds(lambda: dynamodb.get_item(TableName=tables["OrdersTableName"], Key=key)),
        "bare Query": _milliseconds(lambda: dynamodb.query(**by_order)),
        "GET order": _milliseconds(get),
        "page": _milliseconds(page),
        "timeline": _milliseconds(trail),
        "reconciler": _milliseconds(lambda: metered.invoke("reconciler", {})),
    }
    metered.recorded(invoked=4 * _TIMES)
    times["POST order"] = _milliseconds(metered.post, after=lambda: metered.recorded(invoked=1))
    return {"counts": counts, "milliseconds": times}


def _order(metered: MeteredStack) -> Counts:
    while True:
        metered.post()
        recorded = metered.recorded(invoked=1)
        if in_turn(recorded.calls):
            return brief(recorded.counts)


def _read(metered: MeteredStack, ask: Callable[[], object]) -> Counts:
    ask()
    return brief(metered.recorded(invoked=1).counts)


def brief(counts: Counts) -> Counts:
    return {
        "calls": sum(counts["calls"].values()),
        "read units": counts["read units"],
        "write units": counts["write units"] + counts["index write units"],
    }


def _milliseconds(act: Callable[[], object], after: Callable[[], object] = lambda: None) -> float:
    """The median, at our end; what comes after each is not timed."""
    taken = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        act()
        taken.append(1000 * (time.perf_counter() - started))
        after()
    return round(median(taken), 2)


# --- filling ----------------------------------------------------------------------------------------------------------


def _pattern(stack: Stack, order_id: str) -> dict[str, list[dict[str, Any]]]:
    """A real order and its audit trail, which all others are made after."""
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
