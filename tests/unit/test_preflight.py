"""What preflight says of what the embedded AWS has not: SES's sandbox, the states of a stack, IAM's conditions.

botocore's Stubber holds each response to AWS's own model of it.
"""

import json
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import ResponseParserError

from operations.preflight import account, checks, rights, sender, there
from operations.preflight.bill import idle_usd
from operations.preflight.finding import Finding
from operations.preflight.plan import Plan
from operations.stack import stack_name
from tests.e2e.operator import DEPLOY
from tests.unit.stubbed_aws import StubbedAws
from verification.bench import price, results

STACK = stack_name("dev")


@pytest.fixture(autouse=True)
def _no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deploy to AWS refuses an endpoint, and one may be set where another engine than moto answers the tests."""
    for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]:
        monkeypatch.delenv(name)


ACCOUNT = "123456789012"
USER = f"arn:aws:iam::{ACCOUNT}:user/anna"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso/Deployer"
IDENTITY = "AWS::SES::EmailIdentity"


def plan(**resources: str) -> Plan:
    """Of stage dev, with these resources by their type."""
    bodies = {name: {"Type": kind, "Properties": {}} for name, kind in resources.items()}
    notification = {"name": f"{STACK}-notification", "events": [{"sqs": {"maximumConcurrency": 2}}]}
    return Plan("dev", [], None, None, {"notification": notification}, bodies, "shop@example.com")


def no_stack(aws: StubbedAws) -> None:
    aws.refuses("cloudformation", "describe_stacks", "ValidationError", "Stack with id … does not exist")


# --- the sender -------------------------------------------------------------------------------------------------------


def sending(**changes: Any) -> dict[str, Any]:
    quota = {"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": 0.0}
    return {"SendingEnabled": True, "ProductionAccessEnabled": True, "SendQuota": quota, **changes}


@pytest.mark.parametrize(
    ("account", "kind", "text"),
    [
        (sending(), "passed", "SES sends to everybody: 200 mails a day, 1 a second"),
        (sending(ProductionAccessEnabled=False), "warning", "SES is in its sandbox here"),
        (sending(SendingEnabled=False), "warning", "SES has paused this account's sending"),
    ],
)
def test_what_ses_lets_the_account_send_is_said(aws: StubbedAws, account: dict[str, Any], kind: str, text: str) -> None:
    aws.gives("sesv2", "get_account", account)

    [finding] = sender.sandbox(aws.stack, plan())

    assert (finding.kind, finding.text[: len(text)]) == (kind, text)


def test_a_sender_that_is_not_verified_is_a_warning(aws: StubbedAws) -> None:
    aws.gives("sesv2", "get_email_identity", {"VerifiedForSendingStatus": False})
    aws.refuses("sesv2", "get_email_identity", "NotFoundException")
    no_stack(aws)

    [finding] = sender.identity(aws.stack, plan())

    assert finding == Finding(
        "warning",
        "the identity shop@example.com is not verified: no e-mail is sent",
        "open the link in the mail that SES sent",
    )


def test_a_verified_domain_is_enough_for_a_sender_that_the_stack_does_not_make(aws: StubbedAws) -> None:
    aws.refuses("sesv2", "get_email_identity", "NotFoundException")
    aws.gives("sesv2", "get_email_identity", {"VerifiedForSendingStatus": True})
    no_stack(aws)

    assert list(sender.identity(aws.stack, plan())) == [Finding("passed", "the identity example.com is verified")]


@pytest.mark.parametrize(("policy", "kind"), [("Delete", "blocked"), ("RetainExceptOnCreate", "passed")])
def test_a_stage_does_not_throw_its_own_sender_away(aws: StubbedAws, policy: str, kind: str) -> None:
    """What counts is the template that is deployed: another version deleted the identity."""
    described = {"StackName": stack_name("dev"), "CreationTime": 0, "StackStatus": "CREATE_COMPLETE"}
    owned = {
        "LogicalResourceId": "SenderIdentity",
        "ResourceType": IDENTITY,
        "PhysicalResourceId": "shop@example.com",
        "ResourceStatus": "CREATE_COMPLETE",
        "LastUpdatedTimestamp": 0,
    }
    template = {"Resources": {"SenderIdentity": {"Type": IDENTITY, "DeletionPolicy": policy}}}
    aws.gives("sesv2", "get_email_identity", {"VerifiedForSendingStatus": True})
    aws.refuses("sesv2", "get_email_identity", "NotFoundException")
    aws.gives("cloudformation", "describe_stacks", {"Stacks": [described]})
    aws.gives("cloudformation", "list_stack_resources", {"StackResourceSummaries": [owned]})
    aws.gives("cloudformation", "get_template", {"TemplateBody": json.dumps(template)})

    finding, *_ = sender.identity(aws.stack, plan())

    assert finding.kind == kind
    if kind == "blocked":
        assert finding.fix == "npm run deploy -- --stage dev --param verifySender=true"


def test_a_default_configuration_set_for_which_the_role_has_no_right_blocks(aws: StubbedAws) -> None:
    """IAM judges SendEmail on it as well, so that each e-mail would be AccessDenied."""
    aws.gives("sesv2", "get_email_identity", {"VerifiedForSendingStatus": True, "ConfigurationSetName": "all mail"})
    aws.refuses("sesv2", "get_email_identity", "NotFoundException")
    no_stack(aws)

    [finding] = sender.identity(aws.stack, plan())

    assert finding.kind == "blocked"
    assert finding.fix == "aws sesv2 put-email-identity-configuration-set-attributes --email-identity shop@example.com"


def test_a_default_configuration_set_that_a_role_names_passes(aws: StubbedAws) -> None:
    aws.gives("sesv2", "get_email_identity", {"VerifiedForSendingStatus": True, "ConfigurationSetName": "all"})
    aws.refuses("sesv2", "get_email_identity", "NotFoundException")
    no_stack(aws)
    made = plan()
    role = {"Type": "AWS::IAM::Role", "Properties": {"Resource": "arn:aws:ses:::configuration-set/*"}}

    [finding] = sender.identity(aws.stack, made._replace(resources={"NotificationRole": role}))

    assert finding.kind == "passed"


# --- the stack --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        ("CREATE_COMPLETE", None),
        ("UPDATE_COMPLETE", None),
        ("UPDATE_ROLLBACK_COMPLETE", None),
        ("IMPORT_COMPLETE", None),
        ("ROLLBACK_COMPLETE", "delete-stack"),
        ("ROLLBACK_FAILED", "delete-stack"),
        ("CREATE_FAILED", "delete-stack"),
        ("DELETE_FAILED", "delete-stack"),
        ("REVIEW_IN_PROGRESS", "delete-stack"),
        ("UPDATE_FAILED", "rollback-stack"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "describe-stacks"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "describe-stacks"),
    ],
)
def test_a_stack_in_a_state_that_nothing_updates_comes_with_the_way_out(
    aws: StubbedAws, status: str, mend: str | None
) -> None:
    described = {"StackName": stack_name("dev"), "CreationTime": 0, "StackStatus": status}
    aws.gives("cloudformation", "describe_stacks", {"Stacks": [described]})

    [finding] = there.state(aws.stack, plan())

    assert status in finding.text
    assert finding.kind == ("blocked" if mend else "passed")
    assert finding.fix == (f"aws cloudformation {mend} --stack-name {STACK} --region us-east-1" if mend else "")


def test_a_stack_that_was_deleted_is_none(aws: StubbedAws) -> None:
    described = {"StackName": stack_name("dev"), "CreationTime": 0, "StackStatus": "DELETE_COMPLETE"}
    aws.gives("cloudformation", "describe_stacks", {"Stacks": [described]})

    assert there.description(aws.stack, plan()) is None


# --- rights -----------------------------------------------------------------------------------------------------------


def test_each_right_is_one_of_the_deploy_policy_and_each_of_its_actions_is_judged() -> None:
    granted_to = [statement["Action"] for statement in DEPLOY["Statement"]]
    policy = {action for actions in granted_to for action in ([actions] if isinstance(actions, str) else actions)}
    judged = {f"{right.service}:{action}" for right in rights.RIGHTS for action in right.actions.split()}
    granted = {action for action in judged if any(fnmatchcase(action, pattern) for pattern in policy)}

    assert judged - granted == set()
    assert {pattern for pattern in policy if not any(fnmatchcase(action, pattern) for action in judged)} == set()


def simulated(aws: StubbedAws, count: int, **decision: Any) -> None:
    """The simulator's answer for each of the first `count` rights: one action, with this decision."""
    for _ in range(count):
        result = {"EvalActionName": "x:Y", "EvalDecision": "allowed", **decision}
        aws.gives("iam", "simulate_principal_policy", {"EvaluationResults": [result], "IsTruncated": False})


ALWAYS = sum(not right.only_with for right in rights.RIGHTS)


def caller(aws: StubbedAws, arn: str) -> None:
    aws.gives("sts", "get_caller_identity", {"Arn": arn, "Account": ACCOUNT, "UserId": "x"})


def test_an_assumed_role_is_judged_by_the_role_with_its_path(aws: StubbedAws) -> None:
    caller(aws, f"arn:aws:sts::{ACCOUNT}:assumed-role/Deployer/anna@example.com")
    role = {"Path": "/aws-reserved/sso/", "RoleName": "Deployer", "RoleId": "a" * 16, "Arn": ROLE, "CreateDate": 0}
    aws.gives("iam", "get_role", {"Role": role})
    simulated(aws, ALWAYS - 1)
    simulated(aws, 1, EvalDecision="implicitDeny")

    [finding] = rights.rights(aws.stack, plan())

    assert finding.text == "you may not: x:Y"
    assert finding.fix.startswith("aws iam put-role-policy --role-name Deployer --policy-name ")


def test_a_right_that_hangs_on_a_condition_is_not_said_to_be_missing(aws: StubbedAws) -> None:
    caller(aws, USER)
    simulated(aws, ALWAYS - 1)
    simulated(aws, 1, EvalDecision="implicitDeny", MissingContextValues=["iam:PassedToService"])

    assert [finding.kind for finding in rights.rights(aws.stack, plan())] == ["warning", "passed"]


def test_a_right_that_only_the_storefront_needs_is_asked_for_with_it(aws: StubbedAws) -> None:
    caller(aws, USER)
    simulated(aws, ALWAYS + 1)

    [finding] = rights.rights(aws.stack, plan(Distribution="AWS::CloudFront::Distribution"))

    assert finding.text == f"rights: all {ALWAYS + 1} that the simulator could judge"


@pytest.mark.parametrize(
    ("arn", "kind"),
    [(f"arn:aws:iam::{ACCOUNT}:root", "passed"), (f"arn:aws:sts::{ACCOUNT}:federated-user/anna", "warning")],
)
def test_whom_the_simulator_does_not_know_is_not_asked_about(aws: StubbedAws, arn: str, kind: str) -> None:
    caller(aws, arn)

    assert [finding.kind for finding in rights.rights(aws.stack, plan())] == [kind]


# --- room and price ---------------------------------------------------------------------------------------------------


def test_a_quota_that_is_reached_is_a_warning_unless_the_stage_has_its_share_already(aws: StubbedAws) -> None:
    for names in (["default", *map(str, range(99))], [stack_name("dev"), *map(str, range(99))]):
        aws.gives("events", "list_event_buses", {"EventBuses": [{"Name": name} for name in names]})
        aws.gives("events", "list_rules", {"Rules": []})

    [full], [fine] = account.quotas(aws.stack, plan()), account.quotas(aws.stack, plan())

    assert (full.kind, full.text) == ("warning", "100 event buses exist, and AWS's default quota is 100")
    assert fine.kind == "passed"


def test_a_month_without_orders_costs_what_the_bench_says() -> None:
    counts = results.kept()["counts"].values

    assert idle_usd() == f"{price.total(price.a_month(counts['reconciler, nothing due'])):.2f}"


# --- what can't be checked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "UnknownOperationException", "Message": "no [/b] such thing"}}, "GetAccount"),
        EndpointConnectionError(endpoint_url="https://email.nowhere-1.amazonaws.com"),
        ResponseParserError("no <XML>"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_api_that_is_not_there_is_a_warning_and_keeps_no_other_check_back(
    aws: StubbedAws, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def missing(*_: object) -> Iterator[Finding]:
        raise error
        yield

    def other(*_: object) -> Iterator[Finding]:
        yield Finding("passed", "the other")

    monkeypatch.setattr(checks, "CHECKS", {"the one": missing, "the other": other})
    caller(aws, USER)

    found = list(checks.findings(aws.stack, plan()))

    assert [finding.kind for finding in found] == ["passed", "warning", "passed"]
    assert found[1].text == f"the one could not be checked: {error}"


def test_an_error_of_the_programs_own_is_not_hidden(aws: StubbedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CHECKS", {"the one": lambda *_: [][0]})
    caller(aws, USER)

    with pytest.raises(IndexError):
        list(checks.findings(aws.stack, plan()))
