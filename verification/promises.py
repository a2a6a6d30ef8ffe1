"""The promises, checked on the evidence: nothing is lost and nobody is charged twice, whatever happened meanwhile.

Nobody pays for a cancelled order, nobody is refunded twice or without a charge, and an order is either shipped or
cancelled, never both.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from orders import clock
from orders.aws.gateway import DECLINES
from verification.evidence import Envelope, Evidence

PATHS = {
    ("PLACED", "PAID", "FULFILLED"),
    ("PLACED", "FULFILLED"),
    ("PLACED", "PAYMENT_FAILED"),
    ("PLACED", "CANCELLED"),
    ("PLACED", "CANCELLED", "REFUNDED"),
    ("PLACED", "PAID", "CANCELLED", "REFUNDED"),
    ("PLACED", "PAID", "REFUNDED"),
    ("PLACED", "REFUNDED"),
}
"""The statuses that an order may go through. FulfillmentCompleted may overtake PaymentCompleted; PaymentRefunded may
overtake OrderCancelled, and both of them PaymentCompleted."""
_CAUSES = {
    "OrderPlacedEvent": None,
    "PaymentCompletedEvent": "OrderPlacedEvent",
    "PaymentFailedEvent": "OrderPlacedEvent",
    "FulfillmentCompletedEvent": "PaymentCompletedEvent",
    "OrderCancelledEvent": None,
    "PaymentRefundedEvent": "OrderCancelledEvent",
}
"""Event → the one that leads to it."""
_CLAIMS = ("emailClaim", "smsClaim")
_OPEN = ("openShard", "dueAt")

Order = Mapping[str, Any]


def violations(evidence: Evidence) -> list[str]:
    """Each promise that is broken, in a sentence; empty if all are kept."""
    found = [*_lost(evidence), *_unaccounted(evidence), *_stuck(evidence)]
    published = _published_by_order(evidence)
    for order_id, order in evidence.orders.items():
        checks = (
            *_ended(order),
            *_cancelled(order, evidence),
            *_paid(order, evidence),
            *_notified(order, evidence),
            *_history(order, published[order_id]),
        )
        found += [f"order {order_id} {what}" for what in checks]
    return found


def _lost(evidence: Evidence) -> Iterator[str]:
    for order_id, answered in evidence.accepted.items():
        order = evidence.orders.get(order_id)
        if order is None:
            yield f"order {order_id} was accepted, and is missing"
            continue
        for name in ("items", "totalAmount", "currency", "paymentMethod", "placedAt"):
            if order[name] != answered[name]:
                yield f"order {order_id} was accepted with {name} {answered[name]!r}, and has {order[name]!r}"


def _unaccounted(evidence: Evidence) -> Iterator[str]:
    """Published and logged must be the same, entry by entry."""
    published = {event["id"]: event for event in evidence.published}
    rows = Counter(row["eventId"] for row in evidence.audit)
    for event_id in published.keys() - rows.keys():
        yield f"the {published[event_id]['detail-type']} {event_id} was published, and is not in the audit log"
    for row in evidence.audit:
        event = published.get(row["eventId"])
        if event is None:
            yield f"the audit log has {row['eventType']} {row['eventId']}, which nobody published"
        elif rows[row["eventId"]] > 1:
            yield f"the audit log has {row['eventType']} {row['eventId']} {rows[row['eventId']]} times"
        elif _detail(row) != event["detail"] or row["source"] != event["source"]:
            yield f"the audit log has {row['eventType']} {row['eventId']} otherwise than it was published"


def _stuck(evidence: Evidence) -> Iterator[str]:
    for event in evidence.dead_letters:
        if event.get("id") not in evidence.forged:
            yield f"a dead letter is left that nothing explains: {event.get('detail-type')} {event.get('id')}"


def _outcome(order: Order) -> str:
    """The status in which an order must end."""
    if "cancellation" in order:
        return "CANCELLED" if order.get("payment", {}).get("status") == "VOIDED" else "REFUNDED"
    return "PAYMENT_FAILED" if DECLINES[order["paymentMethod"]] else "FULFILLED"


def _ended(order: Order) -> Iterator[str]:
    wanted = _outcome(order)
    statuses = tuple(change["status"] for change in order["statusHistory"])
    if order["status"] != wanted:
        yield f"is {order['status']}; it must end as {wanted}"
    if statuses not in PATHS or statuses[-1] != order["status"]:
        yield f"is {order['status']} and went through {' → '.join(statuses)}"
    for name in (*_OPEN, *_CLAIMS):
        if name in order:
            yield f"has ended and still has {name} {order[name]!r}"
    if ("fulfillment" in order) != (wanted == "FULFILLED"):
        yield f"ended as {wanted} and is {'' if 'fulfillment' in order else 'not '}shipped"


def _cancelled(order: Order, evidence: Evidence) -> Iterator[str]:
    """The API's response to a cancellation must stay true."""
    answers = evidence.cancellations.get(order["orderId"], set())
    if answers & {200, 202} and "cancellation" not in order:
        yield f"was cancelled, as the API said ({sorted(answers)}), and has no cancellation"
    if 409 in answers and "cancellation" in order:
        yield "was too late to cancel, as the API said, and has a cancellation"


def _paid(order: Order, evidence: Evidence) -> Iterator[str]:
    """Sums over every row of the order in the provider's ledger, whatever its key."""
    payment, refund = order.get("payment"), order.get("refund")
    rows = [row for row in evidence.ledger if row["reference"] == order["orderId"]]
    if payment is None:
        yield "has no payment"
        return
    wanted = _outcome(order)
    declined = DECLINES[order["paymentMethod"]] if wanted == "PAYMENT_FAILED" else None
    status = {"CANCELLED": "VOIDED", "PAYMENT_FAILED": "FAILED"}.get(wanted, "COMPLETED")
    if (payment["status"], payment.get("reason")) != (status, declined):
        yield f"has the payment {payment}"
    moved = sum(row["charges"] for row in rows), sum(row["refunds"] for row in rows)
    expected = {"FULFILLED": (1, 0), "REFUNDED": (1, 1)}.get(wanted, (0, 0))
    if moved != expected:
        yield f"ended as {wanted}, and was charged {moved[0]} times and refunded {moved[1]} times"
    if wanted == "CANCELLED" and {row["state"] for row in rows} != {"VOIDED"}:
        yield f"can still be charged: the provider has {[row['state'] for row in rows]}"
    for row in rows:
        if row["charges"] and _terms(row) != (payment.get("paymentId"), order["totalAmount"], order["currency"]):
            yield f"has the payment {payment} and was charged {_terms(row)}"
        if row["refunds"] and row["refundId"] != (refund or {}).get("refundId"):
            yield f"has the refund {refund}, and the provider {row['refundId']}"
    if ("refund" in order) != (wanted == "REFUNDED"):
        yield f"ended as {wanted} with the refund {refund}"
    if refund and (refund["amount"], refund["currency"]) != (order["totalAmount"], order["currency"]):
        yield f"has the refund {refund}"


def _terms(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row.get("paymentId"), row.get("amount"), row.get("currency")


def _notified(order: Order, evidence: Evidence) -> Iterator[str]:
    for channel, receipt, address in (("email", "notification", "email"), ("sms", "sms", "phone")):
        sent = [message for message in evidence.messages if message[:2] == (order["orderId"], channel)]
        if any(message.address != order.get(address) for message in sent):
            yield f"has a message of its {channel} at another address"
        if address not in order:
            continue
        if receipt not in order:
            yield f"has no receipt of its {channel}"
        elif "rejection" in order[receipt]:
            if (order["orderId"], channel) not in evidence.rejected:
                yield f"has given up its {channel}, which nobody refused"
        else:
            most = 1 + evidence.may_repeat.get((order["orderId"], channel), 0)
            if not 1 <= len(sent) <= most:
                yield f"was notified {len(sent)} times by {channel}; expected 1 to {most}"


def _published_by_order(evidence: Evidence) -> Mapping[str, list[Envelope]]:
    published: defaultdict[str, list[Envelope]] = defaultdict(list)
    for event in evidence.published:
        if event["id"] not in evidence.forged:
            published[event["detail"]["data"]["orderId"]].append(event)
    return published


def _history(order: Order, published: list[Envelope]) -> Iterator[str]:
    """The events of an order: one of each type, the same whenever it is published, and each after its cause."""
    needed, optional = _kinds(_outcome(order))
    facts: defaultdict[str, set[str]] = defaultdict(set)
    metadata = _stored_metadata(order)
    for event in published:
        same = {name: value for name, value in event["detail"]["metadata"].items() if name != "attempt"}
        facts[event["detail-type"]].add(json.dumps([same, event["detail"]["data"]], sort_keys=True))
        metadata[event["detail-type"]] = same
    if not needed <= set(facts) <= needed | optional:
        yield f"has the events {sorted(facts)}; {sorted(needed)} would be right"
        return
    for kind, versions in facts.items():
        if len(versions) > 1:
            yield f"has {len(versions)} different {kind}s"
        cause, effect = _CAUSES[kind], metadata[kind]
        caused_by, before = (metadata[cause]["eventId"], metadata[cause]["occurredAt"]) if cause else (None, "")
        if effect.get("causationId") != caused_by:
            yield f"has a {kind} that {cause or 'nothing'} did not cause"
        if effect["occurredAt"] <= before or not clock.is_timestamp(effect["occurredAt"]):
            yield f"has a {kind} that happened before its cause"
        if effect["correlationId"] != order["correlationId"]:
            yield f"has a {kind} of another request"
    if "cancellation" in order and order["cancellation"]["occurredAt"] <= order["placedAt"]:
        yield "was cancelled before it was placed"
    yield from _payment_cause(order)
    if "refund" in order and order["refund"]["occurredAt"] <= order.get("payment", {}).get("occurredAt", ""):
        yield "was refunded before it was paid"


def _payment_cause(order: Order) -> Iterator[str]:
    """The stored payment names its cause, also if no event of it was published: after a void, or a lost response."""
    payment = order.get("payment")
    if payment is None:
        return  # `_paid` reports it
    placed = _stored_metadata(order)["OrderPlacedEvent"]
    cause = order.get("cancellation", placed) if payment["status"] == "VOIDED" else placed
    if payment["causationId"] != cause["eventId"]:
        yield f"has a payment that is {payment['status']}, and names the wrong cause"
    if payment["occurredAt"] <= cause["occurredAt"]:
        yield f"has a payment that was {payment['status']} before its cause"


def _kinds(outcome: str) -> tuple[set[str], set[str]]:
    """The events that an order with this outcome must have, and those that it may have.

    A cancellation may come before any other event is published, which then never is.
    """
    cancelled = {"OrderCancelledEvent"}, {"OrderPlacedEvent"}
    return {
        "PAYMENT_FAILED": ({"OrderPlacedEvent", "PaymentFailedEvent"}, set()),
        "FULFILLED": ({"OrderPlacedEvent", "PaymentCompletedEvent", "FulfillmentCompletedEvent"}, set()),
        "CANCELLED": cancelled,
        "REFUNDED": (cancelled[0] | {"PaymentRefundedEvent"}, cancelled[1] | {"PaymentCompletedEvent"}),
    }[outcome]


def _stored_metadata(order: Order) -> dict[str, Mapping[str, Any]]:
    """Id and time of the event that placed the order, which may never have been published."""
    first = order["statusHistory"][0]
    return {"OrderPlacedEvent": {"eventId": first["eventId"], "occurredAt": first["at"]}}


def _detail(row: Mapping[str, Any]) -> Any:
    detail = row["detail"]
    return json.loads(detail) if isinstance(detail, str) else detail
