"""What notebook 13 uses: a package with the reader's file, the clean-up, and the template with one function more."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from moto import mock_aws

from notebooks import own, own_service
from operations.stack import Outputs, Stack
from tests.tools.test_a_new_consumer import FUNCTION, ROLE
from tools import flow, topology


def test_the_package_is_the_systems_with_a_file_that_lambda_may_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "system.zip", "w") as system:
        system.writestr("orders/events.py", "# theirs")
    location = {"Code": {"Location": (tmp_path / "system.zip").as_uri()}}
    functions = SimpleNamespace(get_function=lambda FunctionName: location)  # as boto3 names it
    stack = cast(Stack, SimpleNamespace(client=lambda _: functions, function=lambda name: name))

    (tmp_path / "mine.zip").write_bytes(own_service.package(stack, "# mine"))

    with zipfile.ZipFile(tmp_path / "mine.zip") as package:
        assert package.read("orders/events.py") == b"# theirs"
        assert package.read("loyalty.py") == b"# mine"
        assert package.getinfo("loyalty.py").external_attr >> 16 == 0o644


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_one_of_each(stack: Stack, name: str) -> None:
    """A rule with a target, a function, a log group, a table, a role with a policy, an alarm, a topic and a queue."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    right = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    role = stack.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    stack.client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(right))
    queue = stack.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    arn = stack.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    stack.client("events").put_rule(Name=name, EventBusName="test", EventPattern='{"source": ["x"]}')
    target = {"Id": "1", "Arn": arn["QueueArn"]}
    stack.client("events").put_targets(Rule=name, EventBusName="test", Targets=[target])
    stack.client("sns").create_topic(Name=name)
    stack.client("logs").create_log_group(logGroupName=f"/aws/lambda/{name}")
    stack.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="n",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    stack.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "orderId", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "orderId", "KeyType": "HASH"}],
    )
    stack.client("lambda").create_function(
        FunctionName=name, Role=role, Handler="a.b", Runtime="python3.13", Code={"ZipFile": b""}
    )


KINDS = {"rule", "function", "log group", "table", "role", "alarm", "topic", "queue"}


def test_the_clean_up_removes_everything_of_the_reader_s_and_nothing_else() -> None:
    mine = {"order-processing-dev-mine-1", "order-processing-dev-mine-2"}
    with mock_aws():
        stack = Stack("dev", boto3.Session(region_name="us-east-1"), None, Outputs({"EventBusName": "test"}))
        stack.client("events").create_event_bus(Name="test")
        for name in (*mine, "theirs"):
            make_one_of_each(stack, name)

        assert set(own.remains(stack)) == {f"{kind} {name}" for kind in KINDS for name in mine}
        own.remove(stack)
        assert own.remains(stack) == []

        assert stack.client("events").describe_rule(Name="theirs", EventBusName="test")
        assert stack.client("lambda").get_function(FunctionName="theirs")
        assert stack.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/theirs")["logGroups"]
        assert stack.client("sqs").get_queue_url(QueueName="theirs")
        assert len(stack.client("sns").list_topics()["Topics"]) == 1
        assert stack.client("cloudwatch").describe_alarms(AlarmNames=["theirs"])["MetricAlarms"]
        assert stack.client("dynamodb").describe_table(TableName="theirs")
        assert stack.client("iam").get_role(RoleName="theirs")


def seen() -> tuple[list[str], Any, int]:
    return topology.functions(), flow.consumers(), len(topology.rules())


def test_the_generators_see_one_function_more_and_afterwards_what_they_saw_before() -> None:
    before = seen()

    with own_service.product_with(FUNCTION, ROLE):
        functions, consumers, rules = seen()
        assert rules == before[2] + 1
        assert set(functions) - set(before[0]) == {"loyalty"}
        assert "loyalty" in consumers["PaymentCompletedEvent"]
        assert "loyalty" not in consumers["OrderPlacedEvent"]
    assert seen() == before


def test_the_generators_see_the_files_again_also_after_an_error() -> None:
    before = seen()

    with pytest.raises(ZeroDivisionError), own_service.product_with(FUNCTION, ROLE):
        raise ZeroDivisionError
    assert seen() == before
