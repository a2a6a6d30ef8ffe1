"""Who deploys, where to, and whether the account's quotas suffice."""

import os
from collections.abc import Iterator

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from operations.preflight.finding import Finding, blocked, passed, warning
from operations.preflight.plan import Plan
from operations.stack import Stack

_SERVICES = ("apigatewayv2", "cognito-idp", "dynamodb", "events", "lambda", "sesv2")

_BUSES, _RULES, _DISTRIBUTIONS = 100, 300, 200
"""AWS's default quotas; an account's own may be higher, so that reaching them is a warning."""

INVOCATIONS_OF_A_THREAD = 50
"""How many concurrent invocations the events of one thread of the reconciler cause, roughly.

It publishes the events of ten orders in 70 ms, and the functions of an order run for 0.38 s in all: docs/costs.md.
"""

_SIGN_IN = "aws configure, or aws sso login; another profile is named with --aws-profile NAME"

_QUOTAS = "ask for more: https://console.aws.amazon.com/servicequotas/home"


def credentials(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """Whose credentials these are. Without them nothing else can be checked."""
    region = stack.session.region_name
    try:
        identity = stack.client("sts").get_caller_identity()
    except NoCredentialsError:
        rights = "the rights that they need: docs/deploy-policy.json"
        yield blocked("there are no AWS credentials", f"{_SIGN_IN}; {rights}")
        return
    except (ClientError, BotoCoreError) as error:
        yield blocked(f"AWS in {region} rejects these credentials: {error}", _SIGN_IN)
        return
    name = identity["Arn"].rpartition(":")[2]
    yield passed(f"account {identity['Account']} as {name}")


def region(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """The region of serverless.yml or --region, for this and for all other commands."""
    name = stack.session.region_name
    if not stack.endpoint_url:
        missing = [each for each in _SERVICES if not _is_in(stack, each, name)]
        if missing:
            yield warning(f"region {name}: the AWS SDK does not know {', '.join(missing)} there")
            return
    others = {os.environ.get(variable) for variable in ("AWS_REGION", "AWS_DEFAULT_REGION")} - {None, "", name}
    note = f"; your own {', '.join(sorted(filter(None, others)))} is ignored" if others else ""
    yield passed(f"region {name}{'' if plan.region else ' (serverless.yml)'}{note}")


def _is_in(stack: Stack, service: str, region: str) -> bool:
    partition = stack.session.get_partition_for_region(region)
    return region in stack.session.get_available_regions(service, partition_name=partition)


def concurrency(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """How many invocations the account may run at once. New accounts have 10; others wait, or get 503."""
    limit = stack.client("lambda").get_account_settings()["AccountLimit"]
    free, wanted = limit["UnreservedConcurrentExecutions"], plan.notification_concurrency + len(plan.functions)
    healing = plan.reconcile_concurrency * INVOCATIONS_OF_A_THREAD
    text = f"Lambda runs {free} at once here; {len(plan.functions)} functions and {plan.notification_concurrency} of"
    more = "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384"
    more += f" --desired-value 1000 --region {stack.session.region_name}"
    if free < wanted:
        yield warning(f"{text} Notification need {wanted}: some will be throttled", more)
    elif free < wanted + healing:
        yield warning(
            f"{text} Notification need {wanted}, and the events that the reconciler publishes after an outage"
            f" need up to {healing} more: customers may get 503 meanwhile. A lower reconcileConcurrency than"
            f" {plan.reconcile_concurrency} heals more slowly and needs fewer",
            more,
        )
    else:
        yield passed(f"{text} Notification need {wanted}, healing after an outage up to {healing}")


def quotas(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """Only the quotas to which stages add up: each has a bus, a rule on the default bus and perhaps a distribution."""
    events = stack.client("events")
    buses = [bus["Name"] for bus in events.list_event_buses(Limit=_BUSES)["EventBuses"]]
    rules = sum(len(page["Rules"]) for page in events.get_paginator("list_rules").paginate())
    counted = [("event buses", len(buses), _BUSES), ("rules on the default bus", rules, _RULES)]
    if plan.of_type("AWS::CloudFront::Distribution"):
        pages = stack.client("cloudfront").get_paginator("list_distributions").paginate()
        distributions = sum(page["DistributionList"]["Quantity"] for page in pages)
        counted.append(("CloudFront distributions", distributions, _DISTRIBUTIONS))
    reached = [each for each in counted if each[1] >= each[2]] if plan.stack_name not in buses else []
    for what, count, quota in reached:
        yield warning(f"{count} {what} exist, and AWS's default quota is {quota}", _QUOTAS)
    if not reached:
        yield passed("quotas: " + ", ".join(f"{count} of {quota} {what}" for what, count, quota in counted))
