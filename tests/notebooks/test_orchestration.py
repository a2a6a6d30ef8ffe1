"""Notebook 14: its steps charge once and compensate, its evidence is the history's, its lab sees what went wrong."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from notebooks.labs import orchestrated
from notebooks.orchestration import costs, evidence, steps
from notebooks.orchestration.workshop import Execution, rights_of_a_step, rights_of_the_workflow

ORDER = {"orderId": "order-1", "totalAmount": 1290, "paymentMethod": "tok_visa"}
STARTED = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
Rows = dict[str, dict[str, Any]]


class Effects:
    """The table into which the steps write."""

    def __init__(self) -> None:
        self.table = boto3.resource("dynamodb").create_table(
            TableName="effects",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )

    def put(self, item: str, **attributes: Any) -> None:
        self.table.put_item(Item={"id": item, **attributes})

    @property
    def rows(self) -> Rows:
        return {str(row["id"]): row for row in self.table.scan()["Items"]}


@pytest.fixture
def effects(monkeypatch: pytest.MonkeyPatch) -> Iterator[Effects]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("TABLE", "effects")
    steps._dynamodb.cache_clear()
    with mock_aws():
        yield Effects()
    steps._dynamodb.cache_clear()


def pay(order: dict[str, Any] = ORDER, key: str = "order-1") -> dict[str, Any]:
    return steps.take_payment({"order": order, "key": key}, None)


# --- the steps --------------------------------------------------------------------------------------------------------


def test_an_order_that_is_paid_and_shipped_has_one_charge_one_parcel_and_one_mail(effects: Effects) -> None:
    order = steps.notify(steps.ship(pay(), None), None)

    rows = effects.rows
    assert order["payment"]["status"] == "COMPLETED"
    assert rows["ledger/order-1"]["charged"] == 1290
    assert rows["parcel/order-1"]["trackingId"] == order["trackingId"]
    assert rows["mails/order-1"]["mails"] == [f"Your order is on its way: {order['trackingId']}."]


def test_a_charge_whose_response_is_lost_is_not_repeated_under_the_same_key(effects: Effects) -> None:
    effects.put("faults/order-1", faults=["no response"])
    with pytest.raises(steps.GatewayUnavailable):
        pay()
    first = effects.rows["ledger/order-1"]

    assert pay()["payment"]["paymentId"] == first["paymentId"]
    assert effects.rows["ledger/order-1"] == first


def test_a_key_of_its_own_for_each_attempt_charges_twice(effects: Effects) -> None:
    effects.put("faults/order-1", faults=["no response"])
    with pytest.raises(steps.GatewayUnavailable):
        pay(key="order-1-0")
    pay(key="order-1-1")

    assert [effects.rows[f"ledger/order-1-{attempt}"]["charged"] for attempt in (0, 1)] == [1290, 1290]


def test_each_fault_hits_one_call_and_a_gateway_that_is_down_moves_no_money(effects: Effects) -> None:
    effects.put("faults/order-1", faults=["down", "down"])
    for _ in range(2):
        with pytest.raises(steps.GatewayUnavailable):
            pay()
    assert "ledger/order-1" not in effects.rows

    assert pay()["payment"]["status"] == "COMPLETED"


def test_a_declined_card_is_no_error_and_charges_nothing(effects: Effects) -> None:
    order = pay({**ORDER, "paymentMethod": "tok_declined"})

    assert order["payment"]["status"] == "FAILED"
    assert effects.rows["ledger/order-1"]["charged"] == 0


def test_a_question_leaves_its_token(effects: Effects) -> None:
    steps.ask({"order": ORDER, "token": "t-1"}, None)

    assert effects.rows["question/order-1"]["taskToken"] == "t-1"


def test_a_refund_gives_back_what_was_charged_however_often_it_runs(effects: Effects) -> None:
    pay()

    assert [steps.refund(ORDER, None)["refunded"] for _ in range(2)] == [1290, 1290]


def test_a_refund_before_the_charge_makes_sure_that_nothing_is_ever_charged(effects: Effects) -> None:
    assert steps.refund(ORDER, None)["refunded"] == 0

    assert pay()["payment"]["status"] == "FAILED"
    assert effects.rows["ledger/order-1"]["charged"] == 0


def test_a_cancelled_order_is_not_shipped(effects: Effects) -> None:
    effects.put("parcel/order-1", cancelled=True)

    with pytest.raises(steps.OrderCancelled):
        steps.ship(ORDER, None)
    assert "trackingId" not in effects.rows["parcel/order-1"]


def test_a_parcel_that_is_shipped_again_keeps_its_tracking_id(effects: Effects) -> None:
    assert steps.ship(ORDER, None)["trackingId"] == steps.ship(ORDER, None)["trackingId"]


# --- rights -----------------------------------------------------------------------------------------------------------


def test_the_workflow_may_invoke_its_functions_and_do_nothing_else() -> None:
    ours = "arn:aws:lambda:us-east-1:000000000000:function:ours-*"
    assert rights_of_the_workflow(ours) == [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": ours}]


def test_a_step_may_write_to_its_own_table_only() -> None:
    [table] = [each for each in rights_of_a_step("the table") if "dynamodb" in str(each)]
    assert (table["Action"], table["Resource"]) == ("dynamodb:UpdateItem", "the table")


# --- the evidence -----------------------------------------------------------------------------------------------------


def event(milliseconds: int, kind: str, **details: Any) -> dict[str, Any]:
    return {"timestamp": STARTED + timedelta(milliseconds=milliseconds), "type": kind, **details}


def entered(milliseconds: int, state: str, kind: str = "Task") -> dict[str, Any]:
    return event(milliseconds, f"{kind}StateEntered", stateEnteredEventDetails={"name": state})


def failed(milliseconds: int, cause: str) -> dict[str, Any]:
    return event(milliseconds, "TaskFailed", taskFailedEventDetails={"cause": cause})


DOWN = json.dumps({"errorMessage": "the gateway is down", "errorType": "Runtime.HandlerError"})
RETRIED = [
    event(0, "ExecutionStarted"),
    entered(150, "Take payment"),
    event(150, "TaskScheduled"),
    failed(200, DOWN),
    event(1200, "TaskScheduled"),
    event(1300, "TaskSucceeded"),
    entered(1310, "Approved?", "Choice"),
    entered(1320, "Ship"),
    event(1320, "TaskScheduled"),
    event(1400, "TaskSucceeded"),
    event(1410, "ExecutionSucceeded"),
]


def test_the_path_is_the_states_as_they_were_entered() -> None:
    assert evidence.path(RETRIED) == ["Take payment", "Approved?", "Ship"]


def test_each_attempt_has_its_moment() -> None:
    assert evidence.attempts(RETRIED, "Take payment") == [
        "2026-01-31T09:30:00.150+00:00",
        "2026-01-31T09:30:01.200+00:00",
    ]


def test_a_retry_is_a_transition_as_well() -> None:
    assert evidence.transitions(RETRIED) == 4


def test_each_attempt_is_an_invocation() -> None:
    assert evidence.invocations(RETRIED) == 3


def test_a_task_that_timed_out_says_so() -> None:
    waited = [entered(0, "Ask"), event(0, "TaskScheduled"), event(5000, "TaskTimedOut")]
    assert [row["what happened"] for row in evidence.history(waited)] == ["attempt", "timed out"]


def test_the_time_is_that_from_the_first_state_to_the_end() -> None:
    assert evidence.milliseconds(RETRIED) == 1260


def test_the_history_says_what_failed_and_why() -> None:
    assert [row["what happened"] for row in evidence.history(RETRIED)] == [
        "attempt",
        "failed: the gateway is down",
        "attempt",
        "succeeded",
        "decision",
        "attempt",
        "succeeded",
        "the execution has ended: SUCCEEDED",
    ]


def test_as_rows_each_state_is_caused_by_the_one_before() -> None:
    rows = evidence.as_rows(RETRIED)
    assert [row["causationId"] for row in rows] == [None, *(row["domainEventId"] for row in rows[:-1])]


@pytest.mark.parametrize(
    ("cause", "message"), [(DOWN, "the gateway is down"), ("no JSON", "no JSON"), ("[1]", "[1]"), ("{}", "{}")]
)
def test_the_message_of_an_error_is_found_in_its_cause(cause: str, message: str) -> None:
    assert evidence.error_message(cause) == message


def test_an_order_s_time_is_that_from_placing_to_notifying() -> None:
    order = {"placedAt": "2026-01-31T09:30:00.000Z", "notification": {"at": "2026-01-31T09:30:01.250Z"}}
    assert evidence.milliseconds_of_an_order(order) == 1250


# --- the costs --------------------------------------------------------------------------------------------------------


def test_the_costs_by_hand() -> None:
    """Three events at 1.00, a publication at 0.50, three requests of SQS at 0.40; four transitions at 25.00."""
    assert costs.choreographed() == pytest.approx(3 * 1.00 + 0.50 + 3 * 0.40)
    assert costs.standard(4) == 100
    assert costs.invocations() == 9
    assert costs.express(150) == pytest.approx(1.00 + 0.2 * 0.0625 * 16.67)


# --- the lab ----------------------------------------------------------------------------------------------------------

CASES = {case.story: case for case in orchestrated.CASES}
LOST = CASES["the card is charged, and each response is lost"]


def verdict(case: orchestrated.Case, status: str = "SUCCEEDED", **changes: Any) -> str | None:
    execution = Execution("order-1", status, {}, RETRIED)
    return orchestrated.judge(case, execution, {**case.effects, **changes})


@pytest.mark.parametrize("case", orchestrated.CASES, ids=lambda case: case.story)
def test_an_execution_that_ended_as_it_should_is_accepted(case: orchestrated.Case) -> None:
    assert verdict(case) is None


@pytest.mark.parametrize("case", orchestrated.CASES, ids=lambda case: case.story)
def test_a_failed_execution_is_not(case: orchestrated.Case) -> None:
    assert verdict(case, "FAILED")


@pytest.mark.parametrize(
    ("status", "changes", "hint"),
    [
        ("RUNNING", {}, "still running"),
        ("SUCCEEDED", {"charges": 2, "charged": 2580}, "charged 2 times"),
        ("SUCCEEDED", {"refunded": 0}, "has paid and gets nothing"),
        ("FAILED", {"refunded": 0}, "has paid and gets nothing"),
        ("SUCCEEDED", {"mails": 0}, "got 0 e-mails"),
        ("SUCCEEDED", {"shipped": True}, "it ended with"),
        ("FAILED", {}, "after 2 attempts"),
    ],
)
def test_the_hint_says_what_went_wrong(status: str, changes: dict[str, Any], hint: str) -> None:
    assert hint in (verdict(LOST, status, **changes) or "")


def test_no_states_are_no_answer() -> None:
    assert not orchestrated.safe_payment(None, None).right  # type: ignore[arg-type] # as a reader may
