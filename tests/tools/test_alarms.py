"""Who hears of what goes wrong on AWS, and of what it costs: the alarms, their topic and the budget in the template."""

import json
import re
from typing import Any

import pytest

from tests.tools.test_template import FUNCTIONS, Template, of_type, package, the
from tools import topology
from tools.checkout import ROOT

OPERATOR = "ops@example.com"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


@pytest.fixture(scope="module")
def silent() -> Template:
    """As deployed by somebody who names nobody to tell."""
    return package("dev")


@pytest.fixture(scope="module")
def template() -> Template:
    return package("dev", alarmEmail=OPERATOR, monthlyBudgetUsd="50")


@pytest.fixture(scope="module")
def alarms(template: Template) -> dict[str, Any]:
    return of_type(template, "AWS::CloudWatch::Alarm")


def watching(alarms: dict[str, Any], namespace: str, metric: str) -> list[tuple[Any, dict[str, Any]]]:
    """What each alarm on a metric watches, the value of its only dimension, and the alarm."""
    found = [each for each in alarms.values() if (each["Namespace"], each["MetricName"]) == (namespace, metric)]
    return [(dimension["Value"], alarm) for alarm in found for [dimension] in [alarm["Dimensions"]]]


def breaches(alarm: dict[str, Any], value: float) -> bool:
    """Whether one data point of this value is enough for the alarm."""
    compare = {
        "GreaterThanOrEqualToThreshold": value >= alarm["Threshold"],
        "LessThanThreshold": value < alarm["Threshold"],
    }
    return bool(compare[alarm["ComparisonOperator"]])


# --- what rings -------------------------------------------------------------------------------------------------------


def test_one_failed_invocation_of_any_function_rings(alarms: dict[str, Any]) -> None:
    found = watching(alarms, "AWS/Lambda", "Errors")
    assert sorted(value["Ref"] for value, _ in found) == sorted(f"{name}LambdaFunction" for name in FUNCTIONS)
    for _, alarm in found:
        assert (alarm["Statistic"], breaches(alarm, 1), breaches(alarm, 0)) == ("Sum", True, False)
        assert alarm["TreatMissingData"] == "notBreaching", "no data: nobody called the function"


def test_a_dead_letter_rings_until_it_is_gone_also_when_its_queue_emits_nothing_any_more(
    template: Template, alarms: dict[str, Any]
) -> None:
    """Each queue into which something is given up, by whatever gives it up."""
    text = json.dumps(template["Resources"])
    dead = {name for name in of_type(template, "AWS::SQS::Queue") if gives_up_into(name, text)}
    found = watching(alarms, "AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert sorted(value["Fn::GetAtt"] for value, _ in found) == sorted([name, "QueueName"] for name in dead)
    assert len(dead) == 2
    for _, alarm in found:
        assert (alarm["Statistic"], breaches(alarm, 1), breaches(alarm, 0)) == ("Maximum", True, False)
        assert alarm["TreatMissingData"] == "ignore"


def gives_up_into(queue: str, template: str) -> bool:
    """As a redrive policy's target, a function's destination or a rule target's dead-letter queue."""
    arn = re.escape(json.dumps({"Fn::GetAtt": [queue, "Arn"]}))
    return re.search(f'("deadLetterTargetArn"|"Destination"|"DeadLetterConfig": {{"Arn"): {arn}', template) is not None


def test_one_answer_of_the_api_with_500_or_above_rings(alarms: dict[str, Any]) -> None:
    """An HTTP API's `5xx`, by ApiId: what it emits without detailed metrics. A REST API's is called `5XXError`."""
    [(api, alarm)] = watching(alarms, "AWS/ApiGateway", "5xx")
    assert api == {"Ref": "HttpApi"}
    assert [dimension["Name"] for dimension in alarm["Dimensions"]] == ["ApiId"]
    assert (alarm["Statistic"], breaches(alarm, 1), breaches(alarm, 0)) == ("Sum", True, False)
    assert alarm["TreatMissingData"] == "notBreaching", "no data: nobody called the API"


@pytest.mark.parametrize("name", ["OrdersOpenOverAnHour", "OrdersUnsettledOverAnHour"])
def test_orders_that_stay_open_ring_and_go_on_ringing_while_nothing_counts_them(
    alarms: dict[str, Any], name: str
) -> None:
    alarm = alarms[name]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("OrderProcessing", name)
    assert (alarm["Statistic"], breaches(alarm, 1), breaches(alarm, 0)) == ("Maximum", True, False)
    assert alarm["TreatMissingData"] == "ignore"


def test_a_reconciler_that_does_not_run_rings_within_minutes(template: Template, alarms: dict[str, Any]) -> None:
    """It emits the number of open orders in each run, first of all; any number is a sign of life."""
    alarm, counted = alarms["ReconcilerAbsent"], alarms["OrdersOpenOverAnHour"]
    for same in ("Namespace", "MetricName", "Dimensions"):
        assert alarm[same] == counted[same]
    assert alarm["TreatMissingData"] == "breaching"
    assert (alarm["Statistic"], breaches(alarm, 1)) == ("SampleCount", False)
    [rule] = [rule for rule in of_type(template, "AWS::Events::Rule").values() if "ScheduleExpression" in rule]
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    assert 3 * 60 <= alarm["Period"] * alarm["EvaluationPeriods"] <= 10 * 60, "some runs may be late, none an hour"


# --- who is notified --------------------------------------------------------------------------------------------------


def test_every_alarm_notifies_the_topic(alarms: dict[str, Any]) -> None:
    assert all(alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}] for alarm in alarms.values())
    assert all(alarm.get("ActionsEnabled", True) is True for alarm in alarms.values())


def test_the_topic_mails_the_operator_who_is_named_and_nobody_else(template: Template, silent: Template) -> None:
    assert subscribed(template) == [{"TopicArn": {"Ref": "AlarmTopic"}, "Protocol": "email", "Endpoint": OPERATOR}]
    assert subscribed(silent) == []


def subscribed(template: Template) -> list[dict[str, Any]]:
    subscriptions = of_type(template, "AWS::SNS::Subscription").values()
    return [each for each in subscriptions if each["TopicArn"] == {"Ref": "AlarmTopic"}]


def test_the_alarms_are_the_same_with_and_without_an_alarm_email(silent: Template, alarms: dict[str, Any]) -> None:
    assert of_type(silent, "AWS::CloudWatch::Alarm") == alarms


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_the_operator_is_mailed_before_the_month_s_budget_is_spent(template: Template) -> None:
    budget = the(template, "AWS::Budgets::Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": "50", "Unit": "USD"}
    assert (budget["Budget"]["BudgetType"], budget["Budget"]["TimeUnit"]) == ("COST", "MONTHLY")
    mailed = set()
    for each in budget["NotificationsWithSubscribers"]:
        notification = each["Notification"]
        assert (notification["ComparisonOperator"], notification["ThresholdType"]) == ("GREATER_THAN", "PERCENTAGE")
        assert each["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": OPERATOR}]
        mailed.add((notification["NotificationType"], notification["Threshold"]))
    assert mailed == {("ACTUAL", 80), ("FORECASTED", 100)}


def test_the_budget_counts_the_whole_account_since_a_tag_counts_only_once_somebody_activates_it(
    template: Template,
) -> None:
    budget = the(template, "AWS::Budgets::Budget")["Budget"]
    assert budget.keys() & {"CostFilters", "FilterExpression", "BillingViewArn"} == set()


def test_the_budget_has_no_name_under_which_it_could_not_be_replaced(template: Template) -> None:
    """Another alarmEmail replaces it, and there can't be two of one name in an account."""
    assert "BudgetName" not in the(template, "AWS::Budgets::Budget")["Budget"]


def test_without_an_amount_there_is_no_budget(silent: Template) -> None:
    assert of_type(silent, "AWS::Budgets::Budget") == {}


# --- what to do then --------------------------------------------------------------------------------------------------


def sections(below: str) -> list[str]:
    """The headings of the runbook below one of its main ones."""
    return re.findall(r"^### (\w+)$", RUNBOOK.partition(f"\n## {below}\n")[2].partition("\n## ")[0], re.MULTILINE)


def test_the_runbook_has_a_section_for_each_alarm_and_none_for_another(alarms: dict[str, Any]) -> None:
    assert sorted(sections("The alarms")) == sorted({section_of(alarm) for alarm in alarms})


def section_of(alarm: str) -> str:
    """The alarms on the functions' failed invocations share one."""
    return "FunctionErrors" if alarm.removesuffix("Errors") in FUNCTIONS else alarm


def test_each_section_says_what_to_look_at_and_how_it_ends() -> None:
    for name in sections("The alarms"):
        section = RUNBOOK.partition(f"\n### {name}\n")[2].partition("\n#")[0]
        for said in ("*Means*", "*Look at*", "*Do*", "*Over*"):
            assert section.count(said) == 1, (name, said)


def test_each_alarm_s_description_leads_to_its_section(alarms: dict[str, Any]) -> None:
    for name, alarm in alarms.items():
        what, _, where = alarm["AlarmDescription"].partition(" See ")
        assert what.endswith(".")
        assert where == f"docs/runbook.md#{section_of(name).lower()}"


def test_what_the_runbook_names_of_the_template_is_there(template: Template) -> None:
    """The outputs that its commands read, and the parameters that they give."""
    assert set(re.findall(r"\$\(output (\w+)\)", RUNBOOK)) <= template["Outputs"].keys()
    assert set(re.findall(r"--param (\w+)=", RUNBOOK)) <= topology.service()["params"]["default"].keys()
