"""The deployed stack in the hands of `sls`, with nothing exported: deployed, looked at, removed, deployed again."""

import io
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.emulator import describe
from local.emulator.ports import free_port
from local.emulator.process import emulator
from local.emulator.state import LocalError, State
from local.launcher import running
from local.launcher.running import stack
from operations.stack import stack_name
from tests.local.embedded_aws import EmbeddedAws, Sls, eventually, sls_of
from tests.local.test_emulator import assert_nothing_is_left

STACK = stack_name("local")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> State:
    return State(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def aws(state: State) -> Iterator[EmbeddedAws]:
    with emulator(state, free_port(), web_port=free_port()) as description:
        yield EmbeddedAws(description, state)


@pytest.fixture(scope="module")
def sls(state: State) -> Sls:
    return sls_of(state)


@pytest.fixture(scope="module")
def untouched(aws: EmbeddedAws) -> dict[str, list[str]]:
    """What is there before anything is deployed."""
    return inventory(aws)


@pytest.fixture(scope="module")
def deployed(untouched: dict[str, list[str]], sls: Sls, state: State) -> dict[str, Any]:
    """What `sls deploy` wrote into `stack.json`."""
    assert not state.stack.exists()
    result = sls("deploy")
    assert result.returncode == 0, result.stdout + result.stderr
    description: dict[str, Any] = json.loads(state.stack.read_text())
    return description


def inventory(aws: EmbeddedAws) -> dict[str, list[str]]:
    """Kind → names of all that there is of it, for each kind that the stack has."""
    buses = names(aws, "events", "list_event_buses", "EventBuses", "Name")
    return {
        "alarms": names(aws, "cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        "APIs": names(aws, "apigatewayv2", "get_apis", "Items", "ApiId"),
        "archives": names(aws, "events", "list_archives", "Archives", "ArchiveName"),
        "buckets": names(aws, "s3", "list_buckets", "Buckets", "Name"),
        "buses": buses,
        "dashboards": names(aws, "cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
        "event source mappings": names(aws, "lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
        "functions": names(aws, "lambda", "list_functions", "Functions", "FunctionName"),
        "identities": names(aws, "sesv2", "list_email_identities", "EmailIdentities", "IdentityName"),
        "log groups": names(aws, "logs", "describe_log_groups", "logGroups", "logGroupName"),
        "queues": aws.client("sqs").list_queues().get("QueueUrls", []),
        "roles": names(aws, "iam", "list_roles", "Roles", "RoleName"),
        "rules": [
            rule for bus in buses for rule in names(aws, "events", "list_rules", "Rules", "Name", EventBusName=bus)
        ],
        "stacks": names(aws, "cloudformation", "describe_stacks", "Stacks", "StackName"),
        "subscriptions": names(aws, "sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
        "tables": aws.client("dynamodb").list_tables()["TableNames"],
        "topics": names(aws, "sns", "list_topics", "Topics", "TopicArn"),
        "user pools": names(aws, "cognito-idp", "list_user_pools", "UserPools", "Id", MaxResults=60),
    }


def names(aws: EmbeddedAws, service: str, operation: str, kind: str, name: str, **options: Any) -> list[str]:
    return [each[name] for each in getattr(aws.client(service), operation)(**options)[kind]]


def test_deploy_describes_to_its_owner_alone_what_answers(deployed: dict[str, Any], state: State) -> None:
    with urllib.request.urlopen(f"{deployed['apiUrl']}/products") as response:
        assert json.load(response)["products"]
    connection = state.read_emulator()
    del connection["pid"]
    assert deployed.items() >= connection.items()
    assert state.stack.stat().st_mode & 0o777 == 0o600


def test_another_deploy_keeps_what_is_there_and_the_alarms_subscriber_comes_and_goes_with_its_parameter(
    deployed: dict[str, Any], aws: EmbeddedAws, sls: Sls, state: State
) -> None:
    before, sns = inventory(aws), aws.client("sns")

    named = sls("deploy", "--param", "alarmEmail=ops@example.com", "--param", "monthlyBudgetUsd=50")
    assert named.returncode == 0, named.stdout + named.stderr
    told = sns.list_subscriptions_by_topic(TopicArn=deployed["AlarmTopicArn"])["Subscriptions"]
    assert [(each["Protocol"], each["Endpoint"]) for each in told] == [("email", "ops@example.com")]
    assert not aws.client("budgets").describe_budgets(AccountId="000000000000").get("Budgets")  # on AWS only

    nobody = sls("deploy")
    assert nobody.returncode == 0, nobody.stdout + nobody.stderr
    assert inventory(aws) == before
    assert json.loads(state.stack.read_text()) == deployed
    assert not sns.list_subscriptions_by_topic(TopicArn=deployed["AlarmTopicArn"])["Subscriptions"]


def test_info_names_the_functions(deployed: dict[str, Any], sls: Sls) -> None:
    info = sls("info")

    assert (info.returncode, info.stderr) == (0, "")
    assert f"stack: {STACK}" in info.stdout
    assert f"paymentProcessing: {STACK}-paymentProcessing" in info.stdout


@pytest.mark.parametrize("command", [["info"], ["info", "--verbose"], ["deploy"], ["deploy", "--force"]], ids=" ".join)
def test_the_urls_that_are_shown_answer(deployed: dict[str, Any], sls: Sls, command: list[str]) -> None:
    shown = sls(*command).stdout

    assert not re.search(r"execute-api\.\S*amazonaws\.com", shown)
    [api] = re.findall("GET - (http.*)/products$|endpoint: (http.*)$", shown, re.MULTILINE)
    with urllib.request.urlopen(f"{''.join(api)}/products") as response:
        assert json.load(response)["products"]
    assert f"storefront: {deployed['webUrl']}\n" in shown


def test_invoke_shows_the_answer_and_logs_what_was_logged(deployed: dict[str, Any], aws: EmbeddedAws, sls: Sls) -> None:
    group = f"/aws/lambda/{STACK}-reconciler"
    invoked = sls("invoke", "--function", "reconciler", "--data", "{}")
    eventually("the log", lambda: aws.client("logs").filter_log_events(logGroupName=group)["events"])
    logged = sls("logs", "--function", "reconciler")

    assert (invoked.returncode, invoked.stdout.strip()) == (0, "null"), invoked.stderr
    assert logged.returncode == 0
    assert "OrdersOpenOverAnHour" in logged.stdout


def test_invoke_fails_where_the_function_fails(deployed: dict[str, Any], sls: Sls) -> None:
    invoked = sls("invoke", "--function", "paymentProcessing", "--data", '{"detail": {}}')

    assert invoked.returncode == 1
    assert "errorMessage" in invoked.stdout


def test_a_failure_and_its_traceback_are_shown_once_in_the_log(
    deployed: dict[str, Any], aws: EmbeddedAws, sls: Sls
) -> None:
    """The text in our line, with the event's ids; the traceback is Lambda's own."""
    sls("invoke", "--function", "fulfillment", "--data", '{"detail": {}}')
    eventually("the traceback", lambda: "Traceback" in sls("logs", "--function", "fulfillment").stdout)

    logged = sls("logs", "--function", "fulfillment").stdout

    assert logged.count("Traceback (most recent call last)") == 1
    assert '"message":"MalformedEvent: ' in logged
    assert logged.count("detail-type is None; it must be one of") == 1


def test_remove_leaves_only_the_sender_behind_and_the_next_deploy_finds_all_names_free(
    deployed: dict[str, Any], untouched: dict[str, list[str]], aws: EmbeddedAws, sls: Sls, state: State
) -> None:
    full = inventory(aws)
    assert [kind for kind in full if len(full[kind]) <= len(untouched[kind])] == []  # it lists what it is to list

    removed = sls("remove")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert inventory(aws) == {**untouched, "identities": ["orders@example.com"]}  # other stages may send from it
    assert not state.stack.exists()
    assert state.emulator.exists()  # that one runs on

    again = sls("deploy")
    assert again.returncode == 0, again.stdout + again.stderr
    assert {kind: len(there) for kind, there in inventory(aws).items()} == {
        kind: len(there) for kind, there in full.items()
    }
    assert state.stack.exists()


def test_a_deploy_that_fails_says_so_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sls = tmp_path / "sls"
    sls.write_text('#!/bin/sh\necho "CREATE_FAILED: OrdersTable"\necho "(there is no room)" >&2\nexit 1\n')
    sls.chmod(0o755)
    monkeypatch.setattr(running, "_SLS", sls)
    running_emulator: list[dict[str, Any]] = []
    deploy = running._deploy
    state, port = State(tmp_path / "state"), free_port()

    def deploy_while_it_runs(state: State, parameters: Any) -> None:
        running_emulator.append(state.read_emulator())
        deploy(state, parameters)

    monkeypatch.setattr(running, "_deploy", deploy_while_it_runs)
    with pytest.raises(LocalError) as failed, stack(state, port):
        pass

    assert str(failed.value).splitlines() == [
        "the deploy failed:",
        "CREATE_FAILED: OrdersTable",
        "(there is no room)",
        f"(the whole log: {state.deploy_log})",
    ]
    [description] = running_emulator
    assert_nothing_is_left(state, port, description["pid"])


def test_a_deploy_waits_for_an_api_that_does_not_answer_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that starts for the first time on a busy machine takes longer than the question."""
    answers: list[Any] = [TimeoutError(), urllib.error.URLError("refused"), io.BytesIO(b'{"products": [{}]}')]

    def answer(_url: str, timeout: float) -> Any:
        if isinstance(given := answers.pop(0), Exception):
            raise given
        return given

    monkeypatch.setattr(urllib.request, "urlopen", answer)

    assert [describe._has_products("http://127.0.0.1") for _ in range(3)] == [False, False, True]
