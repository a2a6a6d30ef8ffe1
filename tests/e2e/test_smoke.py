"""`npm run smoke` on the deployed stage: it passes, it leaves nothing, and it fails where something was taken away."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from operations.dead_letters import dead_letters, purge
from operations.outage import gateway
from operations.screen import console
from operations.smoke import customer_story, operator_story
from operations.smoke.story import clean_up, story
from operations.smoke.visit import CheckFailed, Visit
from operations.stack import Stack, stack_name
from tests.e2e.cloud import Cloud
from tests.e2e.commands import command
from tests.e2e.operator import DEPLOY, PREFLIGHT, administrator, operator
from tests.e2e.waiting import wait_for

STACK = stack_name("local")

SHORT = ("--seconds", "8")
"""For what is not to come: an order ends in under one. The forged event may need more, and does not count here."""


@pytest.fixture
def stack(cloud: Cloud) -> Iterator[Stack]:
    """With no dead letters of other tests; what fails here leaves none to them."""
    found = administrator(cloud)
    purge(found)
    yield found
    purge(found)


def lines(text: str, mark: str) -> list[str]:
    """Without the times."""
    return [re.sub(r" \(\d+\.\d s\)$", "", line[2:]) for line in text.splitlines() if line.startswith(mark)]


def users(cloud: Cloud) -> set[str]:
    pages = cloud.client("cognito-idp").get_paginator("list_users").paginate(UserPoolId=cloud.stack["UserPoolId"])
    return {user["Username"] for page in pages for user in page["Users"]}


def test_the_whole_story_passes_and_leaves_no_account_and_no_dead_letter(
    cloud: Cloud, stack: Stack, tmp_path: Path
) -> None:
    before, file = users(cloud), tmp_path / "report.md"
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    ran = command(cloud, "operations.smoke", "--outage", "--report", str(file))

    assert (ran.returncode, ran.stderr) == (0, "")
    assert lines(ran.stdout, "✗") == []
    assert lines(ran.stdout, "–") == ["business metrics: not on this stage: the embedded AWS has no metrics from logs"]
    assert len(lines(ran.stdout, "✓")) == 18
    assert ran.stdout.endswith("\n18 passed, 1 not tried\n")
    assert users(cloud) == before
    # An order of other tests, placed before, may have a dead letter only now: the reconciler publishes it again.
    items = [cloud.item(letter.order_id) for letter in dead_letters(stack)]
    assert [item for item in items if item and item["placedAt"]["S"] >= began] == []

    report = file.read_text()
    assert "**Every check passed** on the embedded AWS, not AWS." in report
    assert re.search(r"^\| FulfillmentCompletedEvent \| \d+ \|$", report, re.MULTILINE)
    assert (
        "cancelled before the charge is never charged | before the charge: PLACED → CANCELLED, the ledger agr" in report
    )
    assert re.search(
        r"cancelled after the charge is refunded \| after the charge: PLACED → .*REFUNDED, the ledger agrees",
        report,
    )
    for private in ("000000000000", "@", "://", cloud.stack["accessKeyId"], cloud.stack["apiUrl"], *users(cloud)):
        assert private not in report


def test_an_operator_with_the_policies_of_the_documents_can_live_it(cloud: Cloud, stack: Stack) -> None:
    with operator(cloud, DEPLOY, PREFLIGHT) as somebody:
        visit = Visit(somebody, console(quiet=True), outage=True)
        seen = [*story(visit), clean_up(visit)]

    assert [each for each in seen if each.result == "failed"] == []
    assert len([each for each in seen if each.result == "passed"]) == 18


def test_dead_letters_of_others_stay_where_they_are(cloud: Cloud, stack: Stack) -> None:
    event_id = cloud.put("PaymentCompletedEvent", "order-processing.payment", {"data": {"orderId": "somebody else's"}})
    wait_for("dead letters of somebody else", lambda: cloud.dead_letters(event_id), lambda seen: len(seen) == 2)

    ran = command(cloud, "operations.smoke")

    assert ran.returncode == 0, ran.stdout
    assert event_id in {letter.event["id"] for letter in dead_letters(stack)}


# --- what was taken away ----------------------------------------------------------------------------------------------


def failed(cloud: Cloud, *words: str) -> list[str]:
    """The failures that smoke prints, each in a line."""
    ran = command(cloud, "operations.smoke", *words)
    found = lines(ran.stdout, "✗")
    assert ran.returncode == 1
    assert ran.stderr == f"{len(found)} of 19 checks failed\n"
    return found


def test_without_a_functions_right_its_step_is_missed_and_what_needs_it_is_not_tried(
    cloud: Cloud, stack: Stack
) -> None:
    with cloud.without("dynamodb:UpdateItem", role="FulfillmentRole"):
        ran = command(cloud, "operations.smoke", *SHORT)

    assert ran.returncode == 1
    assert lines(ran.stdout, "✗")[0] == (
        "an approved card ends in a fulfilled order: after 8 seconds there is no end of the order that should be"
        " FULFILLED; last seen: PAID"
    )
    assert "the customer is notified of both: there is no approved order" in lines(ran.stdout, "–")
    assert "a declined card ends the order: PLACED → PAYMENT_FAILED, card_declined" in lines(ran.stdout, "✓")


def test_without_the_senders_identity_no_e_mail_is_accepted(cloud: Cloud, stack: Stack) -> None:
    """The embedded AWS keeps an identity twice, once for each version of SES's API."""
    ses, sesv2, sender = cloud.client("ses"), cloud.client("sesv2"), "orders@example.com"
    ses.delete_identity(Identity=sender)
    sesv2.delete_email_identity(EmailIdentity=sender)
    try:
        found = failed(cloud, *SHORT)
    finally:
        ses.verify_email_identity(EmailAddress=sender)
        sesv2.create_email_identity(EmailIdentity=sender)

    assert found[0] == (
        "the customer is notified of both: after 8 seconds there is no e-mail for the approved order; last seen:"
        " a final order whose customer was not notified; npm run preflight says whether the sender is verified"
    )


def test_without_the_providers_ledger_no_cancellation_is_settled_and_all_that_was_taken_away_is_back(
    cloud: Cloud, stack: Stack
) -> None:
    """Every call of the provider fails: no order is charged, none is voided."""
    bus, visit = cloud.stack["EventBusName"], Visit(stack, console(quiet=True), seconds=4, outage=True)
    customer_story.sign_up(visit)
    with cloud.without("dynamodb:UpdateItem", role="PaymentProcessingRole"):
        with pytest.raises(CheckFailed, match="there is no end of the cancelled order; last seen: CANCELLED"):
            operator_story.cancelled_before_the_charge(visit)
        with pytest.raises(CheckFailed, match="there is no charge of an order; last seen: PLACED"):
            operator_story.cancelled_after_the_charge(visit)

    assert gateway(stack) == "up"
    rules = cloud.client("events").list_rules(EventBusName=bus)["Rules"]
    assert {rule["State"] for rule in rules} == {"ENABLED"}
    clean_up(visit)


@contextmanager
def disabled(cloud: Cloud, rule: str) -> Iterator[str]:
    """The rule, by its logical id, disabled for as long as the block lasts; yields its name."""
    resource = cloud.client("cloudformation").describe_stack_resource(
        StackName=stack_name("local"), LogicalResourceId=rule
    )
    where = {
        "Name": resource["StackResourceDetail"]["PhysicalResourceId"].rpartition("|")[2],
        "EventBusName": cloud.stack["EventBusName"],
    }
    cloud.client("events").disable_rule(**where)
    try:
        yield where["Name"]
    finally:
        cloud.client("events").enable_rule(**where)


def test_a_rule_that_is_disabled_is_missed_by_its_name_and_by_what_it_does(cloud: Cloud, stack: Stack) -> None:
    with disabled(cloud, "AuditRule") as name:
        found = failed(cloud, *SHORT)

    assert f"rules: the rule {name} is DISABLED, not ENABLED" in found
    assert (
        "the audit trail is complete, cause by cause: after 8 seconds there is no whole audit trail of the approved"
        " order; last seen: no event"
    ) in found


def test_an_alarm_that_was_deleted_is_missed(cloud: Cloud, stack: Stack) -> None:
    cloudwatch = cloud.client("cloudwatch")
    alarm = next(
        alarm
        for alarm in cloudwatch.describe_alarms()["MetricAlarms"]
        if alarm["AlarmName"].startswith(f"{STACK}-DeadLetterQueueDepth-")
    )
    cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"]])
    try:
        found = failed(cloud)
    finally:
        known = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
        cloudwatch.put_metric_alarm(**{name: value for name, value in alarm.items() if name in known and value})

    assert found == [f"alarms: no alarm {alarm['AlarmName']}"]


def test_a_queue_that_feeds_nobody_is_missed(cloud: Cloud, stack: Stack) -> None:
    functions = cloud.client("lambda")
    [mapping] = functions.list_event_source_mappings(FunctionName=f"{STACK}-notification")["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        found = failed(cloud, *SHORT)
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    assert "subscriptions: the state of the queue's mapping is ['Disabled'], not ['Enabled']" in found


def test_an_account_that_is_gone_already_is_removed_as_well(cloud: Cloud, stack: Stack) -> None:
    visit = Visit(stack, console(quiet=True))
    visit.accounts.append("success+nobody@simulator.amazonses.com")
    with pytest.raises(ClientError):
        cloud.client("cognito-idp").admin_get_user(UserPoolId=cloud.stack["UserPoolId"], Username=visit.accounts[0])

    assert clean_up(visit).result == "passed"
