"""Ten thousand dead letters, by the operator's commands: each tells how many seconds it took.

`npm test` leaves it out, `.ci/long` runs it: `npm test -- -rP tests/e2e/test_ten_thousand_letters.py`.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any
from uuid import uuid4

import pytest

from operations.dead_letters import dead_letters, redrive
from operations.healing import orders_now
from operations.stack import Stack, described
from orders.aws.dynamodb import Item, to_item
from tests.e2e.cloud import Cloud
from tests.e2e.commands import command, state_of
from tests.e2e.conftest import Outage
from tests.e2e.shopper import Shopper, envelope_of
from tests.e2e.waiting import wait_for
from tools.checkout import ROOT

LETTERS, OPEN = 10_000, 100
ALL = "10,000 in the dead-letter queues: 9,900 of orders that have healed since, 100 of orders that are open\n"


@pytest.fixture(scope="module")
def stack(cloud: Cloud) -> Stack:
    return described(cloud.stack)


@pytest.fixture
def order_ids(cloud: Cloud, anna: Shopper, outage: Outage, stack: Stack) -> list[str]:
    """Orders of an outage, with a dead letter of PaymentProcessing for each. Most have healed; the first are open."""
    list(redrive(stack))  # the outage's own
    anna.ended(outage.order_id)
    healed, waiting = cloud.item(outage.order_id), outage.item_meanwhile
    assert healed
    not_due = to_item({"dueAt": "2999-01-01T00:00:00.000Z"})  # so that no reconciler heals them meanwhile
    order_ids = [str(uuid4()) for _ in range(LETTERS)]
    put_items(
        cloud,
        (
            {
                **(waiting if number < OPEN else healed),
                **to_item({"orderId": order_id}),
                **(not_due if number < OPEN else {}),
            }
            for number, order_id in enumerate(order_ids)
        ),
    )
    [placed, *_] = (each for each in anna.whole_trail(outage.order_id) if each["eventType"] == "OrderPlacedEvent")
    name = stack.function("paymentProcessing")
    arn = cloud.client("lambda").get_function_configuration(FunctionName=name)["FunctionArn"]
    record = json.dumps(
        {
            "requestContext": {"functionArn": f"{arn}:$LATEST", "condition": "RetriesExhausted"},
            "requestPayload": envelope_of(placed),
            "responsePayload": {"errorMessage": "the payment gateway does not respond"},
        }
    )
    put_messages(cloud, (record.replace(outage.order_id, order_id) for order_id in order_ids))
    return order_ids


def put_items(cloud: Cloud, items: Iterable[Item]) -> None:
    table, dynamodb = cloud.stack["OrdersTableName"], cloud.client("dynamodb")

    def put(batch: list[Item]) -> None:
        written = dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in batch]})
        assert not written["UnprocessedItems"]

    at_once(put, items, 25)


def put_messages(cloud: Cloud, bodies: Iterable[str]) -> None:
    url, sqs = cloud.stack["DeadLetterQueueUrl"], cloud.client("sqs")

    def send(batch: list[str]) -> None:
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)]
        assert not sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")

    at_once(send, bodies, 10)


def at_once(put: Callable[[list[Any]], None], things: Iterable[Any], most: int) -> None:
    left = iter(things)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, iter(lambda: list(islice(left, most)), [])))


def timed(cloud: Cloud, *arguments: str) -> "subprocess.CompletedProcess[str]":
    started = time.monotonic()
    ran = command(cloud, "operations.dlq", *arguments)
    print(f"dlq {' '.join(arguments)}: {LETTERS:,} letters in {time.monotonic() - started:.0f} s")
    return ran


def test_they_are_listed_and_a_redrive_heals_every_order(
    cloud: Cloud, stack: Stack, order_ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    listed = timed(cloud, "list")
    redriven = timed(cloud, "redrive")

    assert (listed.returncode, redriven.returncode) == (0, 0), listed.stderr + redriven.stderr
    assert listed.stdout.endswith(ALL)
    assert (
        len(re.findall(r"^✓ OrderPlacedEvent of order .{36} ─▶ paymentProcessing$", redriven.stdout, re.M)) == LETTERS
    )
    assert "\n10,000 delivered again\n" in redriven.stdout
    assert dead_letters(stack) == []
    wait_for(
        "end of every order",
        lambda: [order for order in orders_now(stack, order_ids).values() if not order.has_healed],
        lambda waiting: not waiting,
    )


def test_they_are_shown_and_purged(cloud: Cloud, stack: Stack, order_ids: list[str]) -> None:
    purged = timed(cloud, "purge", "--yes")

    assert purged.returncode == 0, purged.stderr
    assert purged.stdout.endswith(f"{ALL}10,000 deleted\n")
    assert dead_letters(stack) == []


def test_a_redrive_that_ctrl_c_stops_goes_on_when_it_is_repeated(
    cloud: Cloud, stack: Stack, order_ids: list[str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "operations.dlq", "redrive", "--stage", "local"],
        cwd=ROOT,
        env={**os.environ, "ORDER_PROCESSING_STATE_DIR": str(state_of(cloud).folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        for _ in islice(process.stdout, 1_000):
            """It delivers meanwhile."""
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()

    left = {letter.order_id for letter in dead_letters(stack)}
    [done] = re.findall(
        r"^at least ([\d,]+) of 10,000 were delivered again and deleted; .* Repeat the command", said, re.M
    )
    assert (process.returncode, said.endswith("\nstopped\n")) == (130, True), said
    assert 1_000 <= int(done.replace(",", "")) <= LETTERS - len(left) < LETTERS
    repeated = command(cloud, "operations.dlq", "redrive")
    assert f"\n{len(left):,} delivered again\n" in repeated.stdout
    assert dead_letters(stack) == []
