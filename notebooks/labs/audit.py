"""A lab on the audit log: orders that were changed behind its back."""

import random
from collections.abc import Callable, Iterable
from typing import Any

from notebooks import reader
from notebooks.labs.flow import SMALL
from notebooks.labs.verdict import Verdict

_ORDERS, _CHANGES = 20, ("SET totalAmount = :one", "SET #items[0].quantity = :one", "SET paymentMethod = :card")


def tampered_orders(find: Callable[[list[str]], Iterable[str]]) -> Verdict:
    """The function finds those of twenty ended orders that were changed in the table."""
    account = reader.customer()
    wish = {**SMALL, "items": [{"sku": "MUG", "quantity": 2}]}
    placed = [account.post("/orders", wish)["orderId"] for _ in range(_ORDERS)]
    reader.wait_until(lambda: all(reader.rows_of(order_id) for order_id in placed), "twenty orders in the audit log")
    chosen = random.sample(placed, len(_CHANGES))
    for order_id in chosen:
        reader.follow(order_id)
    for order_id, change in zip(chosen, _CHANGES, strict=True):
        _change(order_id, change)
    found = set(find(list(placed)))
    missing, wrong = len(set(chosen) - found), len(found - set(chosen))
    if missing or wrong:
        return Verdict(
            False, f"{len(chosen)} of {_ORDERS} were changed; you missed {missing}, and named {wrong} unchanged orders."
        )
    return Verdict(True, f"you found all {len(chosen)} changes: an amount, a quantity and a card.")


def _change(order_id: str, expression: str) -> None:
    stack = reader.the_stack()
    values: dict[str, Any] = {":one": {"N": "1"}} if ":one" in expression else {":card": {"S": "tok_mastercard"}}
    names = {"ExpressionAttributeNames": {"#items": "items"}} if "#items" in expression else {}
    stack.client("dynamodb").update_item(
        TableName=stack.outputs["OrdersTableName"],
        Key={"orderId": {"S": order_id}},
        UpdateExpression=expression,
        ExpressionAttributeValues=values,
        **names,
    )
