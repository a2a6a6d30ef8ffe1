"""The evidence of some orders on the stack, and the trace that each kind of fault leaves in it.

Each kind of fault has a check, which returns the line of evidence that shows the fault, or None.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from local.watching.logs import LogLine, Logs
from operations.dead_letters import DeadLetter, dead_letters
from operations.stack import Stack
from orders.aws.audit import AuditLogTable
from orders.aws.dynamodb import from_item, names_in, to_item
from tools import topology

Item = Mapping[str, Any]
Check = Callable[["OrderEvidence"], str | None]

_STAGES = {"PLACED": 0, "PAID": 1, "PAYMENT_FAILED": 2, "FULFILLED": 2, "CANCELLED": 2, "REFUNDED": 3}
"""A status may be followed only by one of a later stage."""


class OrderEvidence(NamedTuple):
    """All the evidence of one order."""

    order: Item
    """Its item in Orders."""
    rows: Sequence[Item]
    """Its rows in AuditLog, oldest first."""
    ledger: Sequence[Item]
    """The rows of GatewayLedger that have it as their `reference`."""
    lines: Sequence[LogLine]
    """The log lines that name it, from all functions."""
    dead_letters: Sequence[DeadLetter]

    @property
    def payment(self) -> Item:
        return self.order.get("payment") or {}

    @property
    def fulfillment(self) -> Item:
        return self.order.get("fulfillment") or {}

    @property
    def cancellation(self) -> Item:
        return self.order.get("cancellation") or {}

    def published(self, event_type: str) -> list[Item]:
        """The rows of one event type."""
        return [row for row in self.rows if row["eventType"] == event_type]

    def errors(self, function: str) -> list[str]:
        """The messages of the errors that a function logged for the order."""
        return [
            str(line.content.get("message"))
            for line in self.lines
            if line.function == function and line.content.get("level") == "ERROR"
        ]


def gather(stack: Stack, order_ids: Collection[str]) -> Iterator[OrderEvidence]:
    """Read the tables, queues and logs once, and sort what they hold by order."""
    dynamodb = stack.client("dynamodb")
    log = AuditLogTable(dynamodb, stack.outputs["AuditLogTableName"])
    lines, letters = Logs(stack).new(), dead_letters_of(stack, order_ids)
    for order_id in order_ids:
        yield OrderEvidence(
            order=stored(stack, order_id),
            rows=log.trail(order_id),
            ledger=in_the_ledger(stack, order_id),
            lines=[line for line in lines if line.order_id == order_id],
            dead_letters=[letter for letter in letters if letter.order_id == order_id],
        )


def dead_letters_of(stack: Stack, order_ids: Collection[str]) -> list[DeadLetter]:
    """The dead letters of these orders. Reading a queue takes a second or more, so empty ones are skipped."""
    urls = [stack.outputs[output] for output in topology.dead_letter_outputs()]
    name, sqs = "ApproximateNumberOfMessages", stack.client("sqs")
    waiting = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name] for url in urls]
    if not any(map(int, waiting)):
        return []
    return [letter for letter in dead_letters(stack) if letter.order_id in order_ids]


def stored(stack: Stack, order_id: str) -> dict[str, Any]:
    """The order as it is stored now."""
    key = to_item({"orderId": order_id})
    found = stack.client("dynamodb").get_item(TableName=stack.outputs["OrdersTableName"], Key=key, ConsistentRead=True)
    return from_item(found["Item"])


def in_the_ledger(stack: Stack, order_id: str) -> list[dict[str, Any]]:
    """The provider's rows for an order, whatever their idempotency keys."""
    condition = "#reference = :order"
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.outputs["GatewayLedgerTableName"],
            FilterExpression=condition,
            ExpressionAttributeNames=names_in(condition),
            ExpressionAttributeValues=to_item({":order": order_id}),
            ConsistentRead=True,
        )
    )
    return [from_item(item) for page in pages for item in page["Items"]]


# --- level 1 ----------------------------------------------------------------------------------------------------------


def _sets_a_status_back(seen: OrderEvidence) -> str | None:
    history = [change["status"] for change in seen.order["statusHistory"]]
    for before, after in pairwise(history):
        if _STAGES[after] <= _STAGES[before]:
            return f"statusHistory has {after} after {before}: {' → '.join(history)}"
    return None


def _notifies_twice(seen: OrderEvidence) -> str | None:
    sent = [line for line in seen.lines if line.content.get("message") == "The email was sent"]
    return f"Notification logged “The email was sent” {len(sent)} times" if len(sent) > 1 else None


def _replaces_a_result(seen: OrderEvidence) -> str | None:
    announced = {row["detail"]["data"]["trackingId"] for row in seen.published("FulfillmentCompletedEvent")}
    stored_now = seen.fulfillment.get("trackingId")
    if not announced - {stored_now}:
        return None
    return f"FulfillmentCompletedEvent named the parcel {', '.join(announced)}; the order now has {stored_now}"


def _names_a_wrong_cause(seen: OrderEvidence) -> str | None:
    known = {row["domainEventId"] for row in seen.rows}
    for row in seen.rows:
        if row.get("causationId") and row["causationId"] not in known:
            return f"{row['eventType']} names the cause {row['causationId']}, which is no event of the order"
    return None


# --- level 2 ----------------------------------------------------------------------------------------------------------


def _charges_twice(seen: OrderEvidence) -> str | None:
    charges = sum(row["charges"] for row in seen.ledger)
    keys = len(seen.ledger)
    return f"the ledger has {charges} charges for it, under {keys} idempotency keys" if charges > 1 else None


def _believes_the_event(seen: OrderEvidence) -> str | None:
    if seen.payment.get("status") != "FAILED" or not seen.fulfillment:
        return None
    return f"its payment is FAILED, but it has the parcel {seen.fulfillment['trackingId']}"


def _swallows_its_errors(seen: OrderEvidence) -> str | None:
    errors = seen.errors("paymentProcessing")
    if (
        len(errors) != 1
        or seen.payment
        or any(letter.consumer.endswith("paymentProcessing") for letter in seen.dead_letters)
    ):
        return None
    logged = errors[0].partition(":")[0]
    return f"PaymentProcessing logged {logged} once, it was not retried, and there is no dead letter"


def _cancels_what_is_shipped(seen: OrderEvidence) -> str | None:
    cancelled_at, shipped_at = seen.cancellation.get("occurredAt"), seen.fulfillment.get("occurredAt")
    if not (cancelled_at and shipped_at and shipped_at < cancelled_at):
        return None
    return f"it was shipped at {_time(shipped_at)} and cancelled at {_time(cancelled_at)}: it has both"


# --- level 3 ----------------------------------------------------------------------------------------------------------


def _ships_what_is_cancelled(seen: OrderEvidence) -> str | None:
    cancelled_at, shipped_at = seen.cancellation.get("occurredAt"), seen.fulfillment.get("occurredAt")
    if not (cancelled_at and shipped_at and cancelled_at < shipped_at):
        return None
    return f"it was cancelled at {_time(cancelled_at)} and shipped at {_time(shipped_at)}: it has both"


def _closes_too_early(seen: OrderEvidence) -> str | None:
    if "dueAt" in seen.order or "notification" in seen.order:
        return None
    return "it has no dueAt, so the Reconciler won't look at it, and no notification"


def _republishes_the_wrong_event(seen: OrderEvidence) -> str | None:
    attempts = [row["attempt"] for row in seen.published("OrderPlacedEvent") if row["attempt"] > 1]
    if not (attempts and seen.cancellation):
        return None
    return f"it is cancelled, and OrderPlacedEvent was published again, as attempt {max(attempts)}"


def _stores_without_publishing(seen: OrderEvidence) -> str | None:
    paid, shipped = (
        max((row["attempt"] for row in seen.published(event)), default=0)
        for event in ("PaymentCompletedEvent", "FulfillmentCompletedEvent")
    )
    if not (seen.fulfillment and "dueAt" in seen.order and paid > shipped):
        return None
    return (
        f"it is open and has a parcel; PaymentCompletedEvent was published as attempt {paid},"
        f" FulfillmentCompletedEvent as attempt {shipped} at most"
    )


KINDS: Mapping[str, Check] = {
    "sets a status back": _sets_a_status_back,
    "notifies the customer twice": _notifies_twice,
    "replaces a stored result": _replaces_a_result,
    "names a wrong cause": _names_a_wrong_cause,
    "charges twice": _charges_twice,
    "believes an event that contradicts the order": _believes_the_event,
    "swallows its errors": _swallows_its_errors,
    "cancels what is shipped": _cancels_what_is_shipped,
    "ships what is cancelled": _ships_what_is_cancelled,
    "closes an order too early": _closes_too_early,
    "republishes the wrong event": _republishes_the_wrong_event,
    "stores its result without publishing it": _stores_without_publishing,
}
"""What a function can do wrong → the check that finds it in the evidence of one order."""


def line_of_evidence(kind: str, evidence: Sequence[OrderEvidence]) -> str | None:
    """The evidence of this kind of fault: the order's id, and the line. None if there is none."""
    for seen in evidence:
        if line := KINDS[kind](seen):
            return f"Order {seen.order['orderId'][:8]}: {line}"
    return None


def _time(timestamp: str) -> str:
    """`09:30:00.123`"""
    return timestamp[11:-1]
