"""Each promise on the list is one that can break: damaged evidence is found out, and by the right promise."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from verification.evidence import Evidence, SentMessage
from verification.promises import violations
from verification.simulation.faults import ScriptedFaults
from verification.simulation.schedule import evidence, run

Damage = Callable[[dict[str, Any], Evidence], Evidence | None]
"""Changes an order in place, or returns other evidence."""


@cache
def _sound() -> Evidence:
    return evidence(run(1, faults=lambda _: ScriptedFaults({})).cloud)


def _of(kept: Evidence, kind: str, order: dict[str, Any]) -> Any:
    """The event of a kind that was published for an order."""
    events = [event for event in kept.published if event["detail-type"] == kind]
    return next(event for event in events if event["detail"]["data"]["orderId"] == order["orderId"])


def _ended_as(status: str, kept: Evidence) -> dict[str, Any]:
    return next(dict(order) for order in kept.orders.values() if order["status"] == status and "phone" in order)


def _row(kept: Evidence, order: dict[str, Any]) -> Any:
    """The provider's row of an order."""
    return next(row for row in kept.ledger if row["reference"] == order["orderId"])


def _row_changed(**values: Any) -> Damage:
    return lambda order, kept: _row(kept, order).update(values)


def _row_added(**values: Any) -> Damage:
    def damage(order: dict[str, Any], kept: Evidence) -> Evidence:
        return replace(kept, ledger=[*kept.ledger, {**_row(kept, order), "idempotencyKey": "fresh", **values}])

    return damage


def _without(order: dict[str, Any], name: str) -> None:
    del order[name]


def _event_changed(kind: str, name: str, value: Any) -> Damage:
    def damage(order: dict[str, Any], kept: Evidence) -> None:
        _of(kept, kind, order)["detail"]["metadata"][name] = value

    return damage


def test_sound_evidence_breaks_no_promise() -> None:
    kept = _sound()
    statuses = {order["status"] for order in kept.orders.values()}
    assert statuses == {"FULFILLED", "PAYMENT_FAILED", "CANCELLED", "REFUNDED"}
    assert violations(kept) == []


DAMAGE: dict[str, tuple[Damage, str]] = {
    "an accepted order is missing": (
        lambda order, kept: replace(
            kept, orders={key: each for key, each in kept.orders.items() if key != order["orderId"]}
        ),
        "was accepted, and is missing",
    ),
    "an accepted order has another total": (lambda order, _: order.update(totalAmount=1), "was accepted with total"),
    "the status is not final": (lambda order, _: order.update(status="PAID"), "must end as FULFILLED"),
    "the status is the wrong final one": (lambda order, _: order.update(status="PAYMENT_FAILED"), "must end as"),
    "a status is gone through twice": (
        lambda order, _: order["statusHistory"].append(order["statusHistory"][-1]),
        "went through PLACED → PAID → FULFILLED → FULFILLED",
    ),
    "the order is still open": (lambda order, _: order.update(dueAt="2026-01-31T09:30:00.000Z"), "still has dueAt"),
    "a claim is left": (lambda order, _: order.update(emailClaim={"owner": "x"}), "still has emailClaim"),
    "the parcel is missing": (lambda order, _: _without(order, "fulfillment"), "and is not shipped"),
    "the payment is missing": (lambda order, _: _without(order, "payment"), "has no payment"),
    "the payment failed": (
        lambda order, _: order["payment"].update(status="FAILED", reason="card_declined"),
        "has the payment",
    ),
    "a second charge under a fresh key": (_row_added(), "was charged 2 times"),
    "a charge of another amount": (_row_changed(amount=1), "and was charged ("),
    "a charge of another payment": (_row_changed(paymentId="another"), "and was charged ("),
    "no charge": (lambda _, kept: replace(kept, ledger=[]), "was charged 0 times"),
    "a refund of an order that is not cancelled": (_row_changed(refunds=1, refundId="r"), "and refunded 1 times"),
    "a cancellation that was answered, and is missing": (
        lambda order, kept: replace(kept, cancellations={order["orderId"]: {202}}),
        "has no cancellation",
    ),
    "no e-mail": (lambda _, kept: replace(kept, messages=[]), "was notified 0 times by email"),
    "two e-mails": (
        lambda order, kept: replace(
            kept, messages=[*kept.messages, SentMessage(order["orderId"], "email", order["email"])]
        ),
        "was notified 2 times by email",
    ),
    "an e-mail to somebody else": (
        lambda order, kept: replace(kept, messages=[*kept.messages, SentMessage(order["orderId"], "email", "x@y.z")]),
        "at another address",
    ),
    "no text message": (lambda order, _: _without(order, "sms"), "has no receipt of its sms"),
    "an e-mail given up": (
        lambda order, _: order.update(notification={"rejection": "Throttled"}),
        "has given up its email, which nobody refused",
    ),
    "an event is not in the audit log": (lambda _, kept: replace(kept, audit=kept.audit[1:]), "is not in the audit"),
    "a row that nobody published": (lambda _, kept: replace(kept, published=kept.published[1:]), "nobody published"),
    "a row twice": (lambda _, kept: replace(kept, audit=[*kept.audit, kept.audit[0]]), "2 times"),
    "a row that says something else": (
        lambda _, kept: replace(kept, audit=[{**kept.audit[0], "detail": {}}, *kept.audit[1:]]),
        "otherwise than it was published",
    ),
    "a dead letter": (lambda _, kept: replace(kept, dead_letters=[kept.published[0]]), "a dead letter is left"),
    "an event with no cause": (_event_changed("PaymentCompletedEvent", "causationId", None), "did not cause"),
    "an event before its cause": (
        _event_changed("FulfillmentCompletedEvent", "occurredAt", "2020-01-31T09:30:00.000Z"),
        "before its cause",
    ),
    "an event of another request": (_event_changed("PaymentCompletedEvent", "correlationId", "x"), "another request"),
    "a fact told in two ways": (
        lambda order, kept: replace(kept, published=[*kept.published, _retold(kept, order)]),
        "2 different PaymentCompletedEvents",
    ),
    "an event too many": (
        lambda order, kept: replace(kept, published=[*kept.published, _failed(kept, order)]),
        "has the events",
    ),
}


def _retold(kept: Evidence, order: dict[str, Any]) -> Any:
    event = deepcopy(_of(kept, "PaymentCompletedEvent", order))
    event["detail"]["metadata"]["eventId"] = "another"
    return {**event, "id": "another"}


def _failed(kept: Evidence, order: dict[str, Any]) -> Any:
    return {**_of(kept, "PaymentCompletedEvent", order), "id": "another", "detail-type": "PaymentFailedEvent"}


VOIDED: dict[str, tuple[Damage, str]] = {
    "it was charged all the same": (_row_changed(charges=1, state="CHARGED", paymentId="p"), "was charged 1 times"),
    "it can still be charged": (_row_changed(state="DECLINED"), "can still be charged"),
    "the provider never heard of it": (
        lambda order, kept: replace(kept, ledger=[row for row in kept.ledger if row["reference"] != order["orderId"]]),
        "can still be charged",
    ),
    "it was shipped as well": (lambda order, _: order.update(fulfillment={"trackingId": "NW1"}), "and is shipped"),
    "it was refunded without a charge": (
        lambda order, _: order.update(refund={"amount": 1, "currency": "EUR", "occurredAt": "9"}),
        "with the refund",
    ),
    "the API said that it was too late": (
        lambda order, kept: replace(kept, cancellations={order["orderId"]: {409}}),
        "was too late to cancel, as the API said",
    ),
    "it was cancelled before it was placed": (
        lambda order, _: order["cancellation"].update(occurredAt="2020-01-31T09:30:00.000Z"),
        "was cancelled before it was placed",
    ),
    "its void has another cause": (lambda order, _: order["payment"].update(causationId="x"), "names the wrong cause"),
    "its void is older than the cancellation": (
        lambda order, _: order["payment"].update(occurredAt="2020-01-31T09:30:00.000Z"),
        "that was VOIDED before its cause",
    ),
    "it was announced as refunded": (
        lambda order, kept: replace(
            kept,
            published=[
                *kept.published,
                {**_of(kept, "OrderCancelledEvent", order), "detail-type": "PaymentRefundedEvent"},
            ],
        ),
        "has the events",
    ),
}
REFUNDED: dict[str, tuple[Damage, str]] = {
    "it was never refunded": (_row_changed(refunds=0, state="CHARGED"), "refunded 0 times"),
    "it was refunded twice": (_row_added(charges=0), "refunded 2 times"),
    "it was refunded and never charged": (_row_changed(charges=0), "was charged 0 times and refunded 1 times"),
    "another refund is stored": (lambda order, _: order["refund"].update(refundId="another"), "and the provider"),
    "another amount was refunded": (lambda order, _: order["refund"].update(amount=1), "has the refund"),
    "the refund is not stored": (lambda order, _: _without(order, "refund"), "with the refund None"),
    "nobody published the refund": (
        lambda order, kept: replace(
            kept, published=[each for each in kept.published if each is not _of(kept, "PaymentRefundedEvent", order)]
        ),
        "has the events",
    ),
    "it stayed cancelled": (lambda order, _: order.update(status="CANCELLED"), "must end as REFUNDED"),
    "it was refunded before it was paid": (
        lambda order, _: order["refund"].update(occurredAt="2020-01-31T09:30:00.000Z"),
        "was refunded before it was paid",
    ),
    "the stored payment has another cause": (
        lambda order, _: order["payment"].update(causationId="x"),
        "names the wrong cause",
    ),
    "the refund has another cause": (_event_changed("PaymentRefundedEvent", "causationId", None), "did not cause"),
}
CASES = [
    pytest.param(status, damage, expected, id=f"{status}: {name}")
    for status, damages in {"FULFILLED": DAMAGE, "CANCELLED": VOIDED, "REFUNDED": REFUNDED}.items()
    for name, (damage, expected) in damages.items()
]


@pytest.mark.parametrize(("status", "damage", "expected"), CASES)
def test_a_broken_promise_is_found(status: str, damage: Damage, expected: str) -> None:
    kept = deepcopy(_sound())
    order = _ended_as(status, kept)

    damaged = damage(order, kept) or replace(kept, orders={**kept.orders, order["orderId"]: order})

    found = violations(damaged)
    assert [each for each in found if expected in each], found
