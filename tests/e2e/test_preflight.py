"""What preflight finds on the embedded AWS: each thing that can be wrong there is made wrong once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from operations.preflight.account import INVOCATIONS_OF_A_THREAD
from operations.preflight.checks import findings
from operations.preflight.finding import Finding
from operations.preflight.plan import Plan, read_plan
from operations.stack import Stack, stack_name
from tests.e2e.cloud import Cloud
from tests.e2e.commands import command
from tests.e2e.operator import DEPLOY, PREFLIGHT, administrator, operator, without
from tests.e2e.waiting import wait_for
from tools.checkout import ROOT

STAGE = "pr-7"
STACK = stack_name(STAGE)
NEW_SENDER = "senderEmail=shop@example.com"


@pytest.fixture(scope="module")
def plan() -> Plan:
    """A stage that is not there, with a sender that SES does not know."""
    return read_plan(STAGE, None, None, [NEW_SENDER])


@pytest.fixture(scope="module")
def stage(cloud: Cloud) -> Stack:
    return administrator(cloud, STAGE)


def wrong(stack: Stack, plan: Plan) -> list[Finding]:
    return [finding for finding in findings(stack, plan) if finding.kind != "passed"]


def test_a_stage_that_is_not_there_yet_has_nothing_in_its_way(stage: Stack, plan: Plan) -> None:
    texts = [finding.text for finding in findings(stage, plan) if finding.kind == "passed"]

    assert wrong(stage, plan) == []
    assert f"{STACK} will be created: there is no stack yet" in texts
    assert "SES will mail a link to shop@example.com: open it to verify the sender" in texts


def test_the_running_stage_can_be_deployed_again(cloud: Cloud) -> None:
    ran = command(cloud, "operations.preflight")

    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert [line for line in lines if not line.startswith("✓ ")] == []
    assert f"✓ {stack_name('local')} will be updated: it is UPDATE_COMPLETE" in lines


# --- who asks ---------------------------------------------------------------------------------------------------------


def test_the_policies_of_the_documents_are_all_that_it_takes(cloud: Cloud, plan: Plan) -> None:
    with operator(cloud, DEPLOY, PREFLIGHT, stage=STAGE) as stack:
        assert wrong(stack, plan) == []


def test_a_right_that_was_taken_away_is_named_with_the_line_that_gives_it(cloud: Cloud, plan: Plan) -> None:
    with operator(cloud, without(DEPLOY, "sqs:*", "iam:PassRole"), PREFLIGHT, stage=STAGE) as stack:
        [finding] = wrong(stack, plan)

    assert finding.kind == "blocked"
    assert finding.text.startswith("you may not: iam:PassRole, sqs:CreateQueue, ")
    assert "lambda:" not in finding.text
    assert finding.fix.startswith("aws iam put-user-policy --user-name operator-")
    assert finding.fix.endswith("--policy-document file://docs/deploy-policy.json")


def test_what_the_caller_may_not_look_at_is_a_warning_that_says_so(cloud: Cloud, plan: Plan) -> None:
    with operator(cloud, DEPLOY, stage=STAGE) as stack:
        found = wrong(stack, plan)

    assert [finding.kind for finding in found] == ["warning"] * 3
    for finding, what, action in zip(
        found,
        ("your rights", "an earlier stack's resources", "SES's sandbox"),
        ("SimulatePrincipalPolicy", "GetResources", "GetAccount"),
        strict=True,
    ):
        assert finding.text.startswith(f"{what} could not be checked: ")
        assert "AccessDenied" in finding.text
        assert action in finding.text


def test_credentials_that_aws_does_not_know_are_the_only_thing_that_is_said(cloud: Cloud, plan: Plan) -> None:
    with operator(cloud, DEPLOY, stage=STAGE) as stack:
        pass  # the user is gone again

    [finding] = findings(stack, plan)

    assert finding.kind == "blocked"
    assert finding.text.startswith("AWS in us-east-1 rejects these credentials: ")
    assert "aws sso login" in finding.fix


# --- the sender -------------------------------------------------------------------------------------------------------


def test_a_sender_that_ses_knows_already_is_not_made_again(stage: Stack) -> None:
    """orders@example.com belongs to stage local. What is to be typed then blocks no more."""
    known = read_plan(STAGE, None, None, ["senderEmail=orders@example.com"])

    [finding] = wrong(stage, known)

    line = f"npm run deploy -- --stage {STAGE} --param senderEmail=orders@example.com --param verifySender=false"
    assert finding == Finding(
        "blocked", "SES has the identity orders@example.com already, and the stack would create it again", line
    )
    assert wrong(stage, read_plan(STAGE, None, None, [line.split()[7], line.split()[9]])) == []


def test_a_sender_that_nobody_makes_is_missed(stage: Stack) -> None:
    unmade = read_plan(STAGE, None, None, [NEW_SENDER, "verifySender=false"])

    [finding] = wrong(stage, unmade)

    assert finding.text == "SES has no identity for shop@example.com, and verifySender=false creates none"
    assert finding.fix == f"npm run deploy -- --stage {STAGE} --param {NEW_SENDER} --param verifySender=true"


def test_a_stage_without_a_sender_says_what_to_type(stage: Stack) -> None:
    [finding] = wrong(stage, read_plan(STAGE, "eu-west-1", None, []))

    assert finding.kind == "blocked"
    assert finding.fix == f"npm run deploy -- --stage {STAGE} --region eu-west-1 --param senderEmail=you@example.com"


def test_a_stage_may_give_its_sender_up_as_the_identity_stays(cloud: Cloud) -> None:
    ran = command(cloud, "operations.preflight", "--param", "verifySender=false")

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "✓ the identity orders@example.com is verified\n" in ran.stdout


# --- what is there ----------------------------------------------------------------------------------------------------


def test_a_log_group_and_a_bus_of_somebody_else_are_in_the_way(cloud: Cloud, stage: Stack, plan: Plan) -> None:
    logs, events = cloud.client("logs"), cloud.client("events")
    logs.create_log_group(logGroupName=f"/aws/lambda/{STACK}-fulfillment")
    logs.create_log_group(logGroupName=f"/aws/lambda/{STACK}-of-another-version")
    events.create_event_bus(Name=STACK)
    try:
        found = wrong(stage, plan)
    finally:
        events.delete_event_bus(Name=STACK)
        for name in ("fulfillment", "of-another-version"):
            logs.delete_log_group(logGroupName=f"/aws/lambda/{STACK}-{name}")

    assert [(finding.kind, finding.fix) for finding in found] == [
        ("blocked", f"aws logs delete-log-group --log-group-name /aws/lambda/{STACK}-fulfillment --region us-east-1"),
        ("blocked", f"aws events delete-event-bus --name {STACK} --region us-east-1"),
    ]


def test_tables_that_a_removed_stack_kept_are_a_warning(cloud: Cloud, stage: Stack, plan: Plan) -> None:
    dynamodb, name = cloud.client("dynamodb"), f"{STACK}-OrdersTable-KEPT"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "orderId", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "orderId", "KeyType": "HASH"}],
        Tags=[{"Key": "aws:cloudformation:stack-name", "Value": STACK}],
    )
    try:
        [finding] = wrong(stage, plan)
    finally:
        dynamodb.delete_table(TableName=name)

    assert finding.kind == "warning"
    assert finding.text == f"an earlier {STACK} left {name}, which the new one does not use"


def test_a_stack_whose_first_deploy_failed_is_to_be_deleted(cloud: Cloud, stage: Stack, plan: Plan) -> None:
    cloudformation = cloud.client("cloudformation")
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::ImportValue": "exported by nobody"}}}
    cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps({"Resources": {"Topic": topic}}))
    try:
        wait_for("end of the deploy", lambda: state(cloud), lambda seen: not seen.endswith("_IN_PROGRESS"))
        [finding] = wrong(stage, plan)
    finally:
        cloudformation.delete_stack(StackName=STACK)

    assert finding == Finding(
        "blocked",
        f"{STACK} is ROLLBACK_COMPLETE, which can't be updated",
        f"aws cloudformation delete-stack --stack-name {STACK} --region us-east-1",
    )


def test_a_change_set_that_nobody_executed_is_in_the_way(cloud: Cloud, stage: Stack, plan: Plan) -> None:
    cloudformation = cloud.client("cloudformation")
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    cloudformation.create_change_set(
        StackName=STACK, ChangeSetName="one", ChangeSetType="CREATE", TemplateBody=template
    )
    try:
        [finding] = wrong(stage, plan)
    finally:
        cloudformation.delete_stack(StackName=STACK)

    assert finding.kind == "blocked"
    assert finding.text == f"{STACK} is REVIEW_IN_PROGRESS, which can't be updated"


def state(cloud: Cloud) -> str:
    return str(cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"])


def test_a_bucket_that_somebody_deleted_is_missed(cloud: Cloud, stage: Stack, plan: Plan) -> None:
    cloudformation, s3 = cloud.client("cloudformation"), cloud.client("s3")
    cloudformation.create_stack(StackName=STACK, TemplateBody='{"Resources": {"It": {"Type": "AWS::S3::Bucket"}}}')
    wait_for("end of the deploy", lambda: state(cloud), lambda seen: not seen.endswith("_IN_PROGRESS"))
    [bucket] = cloudformation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]
    s3.delete_bucket(Bucket=bucket["PhysicalResourceId"])
    try:
        [finding] = wrong(stage, plan)
    finally:
        cloudformation.delete_stack(StackName=STACK)

    assert finding.kind == "blocked"
    assert finding.fix == f"aws s3 mb s3://{bucket['PhysicalResourceId']} --region us-east-1"


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (8, "Lambda runs 8 at once here; 7 functions and 2 of Notification need 9: some will be throttled"),
        (
            100,
            "Lambda runs 100 at once here; 7 functions and 2 of Notification need 9, and the events that the reconciler"
            f" publishes after an outage need up to {8 * INVOCATIONS_OF_A_THREAD} more: customers may get 503",
        ),
    ],
)
def test_an_account_with_too_little_concurrency_is_a_warning(
    cloud: Cloud, stage: Stack, plan: Plan, left: int, text: str
) -> None:
    functions, name = cloud.client("lambda"), f"{stack_name('local')}-auditLogger"
    limit = functions.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=limit - left)
    try:
        [finding] = wrong(stage, plan)
    finally:
        functions.delete_function_concurrency(FunctionName=name)

    assert finding.kind == "warning"
    assert finding.text.startswith(text)
    assert finding.fix.startswith("aws service-quotas request-service-quota-increase --service-code lambda ")


# --- before a deploy --------------------------------------------------------------------------------------------------


@pytest.fixture
def environment(cloud: Cloud, tmp_path: Path) -> dict[str, str]:
    """A user's, whose profile leads to the embedded AWS as if it were AWS; the `sls` in it prints how it was called."""
    config, programs = tmp_path / "config", tmp_path / "bin"
    config.write_text(f"[default]\nendpoint_url = {cloud.stack['endpointUrl']}\n")
    programs.mkdir()
    (programs / "sls").write_text('#!/bin/sh\necho "sls $*"\n')
    (programs / "sls").chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **clean,
        "AWS_CONFIG_FILE": str(config),
        "AWS_ACCESS_KEY_ID": cloud.stack["accessKeyId"],
        "AWS_SECRET_ACCESS_KEY": cloud.stack["secretAccessKey"],
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }


def deploy(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    command: list[Any] = [sys.executable, "-m", "operations.deploy", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_deploy_begins_with_preflight_and_hands_its_arguments_on(environment: dict[str, str]) -> None:
    words = ["--param", NEW_SENDER, "--verbose", "-s", STAGE, "--param=logLevel=WARN"]

    ran = deploy(environment, *words)

    assert (ran.returncode, ran.stderr) == (0, "")
    *checks, last = ran.stdout.splitlines()
    assert f"✓ {STACK} will be created: there is no stack yet" in checks
    assert last == f"sls deploy {' '.join(words)}"


def test_a_problem_stops_the_deploy_with_its_line(environment: dict[str, str]) -> None:
    ran = deploy(environment, "--stage", STAGE, "--param", "senderEmail=orders@example.com")

    assert (ran.returncode, ran.stderr) == (1, f"1 problem stops a deploy of {STACK}\n")
    assert "✗ SES has the identity orders@example.com already" in ran.stdout
    assert "sls deploy" not in ran.stdout


def test_without_credentials_a_deploy_ends_with_what_to_do(environment: dict[str, str], tmp_path: Path) -> None:
    nobody = {name: value for name, value in environment.items() if not name.startswith("AWS_")}

    ran = deploy({**nobody, "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}, "--param", NEW_SENDER)

    assert ran.returncode == 1
    assert ran.stdout == (
        "✗ there are no AWS credentials: aws configure, or aws sso login; another profile is named with "
        "--aws-profile NAME; the rights that they need: docs/deploy-policy.json\n"
    )


@pytest.mark.parametrize("words", [["--stage", "local"], ["function", "-f", "fulfillment"], ["list"], ["--help"]])
def test_what_is_no_deploy_of_a_stage_on_aws_goes_to_sls_at_once(environment: dict[str, str], words: list[str]) -> None:
    ran = deploy(environment, *words)

    assert (ran.returncode, ran.stdout) == (0, f"sls deploy {' '.join(words)}\n")


def test_a_variable_that_leads_to_an_emulator_stops_a_deploy_to_aws(environment: dict[str, str]) -> None:
    ran = deploy({**environment, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "--param", NEW_SENDER)

    assert ran.returncode == 1
    assert ran.stdout == "✗ AWS_ENDPOINT_URL_S3 is set, and stage dev goes to AWS: unset AWS_ENDPOINT_URL_S3\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--stage", "Dev"], "--stage Dev: use small letters, digits and hyphens, with a letter first."),
        (["--stage", "a" * 64], "64 characters are too many for the names on AWS; use at most "),
        (["--param", "logLevel=LOUD"], '--param logLevel: "LOUD" is not one of DEBUG, INFO, WARN, ERROR.'),
        (["--param", "sender=x@example.com"], "there is no such parameter. Did you mean senderEmail?"),
    ],
)
def test_a_stage_or_parameter_that_can_not_be_is_refused_in_the_words_of_the_deploy(
    environment: dict[str, str], words: list[str], line: str
) -> None:
    ran = deploy(environment, *words)

    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert line in ran.stderr
