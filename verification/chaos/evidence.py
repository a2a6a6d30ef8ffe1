"""The evidence that a run leaves in the deployed stack, for verification/promises.py."""

import json
import re
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from operations.dead_letters import dead_letters
from operations.stack import Stack
from verification.chaos.call_log import ObservedCall, may_repeat
from verification.chaos.recovery import scan
from verification.evidence import Envelope, Evidence, SentMessage

_ORDER = re.compile(r"Order number: ([0-9a-f-]{36})")


class FinishedRun(NamedTuple):
    """A deployed stack in which everything has ended, and what was recorded during the run."""

    stack: Stack
    accepted: Mapping[str, Mapping[str, Any]]
    cancellations: Mapping[str, set[int]]
    published: list[Envelope]
    calls: Iterable[ObservedCall]
    loses_response: frozenset[int]
    timed_out: int


def gather(finished: FinishedRun) -> Evidence:
    stack = finished.stack
    orders = {order["orderId"]: order for order in scan(stack, "OrdersTableName")}
    return Evidence(
        accepted=finished.accepted,
        orders=orders,
        published=finished.published,
        audit=scan(stack, "AuditLogTableName"),
        ledger=scan(stack, "GatewayLedgerTableName"),
        messages=[*emails(stack), *text_messages(stack, phones(orders))],
        dead_letters=[letter.event for letter in dead_letters(stack)],
        cancellations=finished.cancellations,
        may_repeat=may_repeat(finished.calls, finished.loses_response, bool(finished.timed_out)),
    )


def phones(orders: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the order of each phone number: no two have the same."""
    return {order["phone"]: order_id for order_id, order in orders.items() if "phone" in order}


def emails(stack: Stack) -> Iterator[SentMessage]:
    for sent in _ministack(stack, "ses/messages")["messages"].values():
        for email in sent:
            if order := _ORDER.search(email["BodyText"]):  # Cognito's e-mails have none
                yield SentMessage(order[1], "email", email["To"][0])


def text_messages(stack: Stack, orders: Mapping[str, str]) -> Iterator[SentMessage]:
    for phone, sent in _ministack(stack, "sns/sms-messages")["sms_messages"].items():
        for _ in sent:
            yield SentMessage(orders[phone], "sms", phone)


def _ministack(stack: Stack, path: str) -> Any:
    """Read the emulator's own data."""
    with urllib.request.urlopen(f"{stack.endpoint_url}/_ministack/{path}", timeout=30) as response:
        return json.load(response)
