"""The commands of the article, docs/blog.md, do what it says: each block is run as it is there, in its order."""

import os
import re
import shutil
import subprocess

import pytest

from tests.e2e.cloud import Cloud
from tests.e2e.commands import state_of
from tests.e2e.shopper import Shopper
from tests.e2e.waiting import wait_for
from tools.checkout import ROOT

LOCAL_TESTING = (ROOT / "docs" / "blog.md").read_text().split("\n## Local testing\n")[1].split("\n## ")[0]
BLOCKS = re.findall(r"^```bash\n(.*?)^```", LOCAL_TESTING, re.DOTALL | re.MULTILINE)
NOT_HERE = ("npm start\n", "npm run preflight ")
"""How the blocks begin that start a stack, or deploy to AWS."""


def block(words: str) -> str:
    """The one block that has these words, after the shell functions of the others."""
    [found] = [each for each in BLOCKS if words in each]
    functions = "".join(re.findall(r"^\w+\(\) \{(?:[^\n]*\}\n|\n.*?^\}\n)", "".join(BLOCKS), re.DOTALL | re.MULTILINE))
    return functions + str(found)


@pytest.fixture(scope="module")
def order_id(cloud: Cloud, anna: Shopper) -> str:
    """The id of an order that the article's curl command placed, and that has ended."""
    state_of(cloud).token.write_text(anna.tokens["IdToken"])
    placed = run(cloud, block("curl"))
    [order_id] = re.findall(r'^{"orderId":"([^"]+)"', placed)
    anna.ended(order_id)
    return str(order_id)


def run(cloud: Cloud, script: str) -> str:
    """What the script prints in bash. `npm start` would have written to .local; here the state is elsewhere."""
    folder = state_of(cloud).folder
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("./.local/", ".local/").replace(".local/", f"{folder}/")],
        cwd=ROOT,
        env={**os.environ, "ORDER_PROCESSING_STATE_DIR": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_every_block_is_tried() -> None:
    words = ("invoke", "curl", "dynamodb scan", "operations.stack", "logs", "dlq")
    here = [each for each in BLOCKS if not each.startswith(NOT_HERE)]

    assert len(BLOCKS) == len(here) + len(NOT_HERE)
    assert [block(each) for each in words] == [block(each) for each in here]


def test_the_aws_cli_shows_the_order(cloud: Cloud, order_id: str) -> None:
    if not shutil.which("aws"):
        pytest.skip("there is no AWS CLI on this machine")

    assert re.search(rf"{order_id} +\| +FULFILLED +\| +2800 ", run(cloud, block("dynamodb scan")))


def test_boto3_shows_the_audit_log_in_order(cloud: Cloud, order_id: str, anna: Shopper) -> None:
    wait_for("third event", lambda: anna.trail(order_id), lambda trail: len(trail) == 3)

    lines = [line.split() for line in run(cloud, block("operations.stack")).splitlines()]

    assert [event for _, event, order in lines if order == order_id] == [
        "OrderPlacedEvent",
        "PaymentCompletedEvent",
        "FulfillmentCompletedEvent",
    ]
    assert [at for at, *_ in lines] == sorted(at for at, *_ in lines)


def test_the_log_shows_the_payment(cloud: Cloud, order_id: str) -> None:
    logs = run(cloud, block("logs"))

    [line] = [line for line in logs.splitlines() if order_id in line]
    assert '"message":"The payment is COMPLETED"' in line


def test_the_dead_letter_queues_can_be_listed(cloud: Cloud) -> None:
    assert "in the dead-letter queues" in run(cloud, block("dlq"))


def test_a_function_can_be_invoked_with_an_example(cloud: Cloud) -> None:
    assert run(cloud, block("invoke")).splitlines()[-1] == "null"
