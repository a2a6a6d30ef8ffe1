"""What must not happen even for a moment is seen when it happens."""

from collections.abc import Callable
from typing import Any

import pytest

from orders.aws.dynamodb import to_item
from verification.evidence import Charge, Message
from verification.simulation.faults import Fault
from verification.simulation.witness import Witness
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
TOLD = {**SHIPPED, "status": "FULFILLED", "notification": {"channel": "email"}}
CLOSED = {name: value for name, value in TOLD.items() if name not in {"dueAt", "openShard"}}
EVENT = {"id": "e", "detail-type": "PaymentFailedEvent", "detail": {"data": {"orderId": "1"}}}


@pytest.fixture
def world() -> World:
    world = World()
    world.current = Process("paymentProcessing#1", "1")
    return world


@pytest.fixture
def witness(world: World) -> Witness:
    return Witness(world)


def test_a_whole_order_is_no_reason_for_complaint(witness: Witness) -> None:
    witness.wrote("Orders", None, to_item(ORDER))
    for before, after in ((ORDER, PAID), (PAID, {**PAID, "status": "PAID"}), (SHIPPED, TOLD), (TOLD, CLOSED)):
        _change(witness, before, after)
    assert witness.violations == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ORDER, {**ORDER, "totalAmount": 2}, "had its totalAmount changed"),
        (PAID, {**PAID, "payment": {"status": "FAILED"}}, "had its payment changed"),
        (PAID, ORDER, "had its payment changed"),
        (ORDER, {**ORDER, "status": "PAID"}, "went from PLACED to PAID"),
        (PAID, {**PAID, "status": "PAYMENT_FAILED"}, "went from PLACED to PAYMENT_FAILED"),
        (TOLD, {**TOLD, "status": "PAID"}, "went from FULFILLED to PAID"),
        (ORDER, {**ORDER, "fulfillment": {}}, "is shipped and not paid"),
        (ORDER, {name: value for name, value in ORDER.items() if name != "dueAt"}, "was closed too early"),
        (CLOSED, TOLD, "was opened again"),
        (ORDER, {**ORDER, "attempt": 3}, "was counted as taken up"),
        ({**ORDER, "dueAt": "2026-01-31T10:30:00.000Z"}, {**ORDER, "attempt": 2}, "before it was due"),
        ({**ORDER, "statusHistory": [1]}, {**ORDER, "statusHistory": [2]}, "had its history changed"),
    ],
)
def test_a_write_that_must_not_be_is_seen(
    witness: Witness, before: dict[str, Any], after: dict[str, Any], expected: str
) -> None:
    _change(witness, before, after)
    assert [each for each in witness.violations if expected in each], witness.violations


def test_an_order_that_comes_into_being_by_an_update_is_seen(witness: Witness) -> None:
    witness.wrote("Orders", None, to_item({"orderId": "1", "payment": {}}))
    assert "came into being" in witness.violations[0]


def test_a_row_of_the_audit_log_that_is_written_over_is_seen(witness: Witness) -> None:
    witness.wrote("AuditLog", to_item({"eventId": "1"}), to_item({"eventId": "1"}))
    assert witness.violations == ["a row of the audit log was written over"]


@pytest.mark.parametrize(
    "act",
    [
        lambda witness: witness.took(EVENT),
        lambda witness: witness.charged(Charge("1", "p", 1, "EUR")),
        lambda witness: witness.sent(Message("1", "email", "anna@example.com")),
        lambda witness: _change(witness, CLOSED, {**CLOSED, "attempt": 2}),
    ],
    ids=["publishes", "charges", "sends", "writes"],
)
def test_an_invocation_that_does_anything_for_an_order_that_had_ended_is_seen(
    witness: Witness, world: World, act: Callable[[Witness], None]
) -> None:
    witness.began(world.process, "paymentProcessing", [to_item(CLOSED)])
    act(witness)
    assert "had ended when" in " ".join(witness.violations)


def test_a_run_that_publishes_an_order_which_another_run_took_up_is_seen(witness: Witness, world: World) -> None:
    mine, other = Process("reconciler.1#1", ""), Process("reconciler.1b#1", "")
    for run in (mine, other):
        witness.began(run, "reconciler", [])
    witness.wrote("Orders", None, to_item(ORDER))

    world.current = mine
    _change(witness, ORDER, {**ORDER, "attempt": 2})
    witness.took(EVENT)
    assert witness.violations == []

    world.current = other
    witness.took(EVENT)
    assert witness.violations == ["reconciler.1b#1 publishes order 1, which another run took up"]


def test_a_retry_without_end_is_seen(witness: Witness, world: World) -> None:
    for _ in range(20):
        world.process.faults.append(Fault.KEYS_LEFT_OUT)
        witness.failed_inside(world.process, Fault.KEYS_LEFT_OUT)
    assert witness.violations == []
    world.process.faults.append(Fault.KEYS_LEFT_OUT)
    witness.failed_inside(world.process, Fault.KEYS_LEFT_OUT)
    assert "tries again without end" in witness.violations[0]


def test_a_failure_needs_a_fault(witness: Witness, world: World) -> None:
    witness.failed(world.process, ValueError("x"), [EVENT])
    assert witness.violations == ["paymentProcessing#1 failed, and nothing went wrong: ValueError: x"]


def test_a_fault_that_the_sdk_bears_is_no_excuse(witness: Witness, world: World) -> None:
    world.process.faults += [Fault.THROTTLED, Fault.PART_LEFT_OUT]
    witness.failed(world.process, ValueError("x"), [EVENT])
    assert witness.violations


def test_a_forged_event_must_fail(witness: Witness, world: World) -> None:
    witness.forged.add("e")
    witness.succeeded(world.process, [EVENT], "auditLogger", [])
    assert witness.violations == []
    witness.succeeded(world.process, [EVENT], "paymentProcessing", [])
    assert "believed the forged PaymentFailedEvent" in witness.violations[0]


def test_a_step_that_succeeds_without_passing_the_baton_on_is_seen(witness: Witness, world: World) -> None:
    witness.began(world.process, "paymentProcessing", [to_item(ORDER)])
    witness.succeeded(world.process, [EVENT], "paymentProcessing", [to_item(ORDER)])
    assert "did not publish" in witness.violations[0]


def test_a_message_that_the_sdk_sends_twice_is_seen(witness: Witness) -> None:
    for _ in range(2):
        witness.sent(Message("1", "email", "anna@example.com"))
    assert "a second time" in witness.violations[0]


def test_a_message_may_be_repeated_only_after_a_crash_between_sending_and_recording(
    witness: Witness, world: World
) -> None:
    witness.sent(Message("1", "email", "anna@example.com"))
    assert witness.may_repeat() == {}
    world.process.faults.append(Fault.CRASH_BEFORE)
    assert witness.may_repeat() == {("1", "email"): 1}


@pytest.mark.parametrize(
    ("status", "key", "expected"),
    [
        (500, None, "was answered 500"),
        (422, None, "was refused a good order"),
        (200, None, "without an Idempotency-Key"),
    ],
)
def test_an_answer_of_the_api_that_must_not_be_is_seen(
    witness: Witness, world: World, status: int, key: str | None, expected: str
) -> None:
    witness.answered(world.process, key, {"statusCode": status}, {"orderId": "1"})
    assert expected in witness.violations[0]


def test_a_key_that_makes_two_orders_is_seen(witness: Witness, world: World) -> None:
    for order_id in ("1", "2"):
        witness.answered(world.process, "anna key", {"statusCode": 201}, {"orderId": order_id})
    assert "was told twice" in witness.violations[0]
    assert "made a second order" in witness.violations[1]


def _change(witness: Witness, before: dict[str, Any], after: dict[str, Any]) -> None:
    witness.stored["1"] = before
    witness.wrote("Orders", to_item(before), to_item(after))
