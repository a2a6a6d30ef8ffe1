"""What is left when all is over, as the simulator's invariants want it."""

import json
import re
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from operations.dead_letters import dead_letters
from operations.stack import Stack
from orders.payments import SimulatedGateway
from verification.chaos.caretaking import scan
from verification.chaos.ledger import ObservedCall, may_repeat
from verification.evidence import Envelope, Evidence, Message, TakenCharge

_ORDER = re.compile(r"Order number: ([0-9a-f-]{36})")


class Ended(NamedTuple):
    """A deployed stack in which nothing moves any more, and what was seen of it meanwhile."""

    stack: Stack
    accepted: Mapping[str, Mapping[str, Any]]
    published: list[Envelope]
    calls: Iterable[ObservedCall]
    lost: frozenset[int]
    timed_out: int


def gather(ended: Ended) -> Evidence:
    stack = ended.stack
    orders = {order["orderId"]: order for order in scan(stack, "OrdersTableName")}
    published = ended.published
    return Evidence(
        accepted=ended.accepted,
        orders=orders,
        published=published,
        audit=scan(stack, "AuditLogTableName"),
        charges=list(charges(stack, orders, published)),
        messages=[*emails(stack), *text_messages(stack, phones(orders))],
        dead_letters=[letter.event for letter in dead_letters(stack)],
        may_repeat=may_repeat(ended.calls, ended.lost, bool(ended.timed_out)),
    )


def phones(orders: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The order of each phone number: no two have the same."""
    return {order["phone"]: order_id for order_id, order in orders.items() if "phone" in order}


def charges(
    stack: Stack, orders: Mapping[str, Mapping[str, Any]], published: Iterable[Mapping[str, Any]]
) -> Iterator[TakenCharge]:
    """What was charged, by the payment's events and by its function's log.

    The provider counts two calls with one idempotency key as one charge. So a payment counts once, however often it is
    published or logged; but once for each amount, if the amounts differ.
    """
    found = set()
    for event in published:
        if event["detail-type"] == "PaymentCompletedEvent":
            data = event["detail"]["data"]
            found.add(TakenCharge(data["orderId"], data["paymentId"], data["totalAmount"], data["currency"]))
    known = {(charge.order_id, charge.payment_id) for charge in found}
    for line in log(stack, "paymentProcessing", "The payment is COMPLETED"):
        entry = json.loads(line)
        if (entry["orderId"], entry["paymentId"]) not in known:
            order = orders[entry["orderId"]]
            found.add(TakenCharge(entry["orderId"], entry["paymentId"], order["totalAmount"], order["currency"]))
    yield from found


def under_another_key(orders: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Payments that were not charged under the order's id: a repetition would then be a second charge."""
    for order_id, order in orders.items():
        if payment := order.get("payment"):
            once = SimulatedGateway().charge(order["paymentMethod"], 0, "", idempotency_key=order_id)
            if payment["paymentId"] != once.payment_id:
                yield f"order {order_id} was not charged under its own id: {payment['paymentId']}"


def emails(stack: Stack) -> Iterator[Message]:
    for letters in _inside(stack, "ses/messages")["messages"].values():
        for letter in letters:
            if order := _ORDER.search(letter["BodyText"]):  # Cognito's have none
                yield Message(order[1], "email", letter["To"][0])


def text_messages(stack: Stack, orders: Mapping[str, str]) -> Iterator[Message]:
    for phone, sent in _inside(stack, "sns/sms-messages")["sms_messages"].items():
        for _ in sent:
            yield Message(orders[phone], "sms", phone)


def log(stack: Stack, function: str, words: str) -> Iterator[str]:
    """The lines of a function's log that have the words in them."""
    pages = stack.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=f"/aws/lambda/{stack.function(function)}"):
        for event in page["events"]:
            yield from (line for line in event["message"].splitlines() if words in line)


def _inside(stack: Stack, path: str) -> Any:
    """What the emulator shows of its inside."""
    with urllib.request.urlopen(f"{stack.endpoint_url}/_ministack/{path}", timeout=30) as answer:
        return json.load(answer)
