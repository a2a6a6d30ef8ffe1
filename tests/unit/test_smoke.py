"""What smoke does that the embedded AWS can't show: metrics, AWS's ids of rules, a report that can be published."""

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from operations import command, ledger
from operations.ledger import Difference
from operations.screen import console
from operations.smoke import __main__ as smoke
from operations.smoke import customer_story, operator_story
from operations.smoke.report import public, report
from operations.smoke.story import Check, Seen, clean_up
from operations.smoke.visit import CheckFailed, NotTried, Visit
from tests.unit.stubbed_aws import StubbedAws


def visit(aws: StubbedAws) -> Visit:
    return Visit(aws.stack, console(quiet=True), seconds=1e-9)


@pytest.fixture
def own_stage(aws: StubbedAws) -> Visit:
    """A visit to a stage that nobody else uses, where something may be taken away for a while."""
    return Visit(aws.stack, console(quiet=True), seconds=1e-9, outage=True)


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


def test_what_was_cancelled_and_refunded_is_to_be_counted_as_well(aws: StubbedAws) -> None:
    trying = visit(aws)
    for name in ("approved order", "cancelled order", "refunded order"):
        trying.keep(name, {})
    sums(aws, *[1.0] * 5, None, None)

    with pytest.raises(CheckFailed, match=r"last seen: no OrdersCancelled, PaymentsRefunded$"):
        operator_story.metrics(trying)


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


# --- what is taken away for a while -----------------------------------------------------------------------------------


def leads_to(aws: StubbedAws, **states: str) -> None:
    """The rules that lead to Fulfillment. Each that is enabled can be disabled and enabled again, in this order."""
    arn = "arn:aws:lambda:us-east-1:123456789012:function:fulfillment"
    aws.gives("lambda", "get_function_configuration", {"FunctionArn": arn})
    aws.gives("events", "list_rule_names_by_target", {"RuleNames": list(states)})
    for name, state in states.items():
        aws.gives("events", "describe_rule", {"Name": name, "State": state})
        if state == "ENABLED":
            aws.gives("events", "disable_rule", {})


@pytest.mark.parametrize("failure", [CheckFailed, KeyboardInterrupt])
def test_each_rule_that_was_enabled_is_enabled_again_whatever_happens(
    aws: StubbedAws, own_stage: Visit, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]
) -> None:
    leads_to(aws, one="ENABLED", other="DISABLED", third="ENABLED")
    for _ in ("third", "one"):
        aws.gives("events", "enable_rule", {})

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(customer_story, "place_one", fail)
    with pytest.raises(failure):
        operator_story.cancelled_after_the_charge(own_stage)


def test_a_rule_that_can_not_be_enabled_again_is_said_and_keeps_no_other_back(
    aws: StubbedAws, own_stage: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads_to(aws, one="ENABLED", other="ENABLED")
    aws.refuses("events", "enable_rule", "InternalException")
    aws.gives("events", "enable_rule", {})
    monkeypatch.setattr(operator_story, "_charged_and_cancelled", lambda _: "1")

    with pytest.raises(ClientError, match="InternalException"):
        operator_story.cancelled_after_the_charge(own_stage)


def test_a_rule_that_could_not_be_disabled_is_enabled_all_the_same(aws: StubbedAws, own_stage: Visit) -> None:
    """The response may have been lost."""
    arn = "arn:aws:lambda:us-east-1:123456789012:function:fulfillment"
    aws.gives("lambda", "get_function_configuration", {"FunctionArn": arn})
    aws.gives("events", "list_rule_names_by_target", {"RuleNames": ["one"]})
    aws.gives("events", "describe_rule", {"Name": "one", "State": "ENABLED"})
    aws.refuses("events", "disable_rule", "InternalException")
    aws.gives("events", "enable_rule", {})

    with pytest.raises(ClientError, match="InternalException"):
        operator_story.cancelled_after_the_charge(own_stage)


def test_an_order_that_is_shipped_before_the_rule_is_disabled_is_followed_by_another(
    aws: StubbedAws, own_stage: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads_to(aws, one="ENABLED")
    aws.gives("events", "enable_rule", {})
    numbers, responses = iter("123"), iter([409, 409, 202])
    monkeypatch.setattr(customer_story, "place_one", lambda _: next(numbers))
    monkeypatch.setattr(customer_story, "look_at", lambda *_: {"payment": {}})
    monkeypatch.setattr(customer_story, "request_cancellation", lambda *_: next(responses))
    monkeypatch.setattr(customer_story, "settled", lambda _, *what: " ".join(what))

    assert operator_story.cancelled_after_the_charge(own_stage) == "3 REFUNDED"


def test_orders_that_are_all_shipped_although_no_rule_leads_there_are_a_failure(
    aws: StubbedAws, own_stage: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads_to(aws, one="ENABLED")
    aws.gives("events", "enable_rule", {})
    monkeypatch.setattr(customer_story, "place_one", lambda _: "1")
    monkeypatch.setattr(customer_story, "look_at", lambda *_: {"payment": {}})
    monkeypatch.setattr(customer_story, "request_cancellation", lambda *_: 409)

    with pytest.raises(CheckFailed, match="each order was shipped, although"):
        operator_story.cancelled_after_the_charge(own_stage)


@pytest.mark.parametrize("check", [operator_story.outage, operator_story.cancelled_before_the_charge])
def test_a_gateway_that_somebody_else_took_down_stays_down(aws: StubbedAws, own_stage: Visit, check: Check) -> None:
    """The stub has no response to a switch."""
    own_stage.keep("customer", SimpleNamespace(token="a token"))
    down = {"Environment": {"Variables": {"PAYMENT_GATEWAY": "down"}}}
    aws.gives("lambda", "get_function_configuration", down)

    with pytest.raises(CheckFailed, match="the payment gateway is down already"):
        check(own_stage)


@pytest.mark.parametrize(
    "check", [operator_story.cancelled_before_the_charge, operator_story.cancelled_after_the_charge]
)
def test_nothing_is_taken_away_from_a_stage_that_others_use(aws: StubbedAws, check: Check) -> None:
    with pytest.raises(NotTried, match="on a stage of your own: --outage"):
        check(visit(aws))


# --- a cancelled order ------------------------------------------------------------------------------------------------

VOIDED = {"status": "CANCELLED", "payment": {"status": "VOIDED"}, "totalAmount": 100, "currency": "EUR"}
REFUNDED = {
    **VOIDED,
    "status": "REFUNDED",
    "payment": {"status": "COMPLETED", "paymentId": "p"},
    "refund": {"refundId": "r", "amount": 100, "currency": "EUR"},
}


def test_a_cancelled_order_has_a_void_or_a_refund_of_all_that_was_charged() -> None:
    customer_story.must_be_settled(VOIDED)
    customer_story.must_be_settled(REFUNDED)

    for order, wrong in (
        ({**VOIDED, "status": "FULFILLED"}, "the order's status is FULFILLED, not CANCELLED"),
        ({**VOIDED, "payment": REFUNDED["payment"]}, "the payment is "),
        ({**VOIDED, "refund": {}}, "the number of refunds is 1, not 0"),
        ({**REFUNDED, "payment": {"status": "FAILED"}}, "the payment's status is FAILED, not COMPLETED"),
        ({**REFUNDED, "refund": {"amount": 99, "currency": "EUR"}}, "the refund is "),
    ):
        with pytest.raises(CheckFailed, match=wrong):
            customer_story.must_be_settled(order)


def told(**causes: str | None) -> list[dict[str, Any]]:
    """A trail of these events, with their causes; each has its name as its id."""
    return [
        {"eventType": f"{name}Event", "domainEventId": name, "causationId": cause, "correlationId": "request"}
        for name, cause in causes.items()
    ]


def test_a_cancelled_order_s_trail_has_a_refund_because_of_the_cancellation_or_no_payment() -> None:
    before = told(OrderPlaced=None, OrderCancelled=None)
    after = told(
        OrderPlaced=None, PaymentCompleted="OrderPlaced", OrderCancelled=None, PaymentRefunded="OrderCancelled"
    )
    customer_story.must_record_the_cancellation(VOIDED, before)
    customer_story.must_record_the_cancellation(VOIDED, before[1:])  # the Reconciler publishes the last fact only
    customer_story.must_record_the_cancellation(REFUNDED, after)
    customer_story.must_record_the_cancellation(REFUNDED, after[2:])

    for order, trail, wrong in (
        (VOIDED, after, r"the payment events of the trail is \['PaymentCompletedEvent', 'PaymentRefundedEvent'\]"),
        (VOIDED, told(OrderCancelled="OrderPlaced"), "the cause of OrderCancelledEvent is OrderPlaced, not None"),
        (
            REFUNDED,
            told(OrderCancelled=None, PaymentRefunded="OrderPlaced"),
            "the cause of PaymentRefundedEvent is OrderPlaced, not OrderCancelled",
        ),
        (VOIDED, [*before, {**before[0], "correlationId": "another"}], "the trail's correlation ids is 2, not 1"),
    ):
        with pytest.raises(CheckFailed, match=wrong):
            customer_story.must_record_the_cancellation(order, trail)


ENDED = {
    "notification": {"messageId": "m"},
    "statusHistory": [{"status": "PLACED"}, {"status": "CANCELLED"}],
}


@pytest.mark.parametrize(
    ("changes", "wanted", "seen"),
    [
        ({}, "", "before the charge: PLACED → CANCELLED, the ledger agrees"),
        ({}, "REFUNDED", "the order's status is CANCELLED, not REFUNDED"),
        ({"fulfillment": {}}, "", "the number of parcels is 1, not 0"),
        ({"refund": {}}, "", "the number of refunds is 1, not 0"),
        ({"notification": {"rejection": "no"}}, "", "SES refused the e-mail for the cancelled order for good"),
        ({"status": "PLACED"}, "", "there is no end of the cancelled order; last seen: PLACED"),
        ({"payment": {"status": "COMPLETED"}}, "", "there is no end of the cancelled order; last seen: CANCELLED"),
        ({"trail": []}, "", "there is no whole audit trail of the cancelled order; last seen: no event"),
        ({"trail": told(OrderCancelled="x")}, "", "the cause of OrderCancelledEvent is x, not None"),
        (
            {"ledger": Difference("o", "a", "b", "c", "d")},
            "",
            "order and ledger differ: a; the order: b; the ledger: c",
        ),
    ],
)
def test_a_cancelled_order_has_to_agree_with_its_trail_its_e_mail_and_the_ledger(
    aws: StubbedAws, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], wanted: str, seen: str
) -> None:
    order = {**VOIDED, **ENDED, **changes}
    trail = changes.get("trail", told(OrderCancelled=None))
    monkeypatch.setattr(customer_story, "look_at", lambda *_: order)
    monkeypatch.setattr(customer_story, "_trail", lambda *_: trail)
    monkeypatch.setattr(ledger, "check", lambda *_: changes.get("ledger"))
    trying = visit(aws)

    if seen.endswith("agrees"):
        assert customer_story.settled(trying, "o", wanted) == seen
        assert (trying.has("cancelled order"), trying.has("refunded order")) == (True, False)
    else:
        with pytest.raises(CheckFailed, match=re.escape(seen)):
            customer_story.settled(trying, "o", wanted)


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
