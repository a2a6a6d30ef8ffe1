"""The timelines of `npm start`, for four real orders as the API showed them."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest

from local.launcher.samples import SAMPLES, Sample, shortcoming
from local.terminal.output import Terminal, heading, picture, row
from local.terminal.timeline import CONSUMERS, OrderView, TimelineEntry, awaited, is_over, lines
from operations.screen import console
from orders.events import EVENTS
from orders.model import Status
from tools import topology
from verification import matching

APPROVED, DECLINED, *_, CHANGE_OF_MIND = SAMPLES
RECORDED = ("approved", "declined", "refunded", "voided")


def recorded(name: str) -> OrderView:
    answers = json.loads((Path(__file__).parent / "recorded" / f"{name}.json").read_text())
    return OrderView(answers["order"], answers["events"])


def earlier(evidence: OrderView, *, statuses: int, events: int, without: tuple[str, ...] = ()) -> OrderView:
    """The order before it had more than so many statuses and events."""
    history = evidence.order["statusHistory"][:statuses]
    order = {**evidence.order, "status": history[-1]["status"], "statusHistory": history}
    return OrderView({name: order[name] for name in order.keys() - set(without)}, evidence.trail[:events])


class Tty(StringIO):
    def isatty(self) -> bool:
        return True


def shown(evidences: list[OrderView], file: StringIO) -> str:
    screen = console(file=file, width=80, soft_wrap=True, _environ={"TERM": "xterm"})
    with Terminal(screen).timeline(APPROVED, evidences[0].order) as show:
        for evidence in evidences:
            show(evidence)
    return file.getvalue()


TIMELINE = """\
    0 ms  OrderService        POST /orders → status PLACED
    0 ms  OrderService        POST /orders → OrderPlacedEvent
   12 ms  PaymentProcessing   OrderPlacedEvent → PaymentCompletedEvent
   25 ms  OrderStatusUpdater  PaymentCompletedEvent → status PAID
   27 ms  Fulfillment         PaymentCompletedEvent → FulfillmentCompletedEvent
   52 ms  OrderStatusUpdater  FulfillmentCompletedEvent → status FULFILLED
   68 ms  Notification        FulfillmentCompletedEvent → e-mail sent
"""


def test_a_timeline_says_when_who_reacted_to_what_and_what_came_of_it() -> None:
    order = recorded("approved")

    assert shown([order], StringIO()) == (
        "Order C435834C: an approved card (tok_visa)\n"
        "1 × Hand grinder, 2 × Coffee beans, 1 kg for 116.80 EUR\n" + TIMELINE
    )


def test_a_declined_order_ends_with_its_payment() -> None:
    told = [(line.function, line.cause, line.outcome) for line in lines(recorded("declined"))]

    assert told == [
        ("OrderService", "POST /orders", "status PLACED"),
        ("OrderService", "POST /orders", "OrderPlacedEvent"),
        ("PaymentProcessing", "OrderPlacedEvent", "PaymentFailedEvent"),
        ("OrderStatusUpdater", "PaymentFailedEvent", "status PAYMENT_FAILED"),
        ("Notification", "PaymentFailedEvent", "e-mail sent"),
    ]


def test_a_cancelled_order_shows_its_refund() -> None:
    told = [(line.function, line.cause, line.outcome) for line in lines(recorded("refunded"))]

    assert told == [
        ("OrderService", "POST /orders", "status PLACED"),
        ("OrderService", "POST /orders", "OrderPlacedEvent"),
        ("PaymentProcessing", "OrderPlacedEvent", "PaymentCompletedEvent"),
        ("OrderStatusUpdater", "PaymentCompletedEvent", "status PAID"),
        ("OrderService", "POST …/cancellation", "OrderCancelledEvent"),
        ("OrderStatusUpdater", "OrderCancelledEvent", "status CANCELLED"),
        ("PaymentProcessing", "OrderCancelledEvent", "PaymentRefundedEvent"),
        ("Notification", "OrderCancelledEvent", "e-mail sent"),
        ("OrderStatusUpdater", "PaymentRefundedEvent", "status REFUNDED"),
    ]


def test_a_voided_payment_is_a_line_without_a_time_since_the_api_shows_none() -> None:
    assert shown([recorded("voided")], StringIO()).splitlines()[2:] == [
        "    0 ms  OrderService        POST /orders → status PLACED",
        "    0 ms  OrderService        POST /orders → OrderPlacedEvent",
        "   21 ms  OrderService        POST …/cancellation → OrderCancelledEvent",
        "          PaymentProcessing   OrderCancelledEvent → payment voided",
        "   64 ms  OrderStatusUpdater  OrderCancelledEvent → status CANCELLED",
        "  149 ms  Notification        OrderCancelledEvent → e-mail sent",
    ]


@pytest.mark.parametrize("status", get_args(Status))
def test_each_status_has_a_colour_of_its_own(status: str) -> None:
    line = TimelineEntry(0, "OrderStatusUpdater", "an event", f"status {status}")

    assert [span.style for span in row(line).spans][-1] != "cyan", "the colour of events"


def test_without_a_terminal_each_line_comes_once_when_it_is_known() -> None:
    ended = recorded("approved")
    untold = ("notification", "fulfillment")
    begun = earlier(ended, statuses=1, events=0, without=(*untold, "payment"))
    paid = earlier(ended, statuses=2, events=2, without=untold)

    assert shown([begun, begun, paid, ended], StringIO()).endswith("EUR\n" + TIMELINE)


def test_on_a_terminal_the_picture_grows_and_says_who_is_awaited() -> None:
    ended = recorded("approved")
    paid = earlier(ended, statuses=1, events=2, without=("notification", "fulfillment"))

    with (screen := console(width=80)).capture() as capture:
        screen.print(picture(paid))
    grown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown([paid, ended], Tty()))

    assert "waiting for Fulfillment, OrderStatusUpdater" in capture.get()
    assert grown.endswith(TIMELINE)


def test_what_has_no_evidence_is_not_shown() -> None:
    unlogged = earlier(recorded("approved"), statuses=3, events=1)

    assert [line.outcome for line in lines(unlogged)] == ["status PLACED", "OrderPlacedEvent"]


def test_what_an_event_or_an_order_says_is_shown_literally() -> None:
    """Anybody who may publish chooses an event's name and source."""
    order, trail = recorded("declined")
    hostile = "[/b]\x1b[2J\n:x:"
    event = {**trail[0], "eventType": hostile, "source": hostile, "domainEventId": "made-up"}
    items = [{**item, "name": hostile} for item in order["items"]]
    evidence = OrderView({**order, "paymentMethod": hostile, "items": items}, [*trail, event])

    text = shown([evidence], StringIO())

    assert text.count(r"[/b]\x1b[2J\n:x:") == 4
    assert "\x1b" not in text


def test_an_e_mail_is_shown_literally() -> None:
    file = StringIO()
    message = {
        "To": ["[/a]@example.com"],
        "Subject": "\x1b]0;x\x07[/b]",
        "BodyText": "[bold]Hello\u202e\n\n  a table\n\nBye",
    }

    Terminal(console(file=file, width=80, soft_wrap=True)).emails([message])

    assert file.getvalue().splitlines() == [
        r"✉ to [/a]@example.com: \x1b]0;x\x07[/b]",
        r"  │ [bold]Hello\u202e",
        "  │ Bye",
    ]


@pytest.mark.parametrize("name", RECORDED)
def test_every_line_fits_80_columns(name: str) -> None:
    assert max(map(len, shown([recorded(name)], StringIO()).splitlines())) <= 80


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.title)
def test_why_a_sample_was_placed_fits_80_columns(sample: Sample) -> None:
    [why, _] = heading(
        sample, {**recorded("approved").order, "paymentMethod": sample.payment_method}
    ).plain.splitlines()

    assert len(why) <= 80


def test_an_order_that_the_reconciler_took_up_is_shown_as_such() -> None:
    order, trail = recorded("declined")

    again = lines(OrderView(order, [*trail, {**trail[0], "attempt": 2}]))

    assert [line.function for line in again if line.outcome == "OrderPlacedEvent"] == ["OrderService", "Reconciler"]


def test_an_order_that_the_reconciler_cancelled_is_shown_as_such() -> None:
    order, (placed, cancelled) = recorded("voided")
    timed_out = {**cancelled, "attempt": 1, "data": {**cancelled["data"], "reason": "timed_out"}}

    [line] = [line for line in lines(OrderView(order, [placed, timed_out])) if line.outcome == "OrderCancelledEvent"]

    assert (line.function, line.cause) == ("Reconciler", "still open")


def test_an_event_that_was_published_again_is_one_line() -> None:
    order, trail = recorded("declined")

    assert lines(OrderView(order, [*trail, trail[-1]])) == lines(OrderView(order, trail))


@pytest.mark.parametrize("name", RECORDED)
def test_an_order_that_has_ended_waits_for_nobody(name: str) -> None:
    assert awaited(recorded(name)) == []


def test_a_late_duplicate_or_a_made_up_event_keeps_an_ended_order_from_nothing() -> None:
    order, trail = recorded("approved")
    made_up = {**trail[0], "domainEventId": "made-up", "causationId": "another"}

    assert is_over(order, [*trail, made_up, {"eventType": "OrderPlacedEvent", "timestamp": trail[-1]["timestamp"]}])


def test_a_made_up_event_that_names_its_cause_does_not_end_an_order() -> None:
    """Nobody is awaited any more, as far as the events tell; the order itself has not ended."""
    placed = earlier(recorded("approved"), statuses=1, events=1, without=("payment", "fulfillment", "notification"))
    made_up = {**placed.trail[0], "domainEventId": "made-up", "causationId": placed.trail[0]["domainEventId"]}
    trail = [*placed.trail, {**made_up, "eventType": "MadeUpEvent"}]

    assert awaited(OrderView(placed.order, trail)) == []
    assert not is_over(placed.order, trail)


def test_rows_of_the_audit_log_tell_the_same() -> None:
    order, trail = recorded("approved")
    rows = [{name: value for name, value in event.items() if value is not None} for event in trail]  # as stored

    assert lines(OrderView(order, rows)) == lines(OrderView(order, trail))
    assert is_over(order, rows)


def test_a_status_that_was_overtaken_is_not_awaited() -> None:
    order, trail = recorded("approved")
    placed, _paid, fulfilled = order["statusHistory"]

    assert awaited(OrderView({**order, "statusHistory": [placed, fulfilled]}, trail)) == []


@pytest.mark.parametrize(
    ("name", "statuses", "events", "without", "silent"),
    [
        ("refunded", 1, 1, ("cancellation", "refund", "payment", "notification"), ["PaymentProcessing"]),
        ("refunded", 2, 2, ("refund", "notification"), ["PaymentProcessing", "AuditLogger"]),
        ("refunded", 2, 3, ("refund", "notification"), ["PaymentProcessing", "OrderStatusUpdater", "Notification"]),
        ("refunded", 3, 3, ("refund",), ["PaymentProcessing"]),
        ("refunded", 3, 3, (), ["PaymentProcessing"]),  # the refund is stored, and its event is not published yet
        ("refunded", 3, 4, (), ["OrderStatusUpdater"]),
        ("refunded", 4, 4, ("notification",), ["Notification"]),
        ("refunded", 4, 3, (), ["AuditLogger"]),
        ("voided", 1, 1, ("payment", "notification"), ["PaymentProcessing", "AuditLogger"]),
        ("voided", 1, 1, ("notification",), ["AuditLogger"]),  # OrderPlacedEvent alone led to the void
        ("voided", 2, 2, ("payment",), ["PaymentProcessing"]),
        ("voided", 1, 2, ("notification",), ["OrderStatusUpdater", "Notification"]),
        ("voided", 2, 2, ("notification",), ["Notification"]),
    ],
)
def test_a_cancelled_order_waits_until_its_money_is_settled_and_its_customer_is_notified(
    name: str, statuses: int, events: int, without: tuple[str, ...], silent: list[str]
) -> None:
    cancelled = earlier(recorded(name), statuses=statuses, events=events, without=without)

    assert awaited(cancelled) == silent
    assert not is_over(*cancelled)


@pytest.mark.parametrize("name", ["refunded", "voided"])
def test_a_parcel_is_not_awaited_of_a_cancelled_order(name: str) -> None:
    order, trail = recorded(name)
    paid = {**recorded("refunded").trail[1], "domainEventId": "late"}

    assert "Fulfillment" not in awaited(OrderView({**order, "status": "PAID"}, [*trail, paid]))


@pytest.mark.parametrize(
    ("statuses", "events", "without", "seen", "silent"),
    [
        (1, 0, ("payment", "fulfillment", "notification"), "no event was seen", "AuditLogger"),
        (
            1,
            1,
            ("payment", "fulfillment", "notification"),
            "the last event seen is OrderPlacedEvent, after 0 ms",
            "PaymentProcessing",
        ),
        (
            2,
            2,
            ("fulfillment", "notification"),
            "the last event seen is PaymentCompletedEvent, after 12 ms",
            "Fulfillment",
        ),
        (1, 3, (), "the last event seen is FulfillmentCompletedEvent, after 27 ms", "OrderStatusUpdater"),
        (3, 3, ("notification",), "the last event seen is FulfillmentCompletedEvent, after 27 ms", "Notification"),
        (3, 2, (), "the last event seen is PaymentCompletedEvent, after 12 ms", "AuditLogger"),
    ],
)
def test_a_time_out_says_which_event_was_last_seen_and_which_functions_are_awaited(
    statuses: int, events: int, without: tuple[str, ...], seen: str, silent: str
) -> None:
    stuck = earlier(recorded("approved"), statuses=statuses, events=events, without=without)

    assert shortcoming(APPROVED, stuck, set()) == f"not done after 60 s: {seen}; still awaited: {silent}"


def with_notification(evidence: OrderView, **notification: Any) -> OrderView:
    return OrderView({**evidence.order, "notification": {"channel": "email", **notification}}, evidence.trail)


def test_an_order_ended_well_only_as_expected_and_with_its_email_sent() -> None:
    declined = recorded("declined")
    message_id = declined.order["notification"]["messageId"]
    rejected = with_notification(declined, at=declined.order["notification"]["at"], rejection="MessageRejected")

    assert shortcoming(DECLINED, declined, {message_id}) is None
    assert shortcoming(APPROVED, declined, {message_id}) == "ended as PAYMENT_FAILED, not as FULFILLED"
    assert shortcoming(DECLINED, declined, set()) == f"SES does not know its e-mail, {message_id}"
    assert shortcoming(DECLINED, rejected, set()) == "its e-mail was rejected: MessageRejected"
    assert shortcoming(CHANGE_OF_MIND, recorded("voided"), set()) == "ended as CANCELLED, not as REFUNDED"
    assert lines(rejected)[-1].outcome == "e-mail rejected: MessageRejected"


@pytest.mark.parametrize("event", CONSUMERS)
def test_who_reacts_to_an_event_is_what_serverless_yml_says(event: str) -> None:
    envelope = {"source": EVENTS[event].source, "detail-type": event, "detail": {}}

    reached = {topology.title(function) for function in matching.consumers(envelope)}

    assert reached == {*CONSUMERS[event], "AuditLogger", "OrderFeed"}


def test_a_consumer_that_leaves_no_evidence_is_not_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    paid = earlier(recorded("approved"), statuses=1, events=2, without=("notification", "fulfillment"))
    before = awaited(paid)

    monkeypatch.setitem(CONSUMERS, "PaymentCompletedEvent", [*CONSUMERS["PaymentCompletedEvent"], "Loyalty"])

    assert awaited(paid) == before
