"""The floor is the same topology, and does as little as it can; the figures themselves are reported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.checkout import ROOT
from tools.topology import service
from verification.bench import end_to_end

EVENTS = {
    "order_service": ("order-processing.orders", "OrderPlacedEvent"),
    "payment_processing": ("order-processing.payment", "PaymentCompletedEvent"),
    "fulfillment": ("order-processing.fulfillment", "FulfillmentCompletedEvent"),
}

PUBLISHES = """
import sys, json, types
from unittest import mock
import boto3
with mock.patch.object(boto3, "client") as client:
    from handlers import {module}
    answer = {module}.handler({event!r}, None)
    calls = client.return_value.put_events.call_args_list
print(json.dumps([call.kwargs["Entries"] for call in calls]))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return end_to_end.floor(tmp_path_factory.mktemp("floor") / "checkout")


def said(checkout: Path, module: str) -> list[list[dict[str, str]]]:
    event = {"routeKey": "POST /orders", "detail-type": "x", "detail": {"data": {"orderId": "1"}}}
    code = PUBLISHES.format(module=module, event=event)
    environment = {"EVENT_BUS_NAME": "bus"}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=checkout, env=environment, stdout=subprocess.PIPE, check=True
    )
    return json.loads(ran.stdout)  # type: ignore[no-any-return]


def test_the_floor_differs_in_its_handlers_only(checkout: Path) -> None:
    for part in ("serverless.yml", "resources/roles.yml", "resources/messaging.yml", "tools/plugin.js"):
        assert (checkout / part).read_text() == (ROOT / part).read_text()
    modules = {function["handler"].partition(".")[0] + ".py" for function in service()["functions"].values()}
    assert all((checkout / module).exists() for module in modules)
    assert not (checkout / "handlers" / "wiring.py").exists()


@pytest.mark.parametrize("module", EVENTS)
def test_a_function_of_the_floor_publishes_the_next_event_and_does_nothing_else(checkout: Path, module: str) -> None:
    [[entry]] = said(checkout, module)
    assert (entry["Source"], entry["DetailType"]) == EVENTS[module]


@pytest.mark.parametrize("module", ["order_status_updater", "notification", "audit_logger", "reconciler"])
def test_the_others_publish_nothing(checkout: Path, module: str) -> None:
    assert said(checkout, module) == []


def test_what_is_reported_is_the_median_of_the_rounds() -> None:
    assert end_to_end._percentiles([n / 1000 for n in range(1, 102)]) == pytest.approx(
        {"p50": 51, "p95": 96, "p99": 100}
    )
    assert end_to_end._medians([{"p50": 1.0}, {"p50": 9.0}, {"p50": 2.0}]) == {"p50": 2.0}
