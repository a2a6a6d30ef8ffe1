"""What smoke does that the embedded AWS can't show: metrics, AWS's ids of rules, a report that can be published."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from operations import command
from operations.screen import console
from operations.smoke import __main__ as smoke
from operations.smoke import customer_story, operator_story
from operations.smoke.report import public, report
from operations.smoke.story import Seen, clean_up
from operations.smoke.visit import CheckFailed, NotTried, Visit
from tests.unit.stubbed_aws import StubbedAws


def visit(aws: StubbedAws) -> Visit:
    return Visit(aws.stack, console(quiet=True), seconds=1e-9)


def resources(aws: StubbedAws, *pages: list[tuple[str, str]]) -> None:
    """What the stack has, each time that it is asked: (type, physical id)."""
    for page in pages:
        summaries = [
            {
                "LogicalResourceId": f"Id{number}",
                "ResourceType": kind,
                "PhysicalResourceId": name,
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": 0,
            }
            for number, (kind, name) in enumerate(page)
        ]
        aws.gives("cloudformation", "list_stack_resources", {"StackResourceSummaries": summaries})


# --- the operator -----------------------------------------------------------------------------------------------------


def sums(aws: StubbedAws, *values: float | None) -> None:
    """The points of each metric, in their order; none for None."""
    for value in values:
        points = [] if value is None else [{"Timestamp": datetime.now(UTC), "Sum": value, "Unit": "Count"}]
        aws.gives("cloudwatch", "get_metric_statistics", {"Label": "x", "Datapoints": points})


def test_each_business_metric_is_waited_for_and_named_where_it_does_not_come(aws: StubbedAws) -> None:
    trying = visit(aws)
    trying.keep("approved order", {})
    sums(aws, 2.0, None, 1.0, 0.0, 2.0)

    with pytest.raises(
        CheckFailed, match=r"no sum of each business metric; last seen: no OrdersPaid, OrdersFulfilled$"
    ):
        operator_story.metrics(trying)

    sums(aws, 2.0, 1.0, 1.0, 1.0, 2.0)
    assert operator_story.metrics(trying).startswith("OrdersPlaced, OrdersPaid, ")


def test_metrics_are_not_waited_for_where_no_order_was_fulfilled(aws: StubbedAws) -> None:
    with pytest.raises(NotTried, match="there is no approved order"):
        operator_story.metrics(visit(aws))


def listed(aws: StubbedAws, **states: str) -> None:
    """The rules of the stack's bus and, none, of the default bus."""
    rules = [{"Name": name, "State": state} for name, state in states.items()]
    aws.gives("events", "list_rules", {"Rules": rules})
    aws.gives("events", "list_rules", {"Rules": []})


def test_a_rule_of_another_bus_is_found_by_the_id_that_cloudformation_gives_it(aws: StubbedAws) -> None:
    resources(aws, [("AWS::Events::Rule", "bus|audit")])
    listed(aws, audit="ENABLED", another="DISABLED")
    aws.gives("events", "list_targets_by_rule", {"Targets": [{"Id": "1", "Arn": "arn:aws:lambda:::function:x"}]})

    assert operator_story.rules(visit(aws)) == "all 1 are enabled and have a target"


def test_a_rule_that_leads_nowhere_is_missed(aws: StubbedAws) -> None:
    resources(aws, [("AWS::Events::Rule", "bus|audit")])
    listed(aws, audit="ENABLED")
    aws.gives("events", "list_targets_by_rule", {})

    with pytest.raises(CheckFailed, match="the rule audit has no target"):
        operator_story.rules(visit(aws))


def test_an_alarm_that_tells_nobody_is_missed(aws: StubbedAws) -> None:
    resources(aws, [("AWS::CloudWatch::Alarm", name) for name in ("rings", "is off", "has nobody")], [])
    alarms = [("rings", True, ["topic"]), ("is off", False, ["topic"]), ("has nobody", True, [])]
    aws.gives(
        "cloudwatch",
        "describe_alarms",
        {
            "MetricAlarms": [
                {"AlarmName": name, "ActionsEnabled": enabled, "AlarmActions": actions}
                for name, enabled, actions in alarms
            ]
        },
    )

    with pytest.raises(CheckFailed, match=r"^these notify nobody: has nobody, is off$"):
        operator_story.alarms(visit(aws))


# --- the audit trail --------------------------------------------------------------------------------------------------


def chain(*causes: str | None) -> list[dict[str, Any]]:
    """The trail of a declined order, its events caused by these."""
    return [
        {"eventType": kind, "domainEventId": number, "causationId": cause, "correlationId": "request"}
        for kind, number, cause in zip(customer_story.DECLINED_TRAIL, ("1", "2"), causes, strict=True)
    ]


def test_a_trail_may_have_an_event_twice_but_no_other_cause() -> None:
    trail = chain(None, "1")
    customer_story.must_be_a_chain("order", [*trail, trail[1]], customer_story.DECLINED_TRAIL)

    with pytest.raises(CheckFailed, match="the cause of PaymentFailedEvent is 9, not 1"):
        customer_story.must_be_a_chain("order", chain(None, "9"), customer_story.DECLINED_TRAIL)
    with pytest.raises(CheckFailed, match="the number of facts in the trail of the order is 3, not 2"):
        customer_story.must_be_a_chain("order", [*trail, *chain(None, "9")], customer_story.DECLINED_TRAIL)


# --- the report -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("anna+x@example.com", "(address)"),
        ("arn:aws:iam::123456789012:role/x", "arn:aws:iam::(account):role/x"),
        ("at https://a1b2.execute-api.us-east-1.amazonaws.com/orders now", "at (URL) now"),
        ("key AKIAABCDEFGHIJKLMNOP", "key (key)"),
        ("Bearer eyJhbGci.eyJzdWIi.c2lnbmF0dXJl", "Bearer (token)"),
        ("<img src=x> | **x** [y](z) `c` #1 @anna", r"&lt;img src=x&gt; \| \*\*x\*\* \[y\](z) \`c\` \#1 &#64;anna"),
        ("a\nb\x1b[2J", r"a\\nb\\x1b\[2J"),
        ("2026-11-25T10:00:00.000Z, 0b1dd2c5-6dd5-4bac-8b0a-a8d65ce8b1b4", None),
    ],
)
def test_a_report_shows_data_literally_and_nothing_private(text: str, shown: str | None) -> None:
    assert public(text) == (shown or text)


def test_a_report_of_failures_says_so_first_and_has_no_times_of_an_order_that_never_ended(aws: StubbedAws) -> None:
    seen = [Seen("one", "failed", "not | here", 1.25), Seen("other", "not tried", "there is no order", 0)]

    text = report(visit(aws), seen)

    assert "**1 of 2 checks failed** on AWS." in text
    assert "| ✗ | one | not \\| here | 1.2 |" in text
    assert "There is none: no order was fulfilled." in text


# --- its end ----------------------------------------------------------------------------------------------------------


def test_an_account_that_can_not_be_removed_is_said_and_keeps_no_other_back(aws: StubbedAws) -> None:
    trying = visit(aws)
    trying.accounts += ["one@example.com", "two@example.com", "three@example.com"]
    aws.refuses("cognito-idp", "admin_delete_user", "AccessDeniedException")
    aws.refuses("cognito-idp", "admin_delete_user", "UserNotFoundException")
    aws.gives("cognito-idp", "admin_delete_user", {})

    end = clean_up(trying)

    assert end.result == "failed"
    assert end.text.startswith("one@example.com is still there: An error occurred (AccessDeniedException)")
    assert "two@" not in end.text


def test_who_stops_it_leaves_nothing_behind(
    aws: StubbedAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(trying: Visit) -> Iterator[Seen]:
        trying.accounts.append("one@example.com")
        yield Seen("one", "passed", "done", 0)
        raise KeyboardInterrupt

    monkeypatch.setattr(smoke, "story", stopped)
    monkeypatch.setattr(command, "find", lambda *_: aws.stack)
    monkeypatch.setattr(sys, "argv", ["smoke"])
    aws.gives("cognito-idp", "admin_delete_user", {})

    assert smoke.main() == 130
    out, err = capsys.readouterr()
    assert "✓ what it made is removed: 1 accounts deleted" in out
    assert err == "stopped\n"
