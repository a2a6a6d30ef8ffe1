"""The promises, checked on what is left: nothing is lost, nobody is charged twice, whatever happened meanwhile."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from orders import clock
from orders.aws.gateway import DECLINES
from verification.evidence import Envelope, Evidence

PATHS = {("PLACED", "PAID", "FULFILLED"), ("PLACED", "FULFILLED"), ("PLACED", "PAYMENT_FAILED")}
"""The statuses that an order may go through. FulfillmentCompleted may overtake PaymentCompleted."""
_CLAIMS = ("emailClaim", "smsClaim")
_OPEN = ("openShard", "dueAt")

Order = Mapping[str, Any]


def violations(evidence: Evidence) -> list[str]:
    """Each promise that is broken, in a sentence; none where all is well."""
    found = [*_lost(evidence), *_unaccounted(evidence), *_stuck(evidence)]
    published = _published_by_order(evidence)
    for order_id, order in evidence.orders.items():
        checks = (
            *_ended(order),
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


def _ended(order: Order) -> Iterator[str]:
    declined = DECLINES[order["paymentMethod"]]
    wanted = "PAYMENT_FAILED" if declined else "FULFILLED"
    statuses = tuple(change["status"] for change in order["statusHistory"])
    if order["status"] != wanted:
        yield f"is {order['status']}; it must end as {wanted}"
    if statuses not in PATHS or statuses[-1] != order["status"]:
        yield f"is {order['status']} and went through {' → '.join(statuses)}"
    for name in (*_OPEN, *_CLAIMS):
        if name in order:
            yield f"has ended and still has {name} {order[name]!r}"
    if ("fulfillment" in order) != (not declined):
        yield "is shipped" if declined else "is not shipped"


def _paid(order: Order, evidence: Evidence) -> Iterator[str]:
    payment = order.get("payment")
    taken = [charge for charge in evidence.charges if charge.order_id == order["orderId"]]
    if payment is None:
        yield "has no payment"
        return
    declined = DECLINES[order["paymentMethod"]]
    if (payment["status"], payment.get("reason")) != (("FAILED", declined) if declined else ("COMPLETED", None)):
        yield f"has the payment {payment}"
    wanted = [] if declined else [(payment["paymentId"], order["totalAmount"], order["currency"])]
    if sorted((charge.payment_id, charge.amount, charge.currency) for charge in taken) != wanted:
        yield f"must have been charged {wanted}, and was charged {[tuple(charge[1:]) for charge in taken]}"


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
    kinds = ["OrderPlacedEvent", "PaymentFailedEvent"]
    if not DECLINES[order["paymentMethod"]]:
        kinds = ["OrderPlacedEvent", "PaymentCompletedEvent", "FulfillmentCompletedEvent"]
    facts: defaultdict[str, set[str]] = defaultdict(set)
    metadata: dict[str, Mapping[str, Any]] = {}
    for event in published:
        same = {name: value for name, value in event["detail"]["metadata"].items() if name != "attempt"}
        facts[event["detail-type"]].add(json.dumps([same, event["detail"]["data"]], sort_keys=True))
        metadata[event["detail-type"]] = same
    if sorted(facts) != sorted(kinds):
        yield f"has the events {sorted(facts)}; {sorted(kinds)} would be right"
        return
    for kind, versions in facts.items():
        if len(versions) > 1:
            yield f"has {len(versions)} different {kind}s"
    for cause, effect in zip([None, *kinds], kinds, strict=False):
        caused_by, before = (metadata[cause]["eventId"], metadata[cause]["occurredAt"]) if cause else (None, "")
        if metadata[effect].get("causationId") != caused_by:
            yield f"has a {effect} that {cause or 'nothing'} did not cause"
        if metadata[effect]["occurredAt"] <= before or not clock.is_timestamp(metadata[effect]["occurredAt"]):
            yield f"has a {effect} that happened before its cause"
        if metadata[effect]["correlationId"] != order["correlationId"]:
            yield f"has a {effect} of another request"


def _detail(row: Mapping[str, Any]) -> Any:
    detail = row["detail"]
    return json.loads(detail) if isinstance(detail, str) else detail
