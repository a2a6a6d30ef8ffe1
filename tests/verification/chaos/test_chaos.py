"""`npm run chaos` with ten orders: from the first order to the verdict, and what makes a verdict fail."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError

from local.emulator.ports import free_port
from local.emulator.state import State
from local.terminal.output import Terminal
from operations.screen import console
from operations.stack import Stack, described
from tests.conftest import ENVIRONMENT
from tools.checkout import ROOT
from verification.chaos.run import Chaos

ORDERS, SEED = 10, 3


class Ran(NamedTuple):
    """After everything has healed."""

    verdict: Callable[[], tuple[int, str]]
    """The exit code, and what was printed."""
    stack: Stack


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    state = State(ROOT / ".local" / "test-chaos")
    printed = io.StringIO()
    terminal = Terminal(console(file=printed, width=200))
    with pytest.MonkeyPatch.context() as patch:
        for name in ENVIRONMENT:  # what the other tests run with must not reach the deployed functions
            patch.delenv(name)
        with Chaos(terminal, state, (free_port(), free_port()), orders=ORDERS, seed=SEED)() as verdict:

            def judge() -> tuple[int, str]:
                """With what this verdict printed alone."""
                printed.seek(0)
                printed.truncate()
                return verdict(), printed.getvalue()

            yield Ran(judge, described(json.loads(state.stack.read_text())))


def numbers(text: str, name: str) -> list[int]:
    """Those in a row of the report."""
    [row] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return [int(number) for number in re.findall(r"\d+", row)]


def an_event_of_the_log(stack: Stack) -> dict[str, Any]:
    table = stack.outputs["AuditLogTableName"]
    [item] = stack.client("dynamodb").scan(TableName=table, Limit=1)["Items"]
    return dict(item)


def test_every_promise_holds_though_calls_fail_and_workers_are_killed(ran: Ran) -> None:
    code, report = ran.verdict()

    assert code == 0, report
    assert numbers(report, "orders")[0] == ORDERS
    assert numbers(report, "calls of AWS")[1] > 0, report
    assert numbers(report, "workers killed")[0] > 0, report
    assert sum(numbers(report, "final statuses")) == ORDERS


def test_a_row_that_is_gone_from_the_audit_log_fails_the_run_and_its_order_is_shown(ran: Ran) -> None:
    table, row = ran.stack.outputs["AuditLogTableName"], an_event_of_the_log(ran.stack)
    ran.stack.client("dynamodb").delete_item(TableName=table, Key={key: row[key] for key in ("eventId", "timestamp")})
    try:
        code, report = ran.verdict()
    finally:
        ran.stack.client("dynamodb").put_item(TableName=table, Item=row)

    assert code == 1
    assert f"{row['eventId']['S']} was published, and is not in the audit log" in report
    assert f"What happened to order {row['orderId']['S']}" in report
    assert f"--orders {ORDERS} --seed {SEED}" in report


def test_orders_that_were_altered_fail_the_run(ran: Ran) -> None:
    """All of them are altered: the response to one may have been lost, and then nobody knows what was accepted."""
    dynamodb, table = ran.stack.client("dynamodb"), ran.stack.outputs["OrdersTableName"]
    orders = dynamodb.scan(TableName=table)["Items"]
    for order in orders:
        dynamodb.put_item(TableName=table, Item={**order, "totalAmount": {"N": "1"}})
    try:
        code, report = ran.verdict()
    finally:
        for order in orders:
            dynamodb.put_item(TableName=table, Item=order)

    assert code == 1
    accepted = [order for order in orders if f"order {order['orderId']['S']} was accepted with totalAmount" in report]
    assert len(accepted) == ORDERS - numbers(report, "orders")[2]


def test_the_functions_calls_go_through_the_proxy_and_iam_still_judges_them(ran: Ran) -> None:
    name = ran.stack.function("auditLogger")
    variables = ran.stack.client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    proxy, key = variables["AWS_ENDPOINT_URL"], ran.stack.outputs["accessKeyId"]
    assert proxy != ran.stack.endpoint_url
    stranger = boto3.client(
        "dynamodb", "us-east-1", endpoint_url=proxy, aws_access_key_id=key, aws_secret_access_key="guessed"
    )

    with pytest.raises(ClientError, match="InvalidSignature"):
        stranger.scan(TableName=ran.stack.outputs["OrdersTableName"])


def test_the_proxy_talks_to_this_machine_only(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "verification.chaos.proxy",
        "--upstream",
        "https://dynamodb.us-east-1.amazonaws.com",
    ]
    command += ["--port", "1", "--state", str(tmp_path), "--seed", "1"]
    proxy = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert proxy.returncode == 1
    assert "is not on this machine" in proxy.stderr
