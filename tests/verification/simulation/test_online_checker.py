"""The online checker reports a broken promise when it breaks."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from orders.aws.dynamodb import to_item
from verification.evidence import SentMessage
from verification.simulation.faults import FaultKind
from verification.simulation.online_checker import OnlineChecker
from verification.simulation.world import Process, World

ORDER = {
    "orderId": "1",
    "customerId": "anna",
    "email": "anna@example.com",
    "status": "PLACED",
    "items": [],
    "totalAmount": 1,
    "currency": "EUR",
    "paymentMethod": "tok_visa",
    "placedAt": "2026-01-31T09:30:00.000Z",
    "dueAt": "2026-01-31T09:30:00.000Z",
    "openShard": 1,
    "attempt": 1,
}
PAID = {**ORDER, "payment": {"status": "COMPLETED"}}
SHIPPED = {**PAID, "fulfillment": {"trackingId": "NW1"}}
NOTIFIED = {**SHIPPED, "status": "FULFILLED", "notification": {"channel": "email"}}
CLOSED = {name: value for name, value in NOTIFIED.items() if name not in {"dueAt", "openShard"}}
CHARGED = {
    "idempotencyKey": "1",
    "reference": "1",
    "state": "CHARGED",
    "token": "tok_visa",
    "amount": 1,
    "currency": "EUR",
    "paymentId": "p",
    "requests": 1,
    "charges": 1,
    "refunds": 0,
}
GIVEN_BACK = {**CHARGED, "state": "REFUNDED", "refunds": 1, "refundId": "r"}
NEVER_CHARGED = {**CHARGED, "state": "VOIDED", "charges": 0}
CANCELLED = {**PAID, "cancellation": {"at": "now"}, "status": "CANCELLED"}
REFUND = {"refundId": "r", "amount": 1, "currency": "EUR"}
EVENT = {"id": "e", "detail-type": "OrderPlacedEvent", "detail": {"data": {"orderId": "1"}}}


def _without_due_time(order: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in order.items() if name != "dueAt"}


@pytest.fixture
def world() -> World:
    world = World()
    world.current = Process("paymentProcessing#1", "1").main
    return world


@pytest.fixture
def checker(world: World) -> OnlineChecker:
    return OnlineChecker(world)


def test_an_order_that_keeps_the_promises_is_not_reported(checker: OnlineChecker) -> None:
    checker.wrote("Orders", None, to_item(ORDER))
    checker.wrote("GatewayLedger", None, to_item(CHARGED))
    for before, after in ((ORDER, PAID), (PAID, {**PAID, "status": "PAID"}), (SHIPPED, NOTIFIED), (NOTIFIED, CLOSED)):
        _change(checker, before, after)
    assert checker.violations == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ORDER, {**ORDER, "totalAmount": 2}, "had its totalAmount changed"),
        (PAID, {**PAID, "payment": {"status": "FAILED"}}, "had its payment changed"),
        (PAID, ORDER, "had its payment changed"),
        (ORDER, {**ORDER, "status": "PAID"}, "went from PLACED to PAID"),
        (PAID, {**PAID, "status": "PAYMENT_FAILED"}, "went from PLACED to PAYMENT_FAILED"),
        (NOTIFIED, {**NOTIFIED, "status": "PAID"}, "went from FULFILLED to PAID"),
        (ORDER, {**ORDER, "fulfillment": {}}, "is shipped and not paid"),
        (ORDER, {name: value for name, value in ORDER.items() if name != "dueAt"}, "was closed too early"),
        (CLOSED, NOTIFIED, "was opened again"),
        (ORDER, {**ORDER, "attempt": 3}, "had its attempt changed from 1 to 3"),
        ({**ORDER, "dueAt": "2026-01-31T10:30:00.000Z"}, {**ORDER, "attempt": 2}, "before it was due"),
        ({**ORDER, "statusHistory": [1]}, {**ORDER, "statusHistory": [2]}, "had its history changed"),
    ],
)
def test_a_forbidden_write_is_seen(
    checker: OnlineChecker, before: dict[str, Any], after: dict[str, Any], expected: str
) -> None:
    _change(checker, before, after)
    assert [each for each in checker.violations if expected in each], checker.violations


@pytest.mark.parametrize(
    ("row", "before", "after", "expected"),
    [
        (CHARGED, {**PAID, "cancellation": {}}, {**SHIPPED, "cancellation": {}}, "is shipped and cancelled"),
        (CHARGED, CANCELLED, {**CANCELLED, "cancellation": {"at": "later"}}, "had its cancellation changed"),
        (CHARGED, PAID, {**PAID, "status": "CANCELLED"}, "went from PLACED to CANCELLED"),
        (CHARGED, CANCELLED, {**CANCELLED, "status": "REFUNDED"}, "went from CANCELLED to REFUNDED"),
        (CHARGED, CANCELLED, {**CANCELLED, "refund": REFUND}, "and was refunded 0 times"),
        (GIVEN_BACK, CANCELLED, {**CANCELLED, "refund": {**REFUND, "amount": 2}}, "has a refund of 2"),
        (CHARGED, ORDER, {**ORDER, "payment": {"status": "FAILED"}}, "has the payment FAILED, and was charged 1 times"),
        (NEVER_CHARGED, ORDER, PAID, "has the payment COMPLETED, and was charged 0 times"),
        (NEVER_CHARGED, ORDER, {**ORDER, "payment": {"status": "VOIDED"}}, "is voided and not cancelled"),
        (
            NEVER_CHARGED,
            {**ORDER, "cancellation": {}},
            {**ORDER, "cancellation": {}, "payment": {"status": "FAILED"}},
            "is cancelled and its payment failed",
        ),
        (
            GIVEN_BACK,
            {**CANCELLED, "refund": REFUND, "notification": {}},
            _without_due_time({**CANCELLED, "refund": REFUND, "notification": {}}),
            "was closed too early, as CANCELLED",
        ),
    ],
)
def test_a_write_that_contradicts_the_money_is_seen(
    checker: OnlineChecker, row: dict[str, Any], before: dict[str, Any], after: dict[str, Any], expected: str
) -> None:
    checker.wrote("GatewayLedger", None, to_item(row))
    checker.violations.clear()
    _change(checker, before, after)
    assert [each for each in checker.violations if expected in each], checker.violations


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (NEVER_CHARGED, CHARGED, "went from VOIDED to CHARGED"),
        (None, GIVEN_BACK, "went from None to REFUNDED"),
        (CHARGED, {**CHARGED, "paymentId": "another"}, "forgot the paymentId"),
        (CHARGED, {**CHARGED, "charges": 2}, "was charged 2 times"),
        (GIVEN_BACK, {**GIVEN_BACK, "refunds": 2}, "was refunded or voided against its charges"),
        (CHARGED, {**CHARGED, "state": "VOIDED"}, "was refunded or voided against its charges"),
    ],
)
def test_a_provider_that_breaks_its_word_is_seen(
    checker: OnlineChecker, before: dict[str, Any] | None, after: dict[str, Any], expected: str
) -> None:
    if before:
        checker.wrote("GatewayLedger", None, to_item(before))
    checker.wrote("GatewayLedger", before and to_item(before), to_item(after))
    assert [each for each in checker.violations if expected in each], checker.violations


def test_a_second_charge_under_a_fresh_key_is_seen(checker: OnlineChecker) -> None:
    for key in ("1", "fresh"):
        checker.wrote("GatewayLedger", None, to_item({**CHARGED, "idempotencyKey": key}))
    assert checker.violations == ["order 1 was charged 2 times and refunded 0 times"]


def test_a_provider_that_is_asked_about_a_settled_order_is_seen(checker: OnlineChecker, world: World) -> None:
    checker.stored["1"] = PAID
    checker.began(world.process, "paymentProcessing", [to_item(PAID)])
    checker.wrote("GatewayLedger", to_item(CHARGED), to_item({**CHARGED, "requests": 2}))
    assert "which calls the gateway again" in checker.violations[0]


def test_an_order_that_was_cancelled_and_refunded_meanwhile_may_be_asked_about_again(
    checker: OnlineChecker, world: World
) -> None:
    """An invocation read the order while it was cancelled and not refunded yet."""
    checker.stored["1"] = PAID
    checker.wrote("GatewayLedger", None, to_item(CHARGED))
    checker.began(world.process, "paymentProcessing", [to_item(PAID)])
    _change(checker, PAID, CANCELLED)
    checker.wrote("GatewayLedger", to_item(CHARGED), to_item(GIVEN_BACK))
    _change(checker, CANCELLED, {**CANCELLED, "refund": REFUND})

    checker.wrote("GatewayLedger", to_item(GIVEN_BACK), to_item({**GIVEN_BACK, "requests": 2}))
    assert checker.violations == []


@pytest.mark.parametrize(
    ("order", "status", "expected"),
    [
        (ORDER, 202, "got a 202, and order 1 has None"),
        (CANCELLED, 409, "got a 409, and order 1 has"),
        (ORDER, 404, "got a 404 for the cancellation of its order"),
        (ORDER, 500, "got a 500, though nothing went wrong"),
    ],
)
def test_a_wrong_response_to_a_cancellation_is_seen(
    checker: OnlineChecker, world: World, order: dict[str, Any], status: int, expected: str
) -> None:
    checker.stored["1"] = order
    checker.cancellation_responded(world.process, {"statusCode": status}, "1")
    assert expected in checker.violations[0]


def test_a_run_that_publishes_a_cancelled_order_as_placed_is_seen(checker: OnlineChecker, world: World) -> None:
    world.current = Process("reconciler.1#1", "").main
    checker.began(world.process, "reconciler", [])
    _change(checker, CANCELLED, {**CANCELLED, "attempt": 2})
    checker.event_accepted({**EVENT, "detail-type": "OrderPlacedEvent"})
    assert checker.violations == ["reconciler.1#1 publishes OrderPlacedEvent, not OrderCancelledEvent"]


@pytest.mark.parametrize(
    ("function", "now", "reason", "expected"),
    [
        ("orderService", 7200, "timed_out", ["orderService#1 cancelled order 1 with the reason of another"]),
        ("reconciler", 7200, "customer_request", ["reconciler#1 cancelled order 1 with the reason of another"]),
        ("reconciler", 3599, "timed_out", ["order 1 timed out before its deadline"]),
        ("reconciler", 3600, "timed_out", []),
        ("orderService", 1, "customer_request", []),
    ],
)
def test_a_cancellation_for_the_wrong_reason_is_seen(
    checker: OnlineChecker, world: World, function: str, now: float, reason: str, expected: list[str]
) -> None:
    checker.cancel_after = timedelta(hours=1)
    world.now, world.current = now, Process(f"{function}#1", "1").main
    checker.began(world.process, function, [])
    _change(checker, ORDER, {**ORDER, "cancellation": {"reason": reason}})
    assert checker.violations == expected


def test_a_time_out_without_any_deadline_is_seen(checker: OnlineChecker, world: World) -> None:
    checker.began(world.process, "reconciler", [])
    _change(checker, ORDER, {**ORDER, "cancellation": {"reason": "timed_out"}})
    assert checker.violations == ["order 1 timed out before its deadline"]


@pytest.mark.parametrize(
    ("started", "order", "seen"),
    [
        (3601, ORDER, True),
        (3600, ORDER, False),  # its clock may be behind
        (3601, {**ORDER, "payment": {"status": "FAILED"}}, False),
        (3601, SHIPPED, False),
        (3601, CANCELLED, False),
    ],
)
def test_a_run_that_leaves_an_order_open_after_its_deadline_is_seen(
    checker: OnlineChecker, world: World, started: float, order: dict[str, Any], seen: bool
) -> None:
    checker.cancel_after = timedelta(hours=1)
    world.now = world.process.started = started
    checker.began(world.process, "reconciler", [])
    _change(checker, order, {**order, "attempt": 2})
    assert checker.violations == ["paymentProcessing#1 left order 1 open after its deadline"] * seen


@pytest.mark.parametrize(
    ("order", "text", "seen"),
    [
        (SHIPPED, "On its way: tracking number NW1.", False),
        (SHIPPED, "Order 1 is cancelled.", True),
        (CANCELLED, "Order 1 is cancelled.", False),
        (CANCELLED, "We cancelled it. Nothing was charged.", True),
        ({**ORDER, "payment": {"status": "FAILED"}}, "Nothing was charged.", False),
        ({**ORDER, "payment": {"status": "FAILED"}}, "Thank you!", True),
    ],
)
def test_a_message_about_another_end_is_seen(
    checker: OnlineChecker, order: dict[str, Any], text: str, seen: bool
) -> None:
    checker.stored["1"] = order
    checker.check_text("1", text)
    assert ["gets a message about" in each for each in checker.violations] == [True] * seen


def test_an_order_that_is_created_by_an_update_is_seen(checker: OnlineChecker) -> None:
    checker.wrote("Orders", None, to_item({"orderId": "1", "payment": {}}))
    assert "was created as" in checker.violations[0]


def test_a_row_of_the_audit_log_that_is_overwritten_is_seen(checker: OnlineChecker) -> None:
    checker.wrote("AuditLog", to_item({"eventId": "1"}), to_item({"eventId": "1"}))
    assert checker.violations == ["a row of the audit log was overwritten"]


@pytest.mark.parametrize(
    "act",
    [
        lambda checker: checker.event_accepted(EVENT),
        lambda checker: checker.wrote("GatewayLedger", None, to_item(CHARGED)),
        lambda checker: checker.sent(SentMessage("1", "email", "anna@example.com")),
        lambda checker: _change(checker, CLOSED, {**CLOSED, "attempt": 2}),
    ],
    ids=["publishes", "charges", "sends", "writes"],
)
def test_an_invocation_that_does_anything_for_an_order_that_had_ended_is_seen(
    checker: OnlineChecker, world: World, act: Callable[[OnlineChecker], None]
) -> None:
    checker.stored["1"] = CLOSED
    checker.began(world.process, "paymentProcessing", [to_item(CLOSED)])
    act(checker)
    assert "had ended when" in " ".join(checker.violations)


def test_a_run_that_publishes_what_another_run_reconciled_is_seen(checker: OnlineChecker, world: World) -> None:
    mine, other = Process("reconciler.1#1", ""), Process("reconciler.1b#1", "")
    for run in (mine, other):
        checker.began(run, "reconciler", [])
    checker.wrote("Orders", None, to_item(ORDER))

    world.current = mine.main
    _change(checker, ORDER, {**ORDER, "attempt": 2})
    checker.event_accepted(EVENT)
    assert checker.violations == []

    world.current = other.main
    checker.event_accepted(EVENT)
    assert checker.violations == ["reconciler.1b#1 publishes order 1, which another run reconciled"]


def test_a_retry_without_end_is_seen(checker: OnlineChecker, world: World) -> None:
    for _ in range(20):
        world.process.faults.append(FaultKind.KEYS_LEFT_OUT)
        checker.retries(world.process, FaultKind.KEYS_LEFT_OUT)
    assert checker.violations == []
    world.process.faults.append(FaultKind.KEYS_LEFT_OUT)
    checker.retries(world.process, FaultKind.KEYS_LEFT_OUT)
    assert "retries without end" in checker.violations[0]


def test_a_failure_needs_a_fault(checker: OnlineChecker, world: World) -> None:
    checker.failed(world.process, ValueError("x"), [EVENT])
    assert checker.violations == ["paymentProcessing#1 failed, and nothing went wrong: ValueError: x"]


def test_a_fault_that_the_sdk_retries_is_no_excuse(checker: OnlineChecker, world: World) -> None:
    world.process.faults += [FaultKind.THROTTLED, FaultKind.PART_LEFT_OUT]
    checker.failed(world.process, ValueError("x"), [EVENT])
    assert checker.violations


def test_a_forged_event_must_fail(checker: OnlineChecker, world: World) -> None:
    checker.forged.add("e")
    checker.succeeded(world.process, [EVENT], "auditLogger")
    assert checker.violations == []
    checker.succeeded(world.process, [EVENT], "paymentProcessing")
    assert "accepted the forged OrderPlacedEvent" in checker.violations[0]


def test_a_step_that_succeeds_without_publishing_the_next_event_is_seen(checker: OnlineChecker, world: World) -> None:
    checker.wrote("Orders", None, to_item(ORDER))
    checker.began(world.process, "paymentProcessing", [to_item(ORDER)])
    checker.succeeded(world.process, [EVENT], "paymentProcessing")
    assert "did not publish" in checker.violations[0]


def test_a_message_that_the_sdk_sends_twice_is_seen(checker: OnlineChecker) -> None:
    for _ in range(2):
        checker.sent(SentMessage("1", "email", "anna@example.com"))
    assert "a second time" in checker.violations[0]


def test_a_message_may_be_repeated_only_after_a_crash_between_sending_and_recording(
    checker: OnlineChecker, world: World
) -> None:
    checker.sent(SentMessage("1", "email", "anna@example.com"))
    assert checker.may_repeat() == {}
    world.process.faults.append(FaultKind.CRASH_BEFORE)
    assert checker.may_repeat() == {("1", "email"): 1}


@pytest.mark.parametrize(
    ("status", "key", "expected"),
    [
        (500, None, "got a 500"),
        (422, None, "got a 422 for a valid order"),
        (200, None, "without an Idempotency-Key"),
    ],
)
def test_a_wrong_response_of_the_api_is_seen(
    checker: OnlineChecker, world: World, status: int, key: str | None, expected: str
) -> None:
    checker.responded(world.process, key, {"statusCode": status}, {"orderId": "1"})
    assert expected in checker.violations[0]


def test_a_key_that_makes_two_orders_is_seen(checker: OnlineChecker, world: World) -> None:
    for order_id in ("1", "2"):
        checker.responded(world.process, "anna key", {"statusCode": 201}, {"orderId": order_id})
    assert "got a second 201" in checker.violations[0]
    assert "made a second order" in checker.violations[1]


def _change(checker: OnlineChecker, before: dict[str, Any], after: dict[str, Any]) -> None:
    checker.stored["1"] = before
    checker.wrote("Orders", to_item(before), to_item(after))
