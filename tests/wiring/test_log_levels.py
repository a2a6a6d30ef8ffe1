"""Whatever log level is chosen, the metrics and the errors reach CloudWatch through Lambda's log filter."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from orders.errors import GatewayUnavailable
from orders.observability import set_level
from tests.conftest import Lines
from tests.shop import Shop
from tools import topology

LAMBDA_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
RFC_3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"


def passes(line: dict[str, Any], lowest: str) -> bool:
    """Lambda's filter as AWS documents it: a line without a level that it knows, or a timestamp, counts as INFO.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    """
    level = line.get("level")
    if level not in LAMBDA_LEVELS or not re.fullmatch(RFC_3339, str(line.get("timestamp"))):
        level = "INFO"
    return LAMBDA_LEVELS.index(level) >= LAMBDA_LEVELS.index(lowest)


@pytest.fixture(params=["DEBUG", "INFO", "WARN", "ERROR"])
def chosen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The parameter logLevel, and what serverless.yml makes of it."""
    environment = topology.service()["provider"]["environment"]
    assert environment["POWERTOOLS_LOG_LEVEL"] == "${param:logLevel}"
    with monkeypatch.context() as patch:
        patch.setenv("POWERTOOLS_LOG_LEVEL", request.param)
        set_level()
        yield request.param
    set_level()


def test_metrics_and_errors_come_through_at_every_level(
    shop: Shop, chosen: str, log_lines: Lines, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an order that ends, and one that fails
    shop.place()
    shop.run()
    monkeypatch.setenv("PAYMENT_GATEWAY", "down")
    _, placed = shop.placed()
    with pytest.raises(GatewayUnavailable):
        shop.deliver("paymentProcessing", placed)
    shop.reconcile()

    # when Lambda filters what was printed
    setting = topology.service()["provider"]["logs"]["lambda"]["applicationLogLevel"]
    lowest = str(setting).replace("${param:logLevel}", chosen)
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()] + log_lines()
    kept = [line for line in printed if passes(line, lowest)]

    # then
    metrics = {
        metric["Name"] for line in kept if "_aws" in line for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    }
    assert {"OrdersPlaced", "OrdersPaid", "OrdersFulfilled", "OrdersOpenOverAnHour"} <= metrics
    assert [line["message"] for line in kept if line.get("level") == "ERROR"]
    levels = {line["level"] for line in kept if "level" in line}
    assert levels <= {"WARN": {"WARNING", "ERROR"}, "ERROR": {"ERROR"}}.get(chosen, {"INFO", "WARNING", "ERROR"})


def test_every_line_has_a_time_that_lambda_understands(shop: Shop, log_lines: Lines) -> None:
    shop.place()
    assert all(re.fullmatch(RFC_3339, line["timestamp"]) for line in log_lines())
