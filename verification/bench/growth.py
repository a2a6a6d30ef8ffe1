"""Whether an order costs the same with a thousand, ten thousand and a hundred thousand orders in the tables."""

from collections.abc import Callable, Mapping
from uuid import uuid4

from orders.aws.dynamodb import Item
from verification.bench.counts import Counts, counts, timeline
from verification.bench.journey import SCHEDULED, Functions, functions, request
from verification.bench.stub import Stub
from verification.expressions import Bound

SIZES = (1_000, 10_000, 100_000)
CUSTOMERS = 1_000
PAGE = 20  # orders


def measure(sizes: tuple[int, ...] = SIZES, *, say: Callable[[str], None]) -> dict[str, dict[str, Counts]]:
    """Calls and units, by size and by operation. Other customers' orders fill the tables up to each size."""
    with functions() as shop:
        order_id = shop.order()[0].calls[0].request["Item"]["orderId"]["S"]
        pattern = {name: list(table.items.values()) for name, table in shop.stub.tables.items()}
        for _ in range(PAGE):
            shop.order()
        filled, found = 0, {}
        for size in sizes:
            for number in range(filled, size):
                _add_order(shop.stub, pattern, number)
            filled = size
            found[str(size)] = _at_this_size(shop, order_id)
            say(f"{size} orders in the table")
    return found


def _at_this_size(shop: Functions, order_id: str) -> dict[str, Counts]:
    page = request("GET /orders", query={"limit": str(PAGE)})
    done = {
        "order": shop.order(),
        f"page of {PAGE}": shop.follow("orderService", page),
        "timeline": timeline(shop, order_id),
        "reconciler": shop.follow("reconciler", SCHEDULED),
    }
    return {what: brief(counts(story)) for what, story in done.items()}


def brief(counts: Counts) -> Counts:
    return {
        "calls": sum(counts["calls"].values()),
        "read units": counts["read units"],
        "write units": counts["write units"] + counts["index write units"],
    }


def _add_order(stub: Stub, pattern: Mapping[str, list[Item]], number: int) -> None:
    """A copy of an order that has ended and of its audit trail, for some other customer."""
    order_id = {"S": str(uuid4())}
    at = {"S": f"20{20 + number % 6:02}-01-{1 + number % 28:02}T00:{number % 60:02}:{number // 60 % 60:02}.000Z"}
    customer = {"S": f"customer {number % CUSTOMERS}"}
    for name, items in pattern.items():
        for item in items:
            own = {"orderId": order_id, "customerId": customer, "placedAt": at, "eventId": {"S": str(uuid4())}}
            copy = {**item, **{name: value for name, value in own.items() if name in item}}
            stub.tables[name].put(copy, "attribute_not_exists(orderId)", Bound({}, {}), return_old=False)
