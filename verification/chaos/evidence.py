"""The evidence that a run leaves in the deployed stack, for verification/promises.py."""

import json
import re
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from orders.payments import SimulatedGateway

from operations.dead_letters import dead_letters
from operations.stack import Stack
from verification.chaos.call_log import ObservedCall, may_repeat
from verification.chaos.recovery import scan
from verification.evidence import Envelope, Evidence, SentMessage, TakenCharge

_ORDER = re.compile(r"Order number: ([0-9a-f-]{36})")


class FinishedRun(NamedTuple):
    """A deployed stack in which everything has ended, and what was recorded during the run."""

    stack: Stack
    accepted: Mapping[str, Mapping[str, Any]]
    published: list[Envelope]
    calls: Iterable[ObservedCall]
    loses_response: frozenset[int]
    timed_out: int


def gather(finished: FinishedRun) -> Evidence:
    stack = finished.stack
    orders = {order["orderId"]: order for order in scan(stack, "OrdersTableName")}
    published = finished.published
    return Evidence(
        accepted=finished.accepted,
        orders=orders,
        published=published,
        audit=scan(stack, "AuditLogTableName"),
        charges=list(charges(stack, orders, published)),
        messages=[*emails(stack), *text_messages(stack, phones(orders))],
        dead_letters=[letter.event for letter in dead_letters(stack)],
        may_repeat=may_repeat(finished.calls, finished.loses_response, bool(finished.timed_out)),
    )


def phones(orders: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the order of each phone number: no two have the same."""
    return {order["phone"]: order_id for order_id, order in orders.items() if "phone" in order}


def charges(
    stack: Stack, orders: Mapping[str, Mapping[str, Any]], published: Iterable[Mapping[str, Any]]
) -> Iterator[TakenCharge]:
    """Yield the charges that the payments' events and the function's log show.

    The provider counts two calls with one idempotency key as one charge. So a payment counts once, however often it is
    published or logged; but once for each amount, if the amounts differ.
    """
    found = set()
    for event in published:
        if event["detail-type"] == "PaymentCompletedEvent":
            data = event["detail"]["data"]
            found.add(TakenCharge(data["orderId"], data["paymentId"], data["totalAmount"], data["currency"]))
    known = {(charge.order_id, charge.payment_id) for charge in found}
    for line in log_lines(stack, "paymentProcessing", "The payment is COMPLETED"):
        entry = json.loads(line)
        if (entry["orderId"], entry["paymentId"]) not in known:
            order = orders[entry["orderId"]]
            found.add(TakenCharge(entry["orderId"], entry["paymentId"], order["totalAmount"], order["currency"]))
    yield from found


def under_another_key(orders: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield each payment whose idempotency key is not the order's id: a retry would be a second charge."""
    for order_id, order in orders.items():
        if payment := order.get("payment"):
            once = SimulatedGateway().charge(order["paymentMethod"], 0, "", idempotency_key=order_id)
            if payment["paymentId"] != once.payment_id:
                yield f"order {order_id} was not charged with its own id as the key: {payment['paymentId']}"


def emails(stack: Stack) -> Iterator[SentMessage]:
    for sent in _ministack(stack, "ses/messages")["messages"].values():
        for email in sent:
            if order := _ORDER.search(email["BodyText"]):  # Cognito's e-mails have none
                yield SentMessage(order[1], "email", email["To"][0])


def text_messages(stack: Stack, orders: Mapping[str, str]) -> Iterator[SentMessage]:
    for phone, sent in _ministack(stack, "sns/sms-messages")["sms_messages"].items():
        for _ in sent:
            yield SentMessage(orders[phone], "sms", phone)


def log_lines(stack: Stack, function: str, text: str) -> Iterator[str]:
    """Yield the lines of a function's log that contain the text."""
    pages = stack.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=f"/aws/lambda/{stack.function(function)}"):
        for event in page["events"]:
            yield from (line for line in event["message"].splitlines() if text in line)


def _ministack(stack: Stack, path: str) -> Any:
    """Read the emulator's own data."""
    with urllib.request.urlopen(f"{stack.endpoint_url}/_ministack/{path}", timeout=30) as response:
        return json.load(response)
