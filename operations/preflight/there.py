"""What already exists of the stage: its stack, and resources of an earlier stack."""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from operations.preflight.finding import Finding, blocked, passed, warning
from operations.preflight.plan import Plan
from operations.stack import Stack

_TO_DELETE = {"CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}
"""In these states CloudFormation can only delete a stack."""

_FIXES = {"UPDATE_ROLLBACK_FAILED": "continue-update-rollback", "UPDATE_FAILED": "rollback-stack"}


def state(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """First deploy or update, and whether CloudFormation can do it."""
    found = description(stack, plan)
    if not found:
        yield passed(f"{plan.stack_name} will be created: there is no stack yet")
        return
    status = str(found["StackStatus"])
    where = f"--stack-name {plan.stack_name} --region {stack.session.region_name}"
    if status in _TO_DELETE:
        yield blocked(
            f"{plan.stack_name} is {status}, which can't be updated", f"aws cloudformation delete-stack {where}"
        )
    elif status in _FIXES:
        yield blocked(
            f"{plan.stack_name} is {status}, which can't be updated", f"aws cloudformation {_FIXES[status]} {where}"
        )
    elif status.endswith("_IN_PROGRESS"):
        yield blocked(
            f"{plan.stack_name} is {status}: somebody is deploying", f"aws cloudformation describe-stacks {where}"
        )
    else:
        yield passed(f"{plan.stack_name} will be updated: it is {status}")


def bucket(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """osls uploads the package to a bucket of the stack's: somebody may have deleted it by hand."""
    for name in resources_of(stack, plan).get("AWS::S3::Bucket", []):
        try:
            stack.client("s3").head_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
                raise
            yield blocked(
                f"the stack's bucket {name} is gone", f"aws s3 mb s3://{name} --region {stack.session.region_name}"
            )
        else:
            yield passed(f"the bucket {name} is there")


def names_taken(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """Names that the stack chooses itself and that are taken: CloudFormation would fail on them."""
    ours, region = resources_of(stack, plan), stack.session.region_name
    logs, events = stack.client("logs"), stack.client("events")
    wanted = {f"/aws/lambda/{function['name']}" for function in plan.functions.values()}
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"/aws/lambda/{plan.stack_name}-")
    groups = {group["logGroupName"] for page in pages for group in page["logGroups"]} & wanted
    taken = [
        (f"the log group {name}", f"aws logs delete-log-group --log-group-name {name} --region {region}")
        for name in sorted(groups - set(ours.get("AWS::Logs::LogGroup", [])))
    ]
    buses = {bus["Name"] for bus in events.list_event_buses(NamePrefix=plan.stack_name)["EventBuses"]}
    if plan.stack_name in buses - set(ours.get("AWS::Events::EventBus", [])):
        taken.append(("the event bus", f"aws events delete-event-bus --name {plan.stack_name} --region {region}"))
    archives = {each["ArchiveName"] for each in events.list_archives(NamePrefix=plan.stack_name)["Archives"]}
    if plan.stack_name in archives - set(ours.get("AWS::Events::Archive", [])):
        taken.append(("the archive", f"aws events delete-archive --archive-name {plan.stack_name} --region {region}"))
    for what, fix in taken:
        yield blocked(f"{what} already exists and does not belong to this stack: it can't be created", fix)
    if not taken:
        yield passed("no name that the stack chooses is taken")


def retained(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """Resources of a removed stack that `retainData` kept: a new stack has its own tables and pool."""
    if description(stack, plan):
        return
    pages = (
        stack.client("resourcegroupstaggingapi")
        .get_paginator("get_resources")
        .paginate(
            TagFilters=[{"Key": "aws:cloudformation:stack-name", "Values": [plan.stack_name]}],
            ResourceTypeFilters=["dynamodb:table", "cognito-idp:userpool"],
        )
    )
    names = [each["ResourceARN"].rpartition("/")[2] for page in pages for each in page["ResourceTagMappingList"]]
    if names:
        yield warning(
            f"an earlier {plan.stack_name} left {', '.join(sorted(names))}, which the new one does not use",
            "export what you need, then: aws dynamodb delete-table, aws cognito-idp delete-user-pool",
        )


def description(stack: Stack, plan: Plan) -> Mapping[str, Any] | None:
    """The stack as CloudFormation describes it; None if there is none, or no longer."""
    try:
        [found] = stack.client("cloudformation").describe_stacks(StackName=plan.stack_name)["Stacks"]
    except ClientError as error:
        refusal = error.response["Error"]
        if refusal["Code"] == "ValidationError" and "does not exist" in refusal["Message"]:
            return None
        raise
    return None if found["StackStatus"] == "DELETE_COMPLETE" else found


def resources_of(stack: Stack, plan: Plan) -> Mapping[str, list[str]]:
    """The physical ids of the deployed stack's resources, by type; empty if there is no stack."""
    owned: dict[str, list[str]] = {}
    if not description(stack, plan):
        return owned
    pages = stack.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=plan.stack_name)
    for page in pages:
        for each in page["StackResourceSummaries"]:
            if "PhysicalResourceId" in each and each["ResourceStatus"] != "DELETE_COMPLETE":
                owned.setdefault(each["ResourceType"], []).append(each["PhysicalResourceId"])
    return owned
