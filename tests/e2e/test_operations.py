"""The operator's commands on the deployed stack: what they show, what they send on its way, and what they leave."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from local.emulator.ports import free_port
from operations.dead_letters import DeadLetter, dead_letters, purge, redrive
from operations.healing import OrderNow, orders_now
from operations.ledger import compare
from operations.replay import replay_order, replay_span
from operations.stack import Stack, stack_name
from operations.targets import Targets
from tests.e2e.cloud import Cloud
from tests.e2e.commands import command
from tests.e2e.operator import PREFLIGHT, operator, without
from tests.e2e.shopper import Shopper, envelope_of
from tests.e2e.waiting import wait_for
from tools.checkout import ROOT

STACK = stack_name("local")


@pytest.fixture(scope="module")
def stack(cloud: Cloud) -> Stack:
    """The deployed stack as an operator has it, with no dead letters of other tests."""
    session = boto3.Session(
        cloud.stack["accessKeyId"], cloud.stack["secretAccessKey"], region_name=cloud.stack["region"]
    )
    found = Stack("local", session, cloud.stack["endpointUrl"], cloud.stack)
    purge(found)
    return found


def failed_order(cloud: Cloud, anna: Shopper, stack: Stack) -> tuple[str, DeadLetter]:
    """An order that came while the gateway was down, and its dead letter. The gateway is up again."""
    with cloud.environment("paymentProcessing", PAYMENT_GATEWAY="down"):
        order_id = str(anna.place().json()["orderId"])
        [letter] = wait_for("dead letter", lambda: letters_of(stack, order_id))
    return order_id, letter


def event_types(stack: Stack) -> list[str]:
    return [letter.event_type for letter in dead_letters(stack)]


def letters_of(stack: Stack, order_id: str) -> list[DeadLetter]:
    return [letter for letter in dead_letters(stack) if letter.order_id == order_id]


def test_a_dead_letter_is_listed_with_its_reason_until_a_redrive_completes_the_order(
    cloud: Cloud, anna: Shopper, stack: Stack
) -> None:
    order_id, letter = failed_order(cloud, anna, stack)

    assert (letter.event_type, letter.consumer) == ("OrderPlacedEvent", f"{STACK}-paymentProcessing")
    assert letter.reason.startswith("the payment gateway does not respond")
    for _ in range(2):
        shown = command(cloud, "operations.dlq", "list").stdout
        now = "(open, PLACED|healed, FULFILLED)"  # the reconciler may be faster than this machine
        assert re.search(rf"OrderPlacedEvent ─▶ paymentProcessing +{order_id} +{now} +the payment gateway", shown)

    ran = command(cloud, "operations.dlq", "redrive")

    assert ran.returncode == 0, ran.stderr
    assert "1 delivered again\n" in ran.stdout
    assert anna.ended(order_id)["status"] == "FULFILLED"
    assert letters_of(stack, order_id) == []
    placed = [entry for entry in anna.whole_trail(order_id) if entry["eventType"] == "OrderPlacedEvent"]
    assert len({entry["attempt"] for entry in placed}) == len(placed), "a redrive publishes nothing"


def test_a_redrive_that_is_interrupted_loses_nothing(
    cloud: Cloud, anna: Shopper, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = [failed_order(cloud, anna, stack)[1] for _ in range(2)]
    deliver = Targets.deliver

    def deliver_first(self: Targets, target: str, payload: str) -> None:
        if letters[0].payload != payload:
            raise KeyboardInterrupt
        deliver(self, target, payload)

    monkeypatch.setattr(Targets, "deliver", deliver_first)
    with pytest.raises(KeyboardInterrupt):
        list(redrive(stack, letters))
    monkeypatch.undo()

    assert letters[1] in dead_letters(stack)
    assert letters[1] in list(redrive(stack, letters))
    assert [letter for letter in dead_letters(stack) if letter in letters] == []
    assert {anna.ended(letter.order_id)["status"] for letter in letters} == {"FULFILLED"}


def test_what_eventbridge_could_not_deliver_goes_to_its_target(cloud: Cloud, anna: Shopper, stack: Stack) -> None:
    # given: a made-up dead letter in the shape of EventBridge's, since the emulator makes none
    order_id = str(anna.place().json()["orderId"])
    anna.ended(order_id)
    before = cloud.invocations("fulfillment")
    paid = next(entry for entry in anna.whole_trail(order_id) if entry["eventType"] == "PaymentCompletedEvent")
    function = cloud.client("lambda").get_function_configuration(FunctionName=stack.function("fulfillment"))
    attributes = {
        "TARGET_ARN": function["FunctionArn"],
        "ERROR_MESSAGE": "no permission",
        "ERROR_CODE": "NO_PERMISSIONS",
    }
    cloud.client("sqs").send_message(
        QueueUrl=stack.outputs["DeadLetterQueueUrl"],
        MessageBody=json.dumps(envelope_of(paid)),
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )

    [letter] = [letter for letter in redrive(stack) if letter.order_id == order_id]

    assert (letter.target, letter.reason) == (function["FunctionArn"], "no permission")
    wait_for("invocation of fulfillment", lambda: cloud.invocations("fulfillment") > before)


def test_what_notification_gave_up_goes_to_its_queue(cloud: Cloud, anna: Shopper, stack: Stack) -> None:
    order_id = str(anna.place().json()["orderId"])
    anna.ended(order_id)
    before = cloud.invocations("notification")
    last = anna.whole_trail(order_id)[-1]
    cloud.client("sqs").send_message(
        QueueUrl=stack.outputs["NotificationDeadLetterQueueUrl"], MessageBody=json.dumps(envelope_of(last))
    )

    [letter] = [letter for letter in redrive(stack) if letter.order_id == order_id]

    assert letter.target == stack.outputs["NotificationQueueUrl"]
    wait_for("invocation of notification", lambda: cloud.invocations("notification") > before)
    assert len(anna.inbox_of(order_id)) == 1, "the customer was notified before"


def test_a_purge_asks_first(cloud: Cloud, stack: Stack) -> None:
    cloud.client("sqs").send_message(
        QueueUrl=stack.outputs["DeadLetterQueueUrl"], MessageBody=json.dumps({"detail-type": "Poison"})
    )

    refused = command(cloud, "operations.dlq", "purge", answer="no\n")
    assert (refused.returncode, "Poison" in event_types(stack)) == (1, True)

    done = command(cloud, "operations.dlq", "purge", answer="yes\n")
    assert (done.returncode, "Poison" in event_types(stack)) == (0, False)


def test_a_replay_of_one_order_reaches_its_consumers_and_changes_nothing(
    cloud: Cloud, anna: Shopper, stack: Stack
) -> None:
    order_id = str(anna.place().json()["orderId"])
    order, trail = anna.ended(order_id), anna.whole_trail(order_id)
    before = {name: cloud.invocations(name) for name in ("paymentProcessing", "fulfillment")}

    deliveries = list(replay_order(stack, order_id))

    reached = [each.target.rpartition("-")[2] for each in deliveries if each.event_type == "OrderPlacedEvent"]
    assert sorted(reached) == ["orderFeed", "paymentProcessing"]
    wait_for("invocation of both", lambda: all(cloud.invocations(name) > before[name] for name in before))
    assert anna.order(order_id) == order
    assert anna.trail(order_id) == trail
    assert len(anna.inbox_of(order_id)) == 1


def test_a_replay_of_a_span_of_time_ends_and_changes_nothing(cloud: Cloud, anna: Shopper, stack: Stack) -> None:
    order_id = str(anna.place().json()["orderId"])
    order, trail = anna.ended(order_id), anna.whole_trail(order_id)
    before = cloud.invocations("paymentProcessing")

    progress = list(replay_span(stack, datetime.now(UTC) - timedelta(minutes=1), datetime.now(UTC)))

    assert progress[-1].state == "COMPLETED"
    wait_for("replayed event", lambda: cloud.invocations("paymentProcessing") > before)
    assert anna.order(order_id) == order
    assert anna.trail(order_id) == trail
    assert len(anna.inbox_of(order_id)) == 1


def test_an_order_is_found_in_upper_case_and_an_unknown_one_is_one_line(
    cloud: Cloud, anna: Shopper, stack: Stack
) -> None:
    order_id = str(anna.place().json()["orderId"])
    anna.ended(order_id)
    unknown = str(uuid4())

    found = command(cloud, "operations.replay", "--order", order_id.upper())
    missed = command(cloud, "operations.replay", "--order", unknown.upper())

    assert found.returncode == 0, found.stderr
    assert f"✓ OrderPlacedEvent ─▶ {STACK}-paymentProcessing\n" in found.stdout
    assert (missed.returncode, missed.stdout) == (1, "")
    assert re.fullmatch(f"the audit log has no order {unknown}; its number .*\n", missed.stderr)


def test_whatever_lies_in_the_queue_is_listed_delivered_where_it_says_so_and_purged(cloud: Cloud, stack: Stack) -> None:
    purge(stack)  # what other tests leave behind
    url, target = stack.outputs["DeadLetterQueueUrl"], stack.function("gone")
    function = f"arn:aws:lambda:{stack.outputs['region']}:000000000000:function:{target}:$LATEST"
    record = {"requestContext": {"functionArn": function}, "requestPayload": [1, 2], "responsePayload": "[/b]\x1b[2J"}
    for body in (json.dumps(record), "no JSON", '{"requestPayload": null}'):
        cloud.client("sqs").send_message(QueueUrl=url, MessageBody=body)

    listed = command(cloud, "operations.dlq", "list")
    redriven = command(cloud, "operations.dlq", "redrive")
    purged = command(cloud, "operations.dlq", "purge", answer="yes\n")

    assert (listed.returncode, redriven.returncode, purged.returncode) == (0, 1, 0), redriven.stderr
    assert re.search(r"- ─▶ gone +- +- +\[/b\]\\x1b\[2J", listed.stdout), listed.stdout
    assert listed.stdout.endswith("3 in the dead-letter queues: 3 of no order\n")
    assert redriven.stdout.endswith("0 delivered again, 3 left in the queue\n")
    assert len(redriven.stderr.splitlines()) == 3
    assert purged.stdout.endswith("3 deleted\n")
    assert dead_letters(stack) == []


def test_orders_agree_with_the_ledger_until_one_is_changed_by_hand(cloud: Cloud, anna: Shopper) -> None:
    """Other tests put orders into the table by hand, which differ: so only these are looked at."""
    orders = [anna.ended_order(), anna.ended_order(paymentMethod="tok_declined")]
    orders += [anna.cancelled_order(is_charged=is_charged) for is_charged in (False, True)]
    order_ids = [str(order["orderId"]) for order in orders]
    assert [order["status"] for order in orders] == ["FULFILLED", "PAYMENT_FAILED", "CANCELLED", "REFUNDED"]

    agreeing = command(cloud, "operations.ledger")
    item = cloud.item(order_ids[0])
    assert item
    cloud.store({**item, "totalAmount": {"N": "1"}})
    try:
        differing = command(cloud, "operations.ledger")
        left_out = command(cloud, "operations.ledger", "--since", orders[1]["placedAt"])
    finally:
        cloud.store(item)

    assert [order_id for order_id in order_ids if order_id in agreeing.stdout] == []
    assert re.search(r"^refunded +[1-9]\d* +\d+\.\d\d EUR *$", agreeing.stdout, re.MULTILINE)
    assert differing.returncode == 1
    assert f"✗ order {order_ids[0]}: charged another amount than the order's\n    order:  FULFILLED" in differing.stdout
    assert re.fullmatch(r"\d+ differences; how to look closer: docs/runbook\.md#[a-z-]+\n", differing.stderr)
    assert order_ids[0] not in left_out.stdout


def test_an_operator_who_may_only_read_sees_orders_and_ledger(cloud: Cloud, anna: Shopper) -> None:
    order_id = str(anna.ended_order()["orderId"])
    item = cloud.item(order_id)
    assert item
    cloud.store({**item, "totalAmount": {"N": "1"}})
    try:
        with operator(cloud, PREFLIGHT) as somebody:
            assert order_id in {each.order_id for each in compare(somebody).differences}
            assert orders_now(somebody, [order_id]) == {order_id: OrderNow("FULFILLED", has_healed=True)}
        blind = without(PREFLIGHT, "dynamodb:BatchGetItem")
        with operator(cloud, blind) as nobody, pytest.raises(ClientError, match="dynamodb:BatchGetItem"):
            orders_now(nobody, [order_id])
        for action in ("dynamodb:Scan", "dynamodb:GetItem"):
            with operator(cloud, without(PREFLIGHT, action)) as nobody, pytest.raises(ClientError, match=action):
                compare(nobody)
    finally:
        cloud.store(item)


def test_a_stack_that_has_died_is_one_line(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Killed, it leaves its description behind."""
    folder = tmp_path_factory.mktemp("died")
    description = {**cloud.stack, "endpointUrl": f"http://127.0.0.1:{free_port()}"}
    (folder / "stack.json").write_text(json.dumps(description))

    for arguments in (["dlq", "list"], ["ledger"], ["replay", "--order", "x"], ["break_it", "gateway"]):
        ran = subprocess.run(
            [sys.executable, "-m", f"operations.{arguments[0]}", *arguments[1:], "--stage", "local"],
            cwd=ROOT,
            env={**os.environ, "ORDER_PROCESSING_STATE_DIR": str(folder)},
            capture_output=True,
            text=True,
        )
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.startswith("no response from the local stack (is npm start still running?): ")
        assert ran.stderr.count("\n") == 1


def test_a_stage_that_is_not_there_is_one_line(tmp_path_factory: pytest.TempPathFactory) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "operations.dlq", "list", "--stage", "local"],
        cwd=ROOT,
        env={**os.environ, "ORDER_PROCESSING_STATE_DIR": str(tmp_path_factory.mktemp(str(uuid4())))},
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 1
    assert ran.stderr == "no local stack is running; start one with: npm start\n"
