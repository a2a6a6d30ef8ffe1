"""What a reader makes beside the stack: all of it has names that begin alike, by which it is removed again."""

import atexit
import json
from collections.abc import Iterable
from contextlib import suppress
from uuid import uuid4

from botocore.exceptions import EndpointConnectionError

from operations.stack import Stack

_registered: set[str] = set()


def new_name(stack: Stack) -> str:
    """A name for a rule, queue, table or role of the reader's; what has it is removed when the notebook ends."""
    if stack.name not in _registered:
        _registered.add(stack.name)
        atexit.register(_remove_at_exit, stack)
    return f"{_prefix(stack)}{uuid4().hex[:8]}"


def remove(stack: Stack) -> None:
    """Remove every rule, queue, table and role of the reader's, also what a notebook left that was killed."""
    _remove_rules(stack)
    _remove_queues(stack)
    _remove_tables(stack)
    _remove_roles(stack)


def _remove_at_exit(stack: Stack) -> None:
    with suppress(EndpointConnectionError):  # the local stack has stopped, and everything went with it
        remove(stack)


def allow_rules(stack: Stack, queue_url: str, rule_arns: Iterable[str]) -> str:
    """Let these rules send to the queue, and no other sender; returns the queue's ARN."""
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


def _remove_rules(stack: Stack) -> None:
    events, bus = stack.client("events"), stack.outputs["EventBusName"]
    for rule in events.list_rules(EventBusName=bus, NamePrefix=_prefix(stack))["Rules"]:
        targets = events.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus)["Targets"]
        if targets:
            events.remove_targets(Rule=rule["Name"], EventBusName=bus, Ids=[target["Id"] for target in targets])
        events.delete_rule(Name=rule["Name"], EventBusName=bus)


def _remove_queues(stack: Stack) -> None:
    sqs = stack.client("sqs")
    for url in sqs.list_queues(QueueNamePrefix=_prefix(stack)).get("QueueUrls", []):
        with suppress(sqs.exceptions.QueueDoesNotExist):  # AWS lists a deleted queue for a minute
            sqs.delete_queue(QueueUrl=url)


def _remove_tables(stack: Stack) -> None:
    dynamodb = stack.client("dynamodb")
    for page in dynamodb.get_paginator("list_tables").paginate():
        for table in page["TableNames"]:
            if table.startswith(_prefix(stack)):
                dynamodb.delete_table(TableName=table)
                dynamodb.get_waiter("table_not_exists").wait(TableName=table)


def _remove_roles(stack: Stack) -> None:
    iam = stack.client("iam")
    for page in iam.get_paginator("list_roles").paginate():
        for role in (each["RoleName"] for each in page["Roles"]):
            if role.startswith(_prefix(stack)):
                for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                    iam.delete_role_policy(RoleName=role, PolicyName=policy)
                iam.delete_role(RoleName=role)


def role_like(stack: Stack, function: str) -> str:
    """Make a role with the very policy of a function's role, which the reader may assume; returns its ARN.

    The function's own role may be assumed by Lambda only.
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
