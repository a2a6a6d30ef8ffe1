"""Labs on writes to DynamoDB: the first one wins, a late one fails, and orders that are due are found."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import permutations
from typing import Any

from notebooks import own, reader
from notebooks.labs.verdict import Verdict
from orders import clock
from orders.aws.dynamodb import from_item, to_item
from orders.aws.store import OrdersTable
from orders.events import new_id
from orders.model import Customer, Order, OrderRequest

_WRITERS = 10


def refund_once(expression: str) -> Verdict:
    """Ten threads write a refund of their own with this update expression, and all see the same one afterwards."""
    stack = reader.the_stack()
    with _table(stack) as table:
        dynamodb = stack.client("dynamodb", connections=_WRITERS)
        dynamodb.put_item(TableName=table, Item=to_item({"id": "order", "status": "PAID"}))

        def refund(number: int) -> Any:
            written = dynamodb.update_item(
                TableName=table,
                Key=to_item({"id": "order"}),
                UpdateExpression=expression,
                ExpressionAttributeValues=to_item({":refund": f"refund-{number}"}),
                ReturnValues="ALL_NEW",
            )
            return from_item(written["Attributes"])

        with ThreadPoolExecutor(_WRITERS) as pool:
            seen = list(pool.map(refund, range(_WRITERS)))
    refunds = {each.get("refund") for each in seen}
    if None in refunds or any(each["status"] != "PAID" for each in seen):
        return Verdict(False, "the order needs the attribute `refund`, and its `status` must stay.")
    if len(refunds) > 1:
        return Verdict(False, f"the {_WRITERS} writers saw {len(refunds)} different refunds; it should be one.")
    return Verdict(True, f"{_WRITERS} writers wrote at the same time, and all of them saw the same refund.")


def parcel(may_follow: Mapping[str, Collection[str]]) -> Verdict:
    """A parcel whose events come in any order, any of them twice or not at all, ends right and never goes back."""
    rank = {"PACKED": 0, "SENT": 1, "DELIVERED": 2}
    stack = reader.the_stack()
    arrivals = {each[:length] for each in permutations(("SENT", "DELIVERED") * 2) for length in (1, 2, 3, 4)}
    with _table(stack) as table:
        dynamodb = stack.client("dynamodb")
        for number, arrival in enumerate(sorted(arrivals)):
            key, history = to_item({"id": str(number)}), ["PACKED"]
            dynamodb.put_item(TableName=table, Item={**key, **to_item({"status": "PACKED"})})
            history += [each for each in arrival if _advance(dynamodb, table, key, each, may_follow[each])]
            came = " → ".join(arrival)
            if sorted(history, key=lambda status: rank[status]) != history or len(set(history)) < len(history):
                return Verdict(False, f"when the events arrived as {came}, the parcel went {' → '.join(history)}.")
            if history[-1] != max(arrival, key=lambda status: rank[status]):
                return Verdict(False, f"when the events arrived as {came}, the parcel stayed {history[-1]}.")
    return Verdict(True, f"the parcel ended right in all {len(arrivals)} orders of arrival, and never went back.")


def _advance(dynamodb: Any, table: str, key: Any, status: str, origins: Collection[str]) -> bool:
    if not origins:
        return False
    names = {f":from{number}": origin for number, origin in enumerate(sorted(origins))}
    try:
        dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression="SET #status = :to",
            ConditionExpression=f"#status IN ({', '.join(names)})",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=to_item({":to": status, **names}),
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


def due_orders(find: Callable[[], Iterable[str]]) -> Verdict:
    """The function finds exactly the orders that are due, among others that are not due yet or have ended."""
    stack = reader.the_stack()
    ended = reader.customer().post("/orders", {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"})
    reader.follow(ended["orderId"])
    store, hour = OrdersTable(stack.client("dynamodb"), stack.outputs["OrdersTableName"]), timedelta(hours=1)
    for late in (True, False):
        for _ in range(15):
            _store_an_order(store, clock.timestamp(clock.now() - hour if late else clock.now() + hour))
    for _ in range(3):  # the Reconciler may reconcile some meanwhile: then the table differs afterwards
        before = _due(stack)
        found, after = list(find()), _due(stack)
        if before == after:
            break
    missing, too_many = len(before - set(found)), len(set(found) - before)
    if missing or too_many:
        return Verdict(False, f"{len(before)} orders are due; you missed {missing}, and found {too_many} that aren't.")
    return Verdict(
        True, f"you found all {len(before)} orders that were due, and no others. The Reconciler repairs them."
    )


def _store_an_order(store: OrdersTable, due_at: str) -> None:
    request = OrderRequest.model_validate({"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"})
    customer = Customer(customer_id="lab", email="success+lab@simulator.amazonses.com")
    ids = {"order_id": new_id(), "request_id": new_id(), "event_id": new_id()}
    store.put(Order.place(request, customer, at=clock.timestamp(clock.now()), due_at=due_at, **ids))


def _due(stack: Any) -> set[str]:
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.outputs["OrdersTableName"],
            FilterExpression="dueAt <= :now",
            ExpressionAttributeValues=to_item({":now": clock.timestamp(clock.now())}),
            ConsistentRead=True,
        )
    )
    return {from_item(item)["orderId"] for page in pages for item in page["Items"]}


@contextmanager
def _table(stack: Any) -> Iterator[str]:
    """A new table with the key `id`, for as long as the block runs."""
    dynamodb, name = stack.client("dynamodb"), own.new_name(stack)
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name)
    try:
        yield name
    finally:
        dynamodb.delete_table(TableName=name)
