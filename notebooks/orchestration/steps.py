"""The steps of an order in the state machines of notebook 14, and the payment provider that they call.

Each step is a Lambda function of its own. It takes the order, does one thing, and returns the order with the result.
No step knows which one comes next: the state machine does. The steps leave their effects in the table: the provider's
ledger, the parcel and the e-mails.
"""

import os
from functools import cache
from typing import Any
from uuid import uuid4

import boto3

from orders.aws.dynamodb import from_item, to_item

Json = dict[str, Any]


class GatewayUnavailable(Exception):
    """The payment provider did not respond: nobody knows whether it has charged the card."""


class OrderCancelled(Exception):
    """The customer cancelled the order before the parcel was handed over."""


# --- the steps --------------------------------------------------------------------------------------------------------


def take_payment(event: Json, _context: object) -> Json:
    """Charge the card under the idempotency key that the state machine has chosen."""
    return {**event["order"], "payment": charge(event["key"], event["order"])}


def ship(order: Json, _context: object) -> Json:
    """Hand over the parcel, unless the customer has cancelled: the first write wins."""
    parcel = _set(
        f"parcel/{order['orderId']}",
        "trackingId = if_not_exists(trackingId, :new)",
        {":new": f"NW{uuid4().hex[:12].upper()}"},
        unless="cancelled",
    )
    if parcel is None:
        raise OrderCancelled("the order was cancelled before it was shipped")
    return {**order, "trackingId": parcel["trackingId"]}


def refund(order: Json, _context: object) -> Json:
    """Refund the charge, or make sure that there never will be one: this step need not know which."""
    return {**order, "refunded": cancel(order["orderId"])}


def notify(order: Json, _context: object) -> Json:
    """Send the customer an e-mail. A second run would send a second one."""
    if "trackingId" in order:
        text = f"Your order is on its way: {order['trackingId']}."
    else:
        text = "Your order was not completed. If your card was charged, the full amount is refunded."
    mails = "mails = list_append(if_not_exists(mails, :none), :new)"
    _set(f"mails/{order['orderId']}", mails, {":none": [], ":new": [text]})
    return order


def ask(event: Json, _context: object) -> None:
    """Ask a person to agree. The state machine waits until somebody sends the token back, however long that takes."""
    _set(f"question/{event['order']['orderId']}", "taskToken = :token", {":token": event["token"]})


# --- the payment provider, simulated ----------------------------------------------------------------------------------


def charge(key: str, order: Json) -> Json:
    """Charge the card, once for each idempotency key. Raises GatewayUnavailable once for each injected fault."""
    fault = _next_fault(order["orderId"])
    if fault == "down":
        raise GatewayUnavailable("the payment gateway does not respond; no money moved")
    amount = 0 if order["paymentMethod"] == "tok_declined" else order["totalAmount"]
    row = _set(
        f"ledger/{key}",
        "orderId = if_not_exists(orderId, :order), paymentId = if_not_exists(paymentId, :new),"
        " charged = if_not_exists(charged, :amount), refunded = if_not_exists(refunded, :none)",
        {":order": order["orderId"], ":new": str(uuid4()), ":amount": amount, ":none": 0},
    )
    if fault == "no response":
        raise GatewayUnavailable("the payment gateway charged the card, and its response was lost")
    assert row, "a write without a condition always returns the item"
    return {"paymentId": row["paymentId"], "status": "COMPLETED" if row["charged"] else "FAILED"}


def cancel(key: str) -> int:
    """Refund the charge under the key, or void the key if there is none. Returns the refunded amount."""
    row = _set(
        f"ledger/{key}",
        "orderId = if_not_exists(orderId, :order), charged = if_not_exists(charged, :none),"
        " refunded = if_not_exists(charged, :none)",
        {":order": key, ":none": 0},
    )
    assert row, "a write without a condition always returns the item"
    return int(row["refunded"])


def _next_fault(order_id: str) -> str | None:
    """Take the next of the faults that were injected for the order: each hits one call."""
    try:
        before = _dynamodb().update_item(
            TableName=os.environ["TABLE"],
            Key=to_item({"id": f"faults/{order_id}"}),
            UpdateExpression="REMOVE faults[0]",
            ConditionExpression="attribute_exists(faults[0])",
            ReturnValues="ALL_OLD",
        )
    except _dynamodb().exceptions.ConditionalCheckFailedException:
        return None
    return str(from_item(before["Attributes"])["faults"][0])


def _set(item: str, change: str, values: Json, *, unless: str | None = None) -> Json | None:
    """Change an item, or create it, and return it; None if it has the attribute that forbids the change."""
    condition = {"ConditionExpression": f"attribute_not_exists({unless})"} if unless else {}
    try:
        response = _dynamodb().update_item(
            TableName=os.environ["TABLE"],
            Key=to_item({"id": item}),
            UpdateExpression=f"SET {change}",
            ExpressionAttributeValues=to_item(values),
            ReturnValues="ALL_NEW",
            **condition,
        )
    except _dynamodb().exceptions.ConditionalCheckFailedException:
        return None
    return from_item(response["Attributes"])


@cache
def _dynamodb() -> Any:
    return boto3.client("dynamodb")
