"""What `npm start` shows of an order, from recorded evidence."""

from typing import Any

import pytest
from rich.console import Console

from local.timeline import entries, is_over, missing, table

PLACED_AT = "2026-01-31T09:30:00.000Z"


def at(milliseconds: int) -> str:
    return f"2026-01-31T09:30:00.{milliseconds:03}Z"


def event(kind: str, milliseconds: int, **data: Any) -> dict[str, Any]:
    source = {"OrderPlaced": "orders", "Fulfillment": "fulfillment"}.get(kind[:11], "payment")
    return {
        "eventType": kind,
        "timestamp": at(milliseconds),
        "source": f"order-processing.{source}",
        "attempt": 1,
        "data": data,
    }


def an_order(**more: Any) -> dict[str, Any]:
    placed = {"status": "PLACED", "at": PLACED_AT, "eventId": "e1"}
    return {"status": "PLACED", "placedAt": PLACED_AT, "statusHistory": [placed], **more}


FULFILLED = an_order(
    status="FULFILLED",
    statusHistory=[
        {"status": "PLACED", "at": PLACED_AT, "eventId": "e1"},
        {"status": "PAID", "at": at(30), "eventId": "e2"},
        {"status": "FULFILLED", "at": at(60), "eventId": "e3"},
    ],
    notification={"channel": "email", "messageId": "m1", "at": at(90)},
)
TRAIL = [
    event("OrderPlacedEvent", 0),
    event("PaymentCompletedEvent", 20, totalAmount=1890, currency="EUR"),
    event("FulfillmentCompletedEvent", 40, trackingId="NW1", carrier="Northwind Parcel"),
]


def rendered(order: dict[str, Any], events: list[dict[str, Any]]) -> list[str]:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(table(order, events))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_timeline_says_when_who_did_what_and_what_came_of_it() -> None:
    assert rendered(FULFILLED, TRAIL) == [
        "   ms  who                 did what           event or status",
        "    0  OrderService        wrote the order    PLACED",
        "    0  OrderService        published          OrderPlacedEvent",
        "   20  PaymentProcessing   charged 18.90 EUR  PaymentCompletedEvent",
        "   30  OrderStatusUpdater  moved the status   PAID",
        "   40  Fulfillment         sent parcel NW1    FulfillmentCompletedEvent",
        "   60  OrderStatusUpdater  moved the status   FULFILLED",
        "   90  Notification        sent the email",
    ]


@pytest.mark.parametrize("lost", range(3))
def test_what_has_no_evidence_is_not_shown(lost: int) -> None:
    kept = [each for number, each in enumerate(TRAIL) if number != lost]

    shown = [entry.event for entry in entries(FULFILLED, kept) if entry.event]

    assert shown == [each["eventType"] for each in kept]


def test_every_line_fits_80_columns() -> None:
    refused = event("PaymentFailedEvent", 20, reason="insufficient_funds")
    parcel = event("FulfillmentCompletedEvent", 40, trackingId="NW0123456789AB", carrier="Northwind Parcel")

    assert not any("…" in line for line in rendered(FULFILLED, [refused, parcel]))


def test_a_refused_email_is_shown_as_refused() -> None:
    refused = {"channel": "email", "rejection": "MessageRejected", "at": at(90)}

    assert entries(an_order(notification=refused), [])[-1].what == "email was refused: MessageRejected"


def test_an_order_that_was_taken_up_again_is_shown_as_such() -> None:
    again = {**event("OrderPlacedEvent", 0), "attempt": 2}

    [entry] = [each for each in entries(an_order(), [again]) if each.event]

    assert (entry.who, entry.what) == ("Reconciler", "took the order up, attempt 2")


def test_an_order_is_over_when_it_ended_and_the_customer_and_the_audit_log_know() -> None:
    assert is_over(FULFILLED, TRAIL)
    assert not is_over(FULFILLED, TRAIL[:2])
    assert not is_over({name: value for name, value in FULFILLED.items() if name != "notification"}, TRAIL)
    assert not is_over(an_order(), TRAIL)


@pytest.mark.parametrize(
    ("order", "events", "said"),
    [
        (an_order(), [], "no event was seen; AuditLogger was not heard from"),
        (an_order(), TRAIL[:1], "the last event seen is OrderPlacedEvent; PaymentProcessing was not heard from"),
        (an_order(), TRAIL[:2], "the last event seen is PaymentCompletedEvent; Fulfillment was not heard from"),
        (an_order(), TRAIL, "the last event seen is FulfillmentCompletedEvent; OrderStatusUpdater was not heard from"),
        (FULFILLED, TRAIL, "the last event seen is FulfillmentCompletedEvent; Notification was not heard from"),
    ],
)
def test_a_time_out_says_what_was_last_seen_and_who_is_silent(
    order: dict[str, Any], events: list[dict[str, Any]], said: str
) -> None:
    assert missing(order, events) == said
