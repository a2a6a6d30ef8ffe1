"""Whether the caller may do what a deploy does, by IAM's policy simulator.

The simulator accepts no wildcards: docs/deploy-policy.json grants `lambda:*`, and this file lists the actions that a
deploy needs, on an ARN as the deploy would create it. It sees the caller's own policies, groups, boundary and the
organization's policies, but not a session's policy: a deploy can still be refused.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from operations.preflight.finding import Finding, blocked, passed, warning
from operations.preflight.plan import Plan
from operations.stack import Stack


class Right(NamedTuple):
    """Actions on one kind of resource. For an action that AWS grants on `*` only, the resource is that."""

    service: str
    actions: str
    resource: str
    only_with: str = ""
    """The type of resource without which the right is not needed."""


RIGHTS = (
    Right("apigateway", "DELETE GET PATCH POST PUT", "arn:{partition}:apigateway:{region}::/apis/x"),
    Right(
        "cloudformation",
        "CreateStack DeleteStack DescribeStackEvents DescribeStackResource DescribeStackResources DescribeStacks"
        " ListStackResources UpdateStack",
        "arn:{partition}:cloudformation:{region}:{account}:stack/{stack}/x",
    ),
    Right("cloudformation", "ValidateTemplate", "*"),
    Right("cloudfront", "CreateDistribution CreateOriginAccessControl", "*", "AWS::CloudFront::Distribution"),
    Right(
        "cloudwatch",
        "DeleteAlarms DescribeAlarms ListTagsForResource PutMetricAlarm TagResource UntagResource",
        "arn:{partition}:cloudwatch:{region}:{account}:alarm:{stack}-x",
    ),
    Right(
        "cloudwatch",
        "DeleteDashboards GetDashboard PutDashboard",
        "arn:{partition}:cloudwatch::{account}:dashboard/{stack}",
    ),
    Right("cognito-idp", "CreateUserPool", "*"),
    Right(
        "cognito-idp",
        "CreateUserPoolClient DeleteUserPool DescribeUserPool UpdateUserPool",
        "arn:{partition}:cognito-idp:{region}:{account}:userpool/x",
    ),
    Right(
        "dynamodb",
        "CreateTable DeleteTable DescribeContinuousBackups DescribeTable TagResource UpdateContinuousBackups"
        " UpdateTable",
        "arn:{partition}:dynamodb:{region}:{account}:table/{stack}-x",
    ),
    Right(
        "events",
        "CreateEventBus DeleteEventBus DescribeEventBus",
        "arn:{partition}:events:{region}:{account}:event-bus/{stack}",
    ),
    Right(
        "events",
        "DeleteRule DescribeRule PutRule PutTargets RemoveTargets",
        "arn:{partition}:events:{region}:{account}:rule/{stack}/{stack}-x",
    ),
    Right(
        "events",
        "CreateArchive DeleteArchive DescribeArchive UpdateArchive",
        "arn:{partition}:events:{region}:{account}:archive/{stack}",
    ),
    Right(
        "iam",
        "AttachRolePolicy CreateRole DeleteRole DeleteRolePolicy DetachRolePolicy GetRole GetRolePolicy"
        " ListAttachedRolePolicies ListRolePolicies ListRoleTags PassRole PutRolePolicy TagRole UntagRole"
        " UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription",
        "arn:{partition}:iam::{account}:role/{stack}-x",
    ),
    Right(
        "lambda",
        "AddPermission CreateFunction DeleteFunction GetFunction PutFunctionEventInvokeConfig RemovePermission"
        " TagResource UpdateFunctionCode UpdateFunctionConfiguration",
        "arn:{partition}:lambda:{region}:{account}:function:{stack}-x",
    ),
    Right("lambda", "CreateEventSourceMapping", "*"),
    Right(
        "logs",
        "CreateLogGroup DeleteLogGroup PutRetentionPolicy TagResource",
        "arn:{partition}:logs:{region}:{account}:log-group:/aws/lambda/{stack}-x:*",
    ),
    Right("logs", "CreateLogDelivery DescribeLogGroups DescribeResourcePolicies PutResourcePolicy", "*"),
    Right(
        "s3",
        "CreateBucket DeleteBucket GetBucketLocation ListBucket PutBucketPolicy PutBucketPublicAccessBlock",
        "arn:{partition}:s3:::{stack}-x",
    ),
    Right("s3", "DeleteObject GetObject PutObject", "arn:{partition}:s3:::{stack}-x/x"),
    Right(
        "ses",
        "CreateEmailIdentity DeleteEmailIdentity GetEmailIdentity ListTagsForResource"
        " PutEmailIdentityConfigurationSetAttributes PutEmailIdentityDkimAttributes"
        " PutEmailIdentityDkimSigningAttributes PutEmailIdentityFeedbackAttributes PutEmailIdentityMailFromAttributes"
        " TagResource UntagResource",
        "arn:{partition}:ses:{region}:{account}:identity/{sender}",
    ),
    Right(
        "sns",
        "CreateTopic DeleteTopic GetTopicAttributes SetTopicAttributes Subscribe TagResource",
        "arn:{partition}:sns:{region}:{account}:{stack}-x",
    ),
    Right(
        "sqs",
        "CreateQueue DeleteQueue GetQueueAttributes SetQueueAttributes TagQueue",
        "arn:{partition}:sqs:{region}:{account}:{stack}-x",
    ),
    Right(
        "budgets",
        "ListTagsForResource ModifyBudget TagResource UntagResource ViewBudget",
        "arn:{partition}:budgets::{account}:budget/x",
        "AWS::Budgets::Budget",
    ),
    Right("billing", "GetBillingViewData", "*", "AWS::Budgets::Budget"),
)

_PASSED_TO_LAMBDA = {
    "ContextKeyName": "iam:PassedToService",
    "ContextKeyValues": ["lambda.amazonaws.com"],
    "ContextKeyType": "string",
}
"""CloudFormation gives each function its role: iam:PassRole is granted for that only."""

_POLICY = "order-processing-deploy --policy-document file://docs/deploy-policy.json"


def rights(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """The actions that the caller may not do, in one line."""
    arn = stack.client("sts").get_caller_identity()["Arn"]
    if arn.endswith(":root"):
        yield passed("rights: the root user has all of them")
        return
    source = _policies_of(stack, arn)
    if source is None:
        yield warning(f"rights could not be checked: IAM's simulator knows no {arn.rpartition(':')[2]}")
        return
    places = {
        **dict(zip(("partition", "account"), _account(arn), strict=True)),
        "region": stack.session.region_name,
        "stack": plan.stack_name,
        "sender": plan.sender,
    }
    denied: list[str] = []
    unknown: list[str] = []
    count = 0
    for right in RIGHTS:
        if right.only_with and not plan.of_type(right.only_with):
            continue
        for action, decision in _simulated(stack, source, right, places).items():
            count += 1
            if decision["EvalDecision"] != "allowed":
                # A condition of the caller's policies needs context values that the simulator does not have.
                (unknown if decision.get("MissingContextValues") else denied).append(action)
    if denied:
        kind, _, name = source.rpartition(":")[2].partition("/")
        yield blocked(
            f"you may not: {', '.join(denied)}",
            f"aws iam put-{kind}-policy --{kind}-name {name.rpartition('/')[2]} --policy-name {_POLICY}",
        )
    if unknown:
        yield warning(f"rights under a condition could not be checked: {', '.join(unknown)}")
    if not denied:
        yield passed(f"rights: all {count - len(unknown)} that the simulator could judge")


def _simulated(stack: Stack, source: str, right: Right, places: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Action → the simulator's decision."""
    pages = (
        stack.client("iam")
        .get_paginator("simulate_principal_policy")
        .paginate(
            PolicySourceArn=source,
            ActionNames=[f"{right.service}:{action}" for action in right.actions.split()],
            ResourceArns=[right.resource.format(**places)],
            ContextEntries=[_PASSED_TO_LAMBDA],
        )
    )
    return {each["EvalActionName"]: each for page in pages for each in page["EvaluationResults"]}


def _policies_of(stack: Stack, arn: str) -> str | None:
    """The user or role whose policies are the caller's; None for a caller without any, such as a federated user.

    An assumed role's ARN leaves out the role's path, which the simulator needs.
    """
    kind, _, name = arn.rpartition(":")[2].partition("/")
    if kind == "user":
        return arn
    if kind != "assumed-role":
        return None
    role: str = stack.client("iam").get_role(RoleName=name.partition("/")[0])["Role"]["Arn"]
    return role


def _account(arn: str) -> tuple[str, str]:
    parts = arn.split(":")
    return parts[1], parts[4]
