"""Whether the orders that dead letters are about have healed since: by a retry, a redrive or the reconciler."""

from collections.abc import Callable, Iterable
from itertools import count
from typing import NamedTuple

from operations.errors import OperatorError
from operations.stack import Stack
from orders.aws import backoff
from orders.aws.dynamodb import PARTITION_KEY_MAX_BYTES, from_item, is_key, names_in, to_item

_BATCH = 100
"""How many items DynamoDB reads in one call."""
_READ = "#orderId, #status, #dueAt"


class OrderNow(NamedTuple):
    """An order as it is stored now."""

    status: str
    has_healed: bool
    """Whether nothing is left to be done for it: a closed order is never due again."""


class OrdersUnread(OperatorError):
    """DynamoDB left out some orders, in every retry."""


def orders_now(
    stack: Stack, order_ids: Iterable[str], progress: Callable[[int], object] = lambda _: None
) -> dict[str, OrderNow]:
    """The orders of these ids that exist. Raises OrdersUnread. `progress` is called with how many were read."""
    ids = sorted({each for each in order_ids if is_key(each, PARTITION_KEY_MAX_BYTES)})
    dynamodb, table = stack.client("dynamodb"), stack.outputs["OrdersTableName"]
    found: dict[str, OrderNow] = {}
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        wanted = {
            table: {
                "Keys": [to_item({"orderId": order_id}) for order_id in batch],
                "ConsistentRead": True,
                "ProjectionExpression": _READ,
                "ExpressionAttributeNames": names_in(_READ),
            }
        }
        for attempt in count(1):
            response = dynamodb.batch_get_item(RequestItems=wanted)
            for item in map(from_item, response["Responses"].get(table, [])):
                found[str(item["orderId"])] = OrderNow(str(item.get("status", "-")), "dueAt" not in item)
            wanted = response["UnprocessedKeys"]
            if not wanted:
                break
            if attempt == backoff.ATTEMPTS:
                raise OrdersUnread(f"DynamoDB left out {len(wanted[table]['Keys'])} of {len(batch)} orders")
            backoff.pause(attempt)
        progress(start + len(batch))
    return found
