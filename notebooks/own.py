"""The resources that a reader creates next to the stack: their names share a prefix, by which they are removed."""

import atexit
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import uuid4

from botocore.exceptions import EndpointConnectionError

from operations.stack import Stack

_registered: set[str] = set()


def new_name(stack: Stack) -> str:
    """Return a name for a resource of the reader's. A resource with such a name is removed when the notebook ends."""
    if stack.name not in _registered:
        _registered.add(stack.name)
        atexit.register(_remove_at_exit, stack)
    return f"{_prefix(stack)}{uuid4().hex[:8]}"


def remove(stack: Stack) -> None:
    """Remove all resources of the reader's, including those that a killed notebook left behind."""
    for kind in _kinds(stack):
        for name in kind.names:
            kind.delete(name)


def remains(stack: Stack) -> list[str]:
    """List the reader's resources that exist now, such as `table order-processing-local-mine-1a2b3c4d`."""
    return [f"{kind.title} {re.split('[/:]', name)[-1]}" for kind in _kinds(stack) for name in kind.names]


def _remove_at_exit(stack: Stack) -> None:
    with suppress(EndpointConnectionError):  # the local stack has stopped, and its resources are gone
        remove(stack)


def allow_rules(stack: Stack, queue_url: str, rule_arns: Iterable[str]) -> str:
    """Allow these rules, and no other sender, to send to the queue; return the queue's ARN."""
    sqs = stack.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": attributes["QueueArn"],
        "Condition": {"ArnEquals": {"aws:SourceArn": list(rule_arns)}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})
    return str(attributes["QueueArn"])


def _prefix(stack: Stack) -> str:
    return f"{stack.name}-mine-"


class _Kind(NamedTuple):
    """One kind of resource: the names or ARNs of the reader's resources, and how to delete one of them."""

    title: str
    names: Iterable[str]
    delete: Callable[[str], object]


def _kinds(stack: Stack) -> Iterator[_Kind]:
    """The kinds, in the order in which they are deleted: a function before the log group that it writes to."""
    prefix = _prefix(stack)
    yield _rules(stack.client("events"), stack.outputs["EventBusName"], prefix)
    yield _functions(stack.client("lambda"), prefix)
    yield _log_groups(stack.client("logs"), prefix)
    yield _queues(stack.client("sqs"), prefix)
    yield _topics(stack.client("sns"), prefix)
    yield _alarms(stack.client("cloudwatch"), prefix)
    yield _tables(stack.client("dynamodb"), prefix)
    yield _roles(stack.client("iam"), prefix)


def _rules(events: Any, bus: str, prefix: str) -> _Kind:
    def delete(rule: str) -> None:
        targets = events.list_targets_by_rule(Rule=rule, EventBusName=bus)["Targets"]
        if targets:
            events.remove_targets(Rule=rule, EventBusName=bus, Ids=[target["Id"] for target in targets])
        events.delete_rule(Name=rule, EventBusName=bus)

    rules = events.list_rules(EventBusName=bus, NamePrefix=prefix)["Rules"]
    return _Kind("rule", [rule["Name"] for rule in rules], delete)


def _functions(functions: Any, prefix: str) -> _Kind:
    names = _listed(functions, "list_functions", "Functions", "FunctionName", prefix)
    return _Kind("function", names, lambda name: functions.delete_function(FunctionName=name))


def _log_groups(logs: Any, prefix: str) -> _Kind:
    names = _listed(logs, "describe_log_groups", "logGroups", "logGroupName", f"/aws/lambda/{prefix}")
    return _Kind("log group", names, lambda name: logs.delete_log_group(logGroupName=name))


def _queues(sqs: Any, prefix: str) -> _Kind:
    def delete(url: str) -> None:
        with suppress(sqs.exceptions.QueueDoesNotExist):  # AWS lists a deleted queue for a minute
            sqs.delete_queue(QueueUrl=url)

    return _Kind("queue", sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", []), delete)


def _topics(sns: Any, prefix: str) -> _Kind:
    arns = [topic["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for topic in page["Topics"]]
    mine = [arn for arn in arns if arn.rpartition(":")[2].startswith(prefix)]
    return _Kind("topic", mine, lambda arn: sns.delete_topic(TopicArn=arn))


def _alarms(cloudwatch: Any, prefix: str) -> _Kind:
    names = _listed(cloudwatch, "describe_alarms", "MetricAlarms", "AlarmName", prefix)
    return _Kind("alarm", names, lambda name: cloudwatch.delete_alarms(AlarmNames=[name]))


def _tables(dynamodb: Any, prefix: str) -> _Kind:
    def delete(table: str) -> None:
        dynamodb.delete_table(TableName=table)
        dynamodb.get_waiter("table_not_exists").wait(TableName=table)

    tables = [name for page in dynamodb.get_paginator("list_tables").paginate() for name in page["TableNames"]]
    return _Kind("table", [name for name in tables if name.startswith(prefix)], delete)


def _roles(iam: Any, prefix: str) -> _Kind:
    def delete(role: str) -> None:
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            iam.delete_role_policy(RoleName=role, PolicyName=policy)
        iam.delete_role(RoleName=role)

    return _Kind("role", _listed(iam, "list_roles", "Roles", "RoleName", prefix), delete)


def _listed(client: Any, operation: str, items: str, name: str, prefix: str) -> list[str]:
    """The names that begin with the prefix, from all pages."""
    pages = client.get_paginator(operation).paginate()
    return [item[name] for page in pages for item in page[items] if item[name].startswith(prefix)]


def role_like(stack: Stack, function: str) -> str:
    """Create a role with the same policy as a function's role, which the reader may assume; return its ARN.

    Only Lambda may assume the function's own role.
    """
    iam, name = stack.client("iam"), new_name(stack)
    configuration = stack.client("lambda").get_function_configuration(FunctionName=stack.function(function))
    original = configuration["Role"].rpartition("/")[2]
    account = stack.client("sts").get_caller_identity()["Account"]
    trust = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}
    trust_policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy)["Role"]["Arn"]
    for policy in iam.list_role_policies(RoleName=original)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=original, PolicyName=policy)["PolicyDocument"]
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
    return str(arn)
