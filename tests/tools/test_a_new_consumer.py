"""What a new consumer of an event takes: four files, made here in a copy of the checkout. All else follows by itself.

Loyalty points for each paid order: a handler, its function and trigger in serverless.yml, its role, and its test.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tools.checkout import Checkout
from tools.checkout import ROOT

HANDLER = '''"""Loyalty: PaymentCompletedEvent ─▶ a point for each whole unit of the currency"""

from handlers.edge import consumer
from orders.events import PaymentCompletedEvent
from orders.observability import logger


@consumer
def handler(paid: PaymentCompletedEvent) -> None:
    logger.info("Loyalty points", orderId=paid.order_id, points=paid.data.total_amount // 100)
'''
FUNCTION = """
  loyalty:
    handler: handlers/loyalty.handler
    role: LoyaltyRole
    events:
      - eventBridge:
          eventBus: !Ref EventBus
          pattern: { source: [order-processing.payment], detail-type: [PaymentCompletedEvent] }
          <<: *delivery
    <<: *onFailure
"""
ROLE = """
  LoyaltyRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: *lambda
      Policies:
        - PolicyName: loyalty
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - Effect: Allow
                Action: [logs:CreateLogStream, logs:PutLogEvents]
                Resource: !GetAtt LoyaltyLogGroup.Arn
              - *keepFailedEvents
"""
TEST = '''"""Loyalty points."""

from tests.conftest import Lines
from tests.shop import Shop


def test_a_paid_order_earns_a_point_for_each_euro(shop: Shop, log_lines: Lines) -> None:
    _, placed = shop.placed()
    shop.deliver("paymentProcessing", placed)
    shop.run()
    assert [line["points"] for line in log_lines() if line["message"] == "Loyalty points"] == [28]
'''
FOLLOWS = (
    "tests/unit/test_loyalty.py",
    "tests/wiring/test_layers.py",
    "tests/wiring/test_roles.py",
    "tests/wiring/test_rules.py",
    "tests/wiring/test_declarations.py",
    "tests/local/test_timeline.py",
)
"""Each of these goes by what serverless.yml says, and knows no function by heart."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The copy with the four files, and with the documents' generated parts written again."""
    folder = tmp_path_factory.mktemp("loyalty")
    copy = Checkout(folder)
    for part in ("operations", "local", "verification", "tests", "notebooks", "web", "docs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.ipynb"))
    for part in ("pyproject.toml", "package.json", "README.md"):
        shutil.copy(ROOT / part, folder)
    (folder / "handlers" / "loyalty.py").write_text(HANDLER)
    (folder / "tests" / "unit" / "test_loyalty.py").write_text(TEST)
    _insert(folder / "serverless.yml", before="\npackage:\n", text=FUNCTION)
    _insert(folder / "resources" / "roles.yml", before="", text=ROLE)
    _run(copy, "python", "-m", "notebooks.build.architecture")
    _run(copy, "python", "-m", "cogapp", "-r", "README.md", "docs/blog.md")
    return copy


def test_the_tests_that_go_by_serverless_yml_pass_with_it(checkout: Checkout) -> None:
    _run(checkout, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *FOLLOWS)


def test_its_alarm_and_its_dead_letters_come_with_it(checkout: Checkout) -> None:
    _run(checkout, "sls", "package", "--stage", "dev", "--param", "senderEmail=a@example.com")
    file = checkout.folder / ".serverless" / "cloudformation-template-update-stack.json"
    resources = json.loads(file.read_text())["Resources"]
    assert resources["LoyaltyErrors"]["Properties"]["Dimensions"][0]["Value"] == {"Ref": "LoyaltyLambdaFunction"}
    [rule] = [name for name, each in resources.items() if each["Type"] == "AWS::Events::Rule" and "loyalty" in name]
    assert f'{{"Fn::GetAtt": ["{rule}", "Arn"]}}' in json.dumps(resources["DeadLetterQueuePolicy"])


def test_the_pictures_and_the_page_show_it(checkout: Checkout) -> None:
    assert "Loyalty" in (checkout.folder / "docs" / "architecture.svg").read_text()
    assert "Fulfillment, OrderStatusUpdater, Loyalty" in (checkout.folder / "README.md").read_text()
    flow = json.loads(_run(checkout, "python", "-m", "tools.flow"))
    assert "loyalty" in flow["consumers"]["PaymentCompletedEvent"]


def test_the_simulator_and_chaos_take_it_in(checkout: Checkout) -> None:
    seen = """
from verification.simulation.schedule import run
from tools import topology
outcomes = [run(seed, range(3)) for seed in range(4)]
assert all(outcome.ok for outcome in outcomes), [outcome.violations for outcome in outcomes]
assert any("loyalty" in line.what for outcome in outcomes for line in outcome.trace.lines)
assert "loyalty" in topology.functions()  # through which chaos leads its faults
"""
    _run(checkout, "python", "-c", seen)


def _insert(file: Path, *, before: str, text: str) -> None:
    head, found, tail = file.read_text().partition(before) if before else (file.read_text(), "", "")
    file.write_text(f"{head}{text}{found}{tail}")


def _run(checkout: Checkout, *command: str) -> str:
    done: subprocess.CompletedProcess[str] = checkout.run(*command)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout
