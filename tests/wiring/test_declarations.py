"""Declarations in two places that must agree: layers, environment, metrics, dead letters."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orders.aws import backoff
from orders.aws.client import client
from orders.config import Config
from tests.wire import Wire
from tests.wiring.test_layers import imports
from tools import topology
from tools.checkout import ROOT

SOURCES = sorted(path for folder in ("orders", "handlers") for path in (ROOT / folder).rglob("*.py"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --- layers: test_layers.py has the rest


def test_the_aws_sdk_appears_in_the_adapters_alone() -> None:
    using = {_name(path) for path in SOURCES if {"boto3", "botocore"} & {m.partition(".")[0] for m in imports(path)}}
    assert using
    assert all(name.startswith("orders/aws/") for name in using), using


# --- the environment --------------------------------------------------------------------------------------------------


def _environment(function: str) -> dict[str, Any]:
    service = topology.service()
    return {**service["provider"]["environment"], **service["functions"][function].get("environment", {})}


def _read_by_the_code() -> set[str]:
    """`os.environ` outside of config.py, which declares what it reads."""
    return {name for path in SOURCES for name in re.findall(r'os\.environ(?:\.get\(|\[)"(\w+)"', path.read_text())} | {
        str(field.alias) for field in Config.model_fields.values()
    }


def test_each_variable_that_the_code_reads_is_set_and_each_that_is_set_is_read() -> None:
    declared = {name for function in topology.service()["functions"] for name in _environment(function)}
    powertools = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}
    libraries = {"PYDANTIC_DISABLE_PLUGINS", "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"}
    assert declared == _read_by_the_code() | powertools | libraries


def test_every_function_has_what_the_configuration_needs() -> None:
    for function in topology.service()["functions"]:
        assert {str(field.alias) for field in Config.model_fields.values()} <= _environment(function).keys()


def test_the_gateway_s_switch_is_the_payment_function_s_alone() -> None:
    functions = topology.service()["functions"]
    assert [name for name in functions if "PAYMENT_GATEWAY" in _environment(name)] == ["paymentProcessing"]


def test_a_claim_is_as_long_as_the_notification_function_may_run() -> None:
    assert _environment("notification")["CLAIM_SECONDS"] == "${self:functions.notification.timeout}"


def test_the_calls_to_aws_fit_into_a_function_s_time_out(wire: Wire) -> None:
    """Three tries of one call, each with its time-outs, and the pauses between them of a second at most."""
    for service, attempts in (("dynamodb", 3), ("sesv2", 1)):
        config = client(service, attempts=attempts).meta.config
        longest = attempts * (config.connect_timeout + config.read_timeout) + (attempts - 1)
        assert longest <= topology.service()["provider"]["timeout"] + 1


def test_the_payment_function_s_time_out_covers_all_calls_of_its_longest_path() -> None:
    """Each may hang to its end. The longest path: the order is read, charged, and cancelled meanwhile; the provider
    is asked to cancel, at most four times; the refund meets a payment that another invocation has stored; and the event
    is published at the last attempt. `tests/unit/test_cancellation.py` goes through the path's single turns.
    """
    config = client("dynamodb").meta.config
    attempts = 3
    call = attempts * (config.connect_timeout + config.read_timeout) + (attempts - 1)
    calls = len(["get", "charge", "record_payment", *["cancel"] * 4, *["record_refund"] * 2])
    publication = backoff.ATTEMPTS * call + sum(map(backoff.longest_pause, range(1, backoff.ATTEMPTS)))
    assert calls * call + publication <= topology.service()["functions"]["paymentProcessing"]["timeout"]


# --- metrics ----------------------------------------------------------------------------------------------------------


def _emitted() -> set[str]:
    """The names of the metrics in the code: what `count` and `seconds` are called with."""
    names: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"count", "seconds"}:
                names |= {str(leaf.value) for leaf in ast.walk(node.args[0]) if isinstance(leaf, ast.Constant)}
    return names


def _shown() -> Iterator[tuple[str, str]]:
    """Namespace and name of each metric on the dashboard, its abbreviations written out."""
    [dashboard] = topology.of_type("AWS::CloudWatch::Dashboard").values()
    for widget in json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]:
        before: list[str] = []
        for series in widget["properties"]["metrics"]:
            parts = [part for part in series if isinstance(part, str)]
            if parts[0] == "...":
                parts = before[: len(before) - len(parts) + 1] + parts[1:]
            parts = [before[n] if part == "." else part for n, part in enumerate(parts)]
            before = parts
            yield parts[0], parts[1]


def test_each_business_metric_is_on_the_dashboard_and_nothing_that_nobody_emits() -> None:
    assert {name for namespace, name in _shown() if namespace == "OrderProcessing"} == _emitted()


def test_each_alarm_on_a_business_metric_watches_one_that_is_emitted() -> None:
    alarms = topology.of_type("AWS::CloudWatch::Alarm").values()
    watched = {alarm["MetricName"] for alarm in alarms if alarm["Namespace"] == "OrderProcessing"}
    assert watched
    assert watched <= _emitted()


def test_metrics_are_emitted_under_the_name_that_dashboard_and_alarms_ask_for() -> None:
    """The code's dimension is POWERTOOLS_SERVICE_NAME; theirs is the stack's name, which osls makes the same way."""
    environment = topology.service()["provider"]["environment"]
    assert environment["POWERTOOLS_SERVICE_NAME"] == "${self:service}-${sls:stage}"
    assert environment["POWERTOOLS_METRICS_NAMESPACE"] == "OrderProcessing"
    assert "stackName" not in topology.service()["provider"]
    [dashboard] = topology.of_type("AWS::CloudWatch::Dashboard").values()
    assert '"OrdersPlaced", "service", "${AWS::StackName}"' in dashboard["DashboardBody"]["Fn::Sub"]
    assert {"Name": "service", "Value": {"Ref": "AWS::StackName"}} in [
        dimension for alarm in topology.of_type("AWS::CloudWatch::Alarm").values() for dimension in alarm["Dimensions"]
    ]


# --- delivery ---------------------------------------------------------------------------------------------------------


def test_what_the_bus_starts_is_tried_three_times_and_then_kept() -> None:
    kept = {"onFailure": {"type": "sqs", "arn": {"Fn::GetAtt": "DeadLetterQueue.Arn"}}}
    for _, _, name in topology.rules():
        function = topology.service()["functions"][name]
        if name != "notification":  # a queue of its own feeds it
            assert (function["maximumRetryAttempts"], function["destinations"]) == (2, kept)
    reconciler = topology.service()["functions"]["reconciler"]
    assert (reconciler["maximumRetryAttempts"], reconciler["destinations"]) == (0, kept)


def test_the_notification_s_queue_gives_single_messages_back_and_gives_up_into_its_own_queue() -> None:
    [source] = [event["sqs"] for event in topology.service()["functions"]["notification"]["events"]]
    assert source["functionResponseType"] == "ReportBatchItemFailures"
    assert int(topology.service()["params"]["default"]["notificationConcurrency"]) >= 2
    redrive = topology.of_type("AWS::SQS::Queue")["NotificationQueue"]["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": "NotificationDeadLetterQueue.Arn"}


def test_the_queue_gets_the_bus_s_envelope_as_the_functions_do() -> None:
    assert topology.of_type("AWS::SNS::Subscription")["NotificationSubscription"]["RawMessageDelivery"] is True


def test_the_indexes_are_those_that_the_code_asks() -> None:
    text = "".join(path.read_text() for path in SOURCES)
    asked = set(re.findall(r'"?IndexName"?[:=] ?"(\w+)"', text))
    tables = topology.of_type("AWS::DynamoDB::Table").values()
    assert asked == {index["IndexName"] for table in tables for index in table.get("GlobalSecondaryIndexes", [])}
