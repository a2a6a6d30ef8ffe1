"""What the bridge adds to MiniStack, so that the embedded AWS does as AWS does. docs/emulator.md lists it."""

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError
from ministack.services import lambda_svc
from websockets.sync.client import connect

from local.emulator.bridge import asynchronous
from local.emulator.bridge.functions import AT_ONCE
from local.emulator.inbox import messages
from tests.forgery import SigningKey, encoded
from tests.local.embedded_aws import GENEROUS, EmbeddedAws, allow, eventually

NOTE = """
import time
def note(event, context):
    with open(event["detail"]["notes"], "a") as notes:
        notes.write(f"{context.aws_request_id} {time.monotonic()}\\n")
"""
FAILS = f"""{NOTE}
def handler(event, context):
    note(event, context)
    raise ValueError("it never works")
"""
FAILS_ONCE = f"""{NOTE}
def handler(event, context):
    first = not open(event["detail"]["notes"]).read()
    note(event, context)
    if first:
        raise ValueError("not yet")
"""
WORKS_SLOWLY = f"""{NOTE}
def handler(event, context):
    time.sleep(0.5)  # long enough for two to meet
    note(event, context)
"""


def noted(notes: Path) -> list[tuple[str, float]]:
    """The request id and the time of each attempt."""
    lines = [line.split() for line in notes.read_text().splitlines()]
    return [(request_id, float(at)) for request_id, at in lines]


def keep_failures(aws: EmbeddedAws, function: str, queue: str, **options: Any) -> None:
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=function, DestinationConfig={"OnFailure": {"Destination": queue}}, **options
    )


# --- asynchronous invocation -----------------------------------------------------------------------------------------


def test_an_event_that_always_fails_is_tried_three_times_and_then_kept_as_aws_keeps_it(
    aws: EmbeddedAws, notes: Path
) -> None:
    url, queue = aws.queue()
    function = aws.function(FAILS, allow("sqs:SendMessage", queue))
    keep_failures(aws, function, queue)

    aws.put_event(aws.bus_with_target(function), {"notes": str(notes)})

    [body] = eventually("the on-failure record", lambda: aws.received(url))
    (request_id, first), (second_id, second), (third_id, third) = noted(notes)
    assert request_id == second_id == third_id  # a retry is the same request
    assert second - first >= 1
    assert third - second >= 2
    record = json.loads(body)
    assert record["requestPayload"].pop("detail") == {"notes": str(notes)}
    assert record.pop("requestPayload").keys() >= {"id", "source", "detail-type", "time", "account", "region"}
    assert record.pop("timestamp").endswith("Z")
    assert record.pop("responsePayload")["errorMessage"] == "it never works"
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{function}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    }


def test_an_event_that_fails_once_is_retried_and_not_kept(aws: EmbeddedAws, notes: Path) -> None:
    url, queue = aws.queue()
    function = aws.function(FAILS_ONCE, allow("sqs:SendMessage", queue))
    keep_failures(aws, function, queue, MaximumRetryAttempts=1)

    aws.put_event(aws.bus_with_target(function), {"notes": str(notes)})

    eventually("the retry", lambda: len(noted(notes)) == 2)
    assert aws.received(url, wait=1) == []


def test_a_function_with_no_retries_is_tried_once(aws: EmbeddedAws, notes: Path) -> None:
    url, queue = aws.queue()
    function = aws.function(FAILS, allow("sqs:SendMessage", queue))
    keep_failures(aws, function, queue, MaximumRetryAttempts=0)

    aws.put_event(aws.bus_with_target(function), {"notes": str(notes)})

    [body] = eventually("the on-failure record", lambda: aws.received(url))
    assert json.loads(body)["requestContext"]["approximateInvokeCount"] == 1
    assert len(noted(notes)) == 1


def test_an_event_invocation_is_retried_and_kept_the_same_way(aws: EmbeddedAws, notes: Path) -> None:
    url, queue = aws.queue()
    function = aws.function(FAILS, allow("sqs:SendMessage", queue))
    keep_failures(aws, function, queue, MaximumRetryAttempts=1)

    event = {"detail": {"notes": str(notes)}}
    aws.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event))

    [body] = eventually("the on-failure record", lambda: aws.received(url))
    assert json.loads(body)["requestContext"]["approximateInvokeCount"] == len(noted(notes)) == 2


def test_a_throttled_event_waits_its_turn(aws: EmbeddedAws, notes: Path) -> None:
    url, queue = aws.queue()
    function = aws.function(WORKS_SLOWLY, allow("sqs:SendMessage", queue))
    keep_failures(aws, function, queue, MaximumRetryAttempts=0)
    aws.client("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)
    bus = aws.bus_with_target(function)

    for _ in range(3):
        aws.put_event(bus, {"notes": str(notes)})

    eventually("all three", lambda: len(noted(notes)) == 3)
    assert aws.received(url, wait=1) == []


def test_an_event_that_is_throttled_for_too_long_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[dict[str, Any]] = []
    monkeypatch.setattr(asynchronous, "exists", lambda _: True)
    monkeypatch.setattr(asynchronous, "_attempt", lambda *_: None)
    monkeypatch.setattr(asynchronous, "_keep", lambda _function, _options, record: kept.append(record))
    function = {"config": {"FunctionArn": "arn"}, "event_invoke_config": {"MaximumEventAgeInSeconds": 0}}

    asynchronous._work_off(function, {})

    [record] = kept
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 0


def test_asynchronous_events_wait_in_line_for_their_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that wait hold no place among those that run: the account's thousand would be used up."""
    running, may_end = list[str](), Event()

    def acquire(_: object, configuration: dict[str, str]) -> tuple[str, None]:
        running.append(configuration["FunctionArn"])
        assert may_end.wait(timeout=60)
        return "a place", None

    monkeypatch.setattr(lambda_svc, "_acquire_execution_slot", acquire)
    monkeypatch.setattr(lambda_svc, "_release_execution_slot", lambda _: None)
    monkeypatch.setattr(lambda_svc, "_execute_function_dispatch", lambda *_: {})

    def attempt(arn: str) -> object:
        return asynchronous._attempt({"config": {"FunctionArn": arn}}, {}, "")

    with ThreadPoolExecutor(3 * AT_ONCE + 1) as events:
        results = [events.submit(attempt, arn) for arn in [*["busy"] * 3 * AT_ONCE, "other"]]
        eventually("the other function's event", lambda: "other" in running and running.count("busy") >= AT_ONCE)
        assert running.count("busy") == AT_ONCE
        may_end.set()
        assert [result.result() for result in results] == [{}] * len(results)


def test_an_event_that_waited_in_line_runs_with_its_function_s_configuration_of_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, now = ({"FunctionArn": "a function", "Environment": gateway} for gateway in ("down", "up"))
    ran_with: list[object] = []
    monkeypatch.setattr(lambda_svc, "_get_func_record_for_ref", lambda _: ({"config": now}, now, "a function"))
    monkeypatch.setattr(lambda_svc, "_execution_record_for_config", lambda _, config: {"config": config})
    monkeypatch.setattr(lambda_svc, "_acquire_execution_slot", lambda *_: ("a place", None))
    monkeypatch.setattr(lambda_svc, "_release_execution_slot", lambda _: None)

    def dispatch(_: object, configuration: object, *__: object) -> dict[str, object]:
        ran_with.append(configuration)
        return {}

    monkeypatch.setattr(lambda_svc, "_execute_function_dispatch", dispatch)
    asynchronous._attempt({"config": before}, {}, "")
    assert ran_with == [now]


def test_a_deleted_function_is_not_retried_and_leaves_nothing(aws: EmbeddedAws, notes: Path) -> None:
    function = aws.function(FAILS)
    name, logs = function.rpartition(":")[2], aws.client("logs")

    def log_groups() -> Any:
        return logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]

    aws.put_event(aws.bus_with_target(function), {"notes": str(notes)})
    eventually("the end of the first attempt", log_groups)
    aws.client("lambda").delete_function(FunctionName=function)
    logs.delete_log_group(logGroupName=f"/aws/lambda/{name}")

    eventually("the end of the event", lambda: f"{name} was deleted" in aws.log_file.read_text())
    assert len(noted(notes)) == 1
    assert log_groups() == []


def test_a_function_that_is_deleted_while_it_runs_leaves_no_log(aws: EmbeddedAws, notes: Path) -> None:
    function = aws.function(
        f"{NOTE}\ndef handler(event, context):\n    note(event, context)\n    time.sleep(600)", Timeout=900
    )
    name = function.rpartition(":")[2]
    aws.put_event(aws.bus_with_target(function), {"notes": str(notes)})
    eventually("the invocation", lambda: noted(notes))

    aws.client("lambda").delete_function(FunctionName=function)

    eventually("the end of the invocation", lambda: f"{name} was deleted" in aws.log_file.read_text())
    assert aws.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"] == []


def test_a_function_whose_role_may_not_send_to_its_queue_loses_the_record(aws: EmbeddedAws, notes: Path) -> None:
    url, queue = aws.queue()
    function = aws.function(FAILS, allow("sqs:SendMessage", f"{queue}-of-somebody-else"))
    keep_failures(aws, function, queue, MaximumRetryAttempts=0)

    aws.put_event(aws.bus_with_target(function), {"notes": str(notes)})

    name = function.rpartition(":")[2]
    eventually("the loss", lambda: f"{name}: the on-failure record is lost" in aws.log_file.read_text())
    assert aws.received(url) == []


# --- AWS::Events::Archive --------------------------------------------------------------------------------------------


def archive_template(bus: str, **properties: Any) -> dict[str, Any]:
    archive = {
        "Type": "AWS::Events::Archive",
        "Properties": {"SourceArn": {"Fn::GetAtt": ["Bus", "Arn"]}, **properties},
    }
    return {
        "Resources": {"Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": bus}}, "Archive": archive},
        "Outputs": {"Name": {"Value": {"Ref": "Archive"}}, "Arn": {"Value": {"Fn::GetAtt": ["Archive", "Arn"]}}},
    }


def archives(aws: EmbeddedAws, prefix: str) -> dict[str, dict[str, Any]]:
    events = aws.client("events")
    names = [each["ArchiveName"] for each in events.list_archives(NamePrefix=prefix)["Archives"]]
    return {name: events.describe_archive(ArchiveName=name) for name in names}


def test_an_archive_lives_with_its_stack(aws: EmbeddedAws) -> None:
    outputs = aws.deploy(archive_template("archived", ArchiveName="archive", RetentionDays=30), "archived")
    assert outputs["Name"] == "archive"
    assert outputs["Arn"].endswith(":archive/archive")
    archive = archives(aws, "archive")["archive"]
    assert archive["EventSourceArn"].endswith(":event-bus/archived")
    assert archive["RetentionDays"] == 30

    aws.put_event("archived")
    assert archives(aws, "archive")["archive"]["EventCount"] == 1

    pattern = {"source": ["somebody"]}
    aws.deploy(archive_template("archived", ArchiveName="archive", RetentionDays=7, EventPattern=pattern), "archived")
    changed = archives(aws, "archive")["archive"]
    assert changed["RetentionDays"] == 7
    assert json.loads(changed["EventPattern"]) == pattern
    assert changed["EventCount"] == 1  # it is the same one

    aws.deploy(archive_template("archived", ArchiveName="archive-2"), "archived")
    assert archives(aws, "archive").keys() == {"archive-2"}

    cloudformation = aws.client("cloudformation")
    cloudformation.delete_stack(StackName="archived")
    eventually("the end of the stack", lambda: not archives(aws, "archive"))


# What the framework makes of a WebSocket API.
SOCKETS = {
    "Sockets": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "sockets", "ProtocolType": "WEBSOCKET"}},
    "Stage": {
        "Type": "AWS::ApiGatewayV2::Stage",
        "Properties": {"ApiId": {"Ref": "Sockets"}, "StageName": "here", "DeploymentId": {"Ref": "Deployment"}},
    },
    "Deployment": {
        "Type": "AWS::ApiGatewayV2::Deployment",
        "DependsOn": ["Route"],
        "Properties": {"ApiId": {"Ref": "Sockets"}, "Description": "deployed"},
    },
    "Route": {
        "Type": "AWS::ApiGatewayV2::Route",
        "Properties": {
            "ApiId": {"Ref": "Sockets"},
            "RouteKey": "$connect",
            "Target": {"Fn::Join": ["/", ["integrations", {"Ref": "Integration"}]]},
        },
    },
}
SPEAKS = """
def handler(event, context):
    print("connected as", event["queryStringParameters"]["name"])
    return {"statusCode": 200}
"""


def websocket_template(function: str) -> dict[str, Any]:
    invocations = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
    integration = {
        "Type": "AWS::ApiGatewayV2::Integration",
        "Properties": {
            "ApiId": {"Ref": "Sockets"},
            "IntegrationType": "AWS_PROXY",
            "IntegrationUri": invocations,
        },
    }
    return {
        "Resources": {**SOCKETS, "Integration": integration},
        "Outputs": {"Id": {"Value": {"Ref": "Sockets"}}, "Deployment": {"Value": {"Ref": "Deployment"}}},
    }


def test_a_websocket_api_is_deployed_with_its_deployment(aws: EmbeddedAws) -> None:
    outputs = aws.deploy(websocket_template(aws.function(SPEAKS)), "sockets")

    deployments = aws.client("apigatewayv2").get_deployments(ApiId=outputs["Id"])["Items"]
    assert [each["DeploymentId"] for each in deployments] == [outputs["Deployment"]]


def test_what_a_function_logs_of_a_websocket_is_in_its_log(aws: EmbeddedAws) -> None:
    function = aws.function(SPEAKS)
    outputs = aws.deploy(websocket_template(function), "spoken")
    with connect(f"{aws.url.replace('http', 'ws')}/_aws/execute-api/{outputs['Id']}/here?name=ada", proxy=None):
        pass

    def log() -> list[str]:
        group = f"/aws/lambda/{function.rpartition(':')[2]}"
        return [each["message"] for each in aws.client("logs").filter_log_events(logGroupName=group)["events"]]

    assert any("connected as ada" in line for line in eventually("the log", log))


def test_a_function_finds_an_api_of_api_gateway_where_the_emulator_has_it(aws: EmbeddedAws) -> None:
    urls = {
        "HTTP": "https://abc123.execute-api.us-east-1.amazonaws.com/here",
        "SOCKET": "wss://abc123.execute-api.us-east-1.amazonaws.com/here",
        "OTHER": "https://example.com/execute-api",
    }
    function = aws.function(
        "import os\ndef handler(event, context):\n    return {name: os.environ[name] for name in event}",
        Environment={"Variables": urls},
    )
    payload = aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps([*urls]))["Payload"].read()

    here = f"{aws.url.partition('://')[2]}/_aws/execute-api/abc123/here"
    assert json.loads(payload) == {"HTTP": f"http://{here}", "SOCKET": f"ws://{here}", "OTHER": urls["OTHER"]}


def test_a_replay_that_ends_before_it_starts_or_has_a_wrong_name_is_refused(aws: EmbeddedAws) -> None:
    events, now = aws.client("events"), datetime.now(UTC)
    bus = events.create_event_bus(Name="replayed")["EventBusArn"]
    archive = events.create_archive(ArchiveName="replayed", EventSourceArn=bus)["ArchiveArn"]

    def replay(name: str, *, minutes: int) -> None:
        span = {"EventStartTime": now, "EventEndTime": now + timedelta(minutes=minutes)}
        events.start_replay(ReplayName=name, EventSourceArn=archive, Destination={"Arn": bus}, **span)

    for name, minutes in (("backwards", -1), ("a name", 1), ("n" * 65, 1), ("name/1", 1)):
        with pytest.raises(ClientError, match="ValidationException"):
            replay(name, minutes=minutes)
    assert events.list_replays()["Replays"] == []
    replay("n" * 64, minutes=1)


def test_a_bucket_with_files_or_their_older_versions_stays_and_fails_the_removal_of_its_stack(aws: EmbeddedAws) -> None:
    versions = {"VersioningConfiguration": {"Status": "Enabled"}}
    bucket = {"Type": "AWS::S3::Bucket", "Properties": versions}
    template = {"Resources": {"Bucket": bucket}, "Outputs": {"Name": {"Value": {"Ref": "Bucket"}}}}
    name = aws.deploy(template, "bucket")["Name"]
    s3, cloudformation = aws.client("s3"), aws.client("cloudformation")
    s3.put_object(Bucket=name, Key="file", Body=b"")

    def removed() -> str:
        """How the removal of the stack ends."""
        cloudformation.delete_stack(StackName="bucket")

        def status() -> str:
            try:
                return str(cloudformation.describe_stacks(StackName="bucket")["Stacks"][0]["StackStatus"])
            except ClientError:
                return "DELETE_COMPLETE"

        return eventually("the end of the stack", lambda: (now := status()) != "DELETE_IN_PROGRESS" and now) or ""

    assert removed() == "DELETE_FAILED"
    s3.delete_object(Bucket=name, Key="file")  # leaves the version and a marker
    assert removed() == "DELETE_FAILED"
    kept = s3.list_object_versions(Bucket=name)
    for each in (*kept["Versions"], *kept["DeleteMarkers"]):
        s3.delete_object(Bucket=name, Key=each["Key"], VersionId=each["VersionId"])
    assert removed() == "DELETE_COMPLETE"
    with pytest.raises(ClientError):
        s3.head_bucket(Bucket=name)


# --- who may come in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["AKIALOCALADMINISTRATOR", "test", "000000000000"])
def test_the_administrator_is_who_knows_the_secret(aws: EmbeddedAws, key: str) -> None:
    guessing = aws.client_of((key, "guessed"), "lambda")

    with pytest.raises(ClientError, match="InvalidSignatureException"):
        guessing.list_functions()
    assert aws.client("sts").get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"


@pytest.mark.parametrize("authorization", [None, "Bearer x", "Basic eDp4", "anything"])
def test_a_request_without_a_signature_is_refused(aws: EmbeddedAws, authorization: str | None) -> None:
    """A web page may send one: MiniStack tells browsers that every origin is welcome."""
    headers = {"Origin": "https://example.com"} | ({"Authorization": authorization} if authorization else {})
    request = urllib.request.Request(f"{aws.url}/2015-03-31/functions", headers=headers)

    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)


def test_what_aws_serves_without_a_signature_is_served(aws: EmbeddedAws) -> None:
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="signing-up")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="page")["UserPoolClient"]["ClientId"]
    body = json.dumps({"ClientId": client, "Username": "anna", "Password": "Trial-password-1"}).encode()
    headers = {
        "X-Amz-Target": "AWSCognitoIdentityProviderService.SignUp",
        "Content-Type": "application/x-amz-json-1.1",
    }

    with urllib.request.urlopen(urllib.request.Request(aws.url, headers=headers, data=body)) as answer:
        assert json.load(answer)["UserConfirmed"] is False


# --- IAM -------------------------------------------------------------------------------------------------------------

PAID = {"Source": "shop.payment", "DetailType": "Paid"}


MINE: dict[str, Any] = {"events:source": "shop.payment", "events:detail-type": ["Paid", "Declined"]}
ONLY_MINE: dict[str, Any] = {"ForAllValues:StringEquals": MINE, "Null": dict.fromkeys(MINE, "false")}


@pytest.mark.parametrize(
    ("entries", "allowed"),
    [
        ([PAID], True),
        ([PAID, PAID], True),
        ([PAID, {**PAID, "DetailType": "Declined"}], True),
        ([{**PAID, "Source": "shop.orders"}], False),
        ([{**PAID, "DetailType": "Refunded"}], False),
        ([PAID, {**PAID, "DetailType": "Refunded"}], False),
        ([{**PAID, "Source": "shop.orders"}, PAID], False),
        ([{"Source": "shop.payment"}], False),
        ([{"DetailType": "Paid"}], False),
        ([{**PAID, "DetailType": ""}], False),
        ([{}], False),
    ],
)
def test_iam_judges_a_call_by_the_sources_and_detail_types_of_all_its_events(
    aws: EmbeddedAws, entries: list[dict[str, str]], allowed: bool
) -> None:
    publisher = aws.client_of(aws.user(allow("events:PutEvents", **ONLY_MINE)), "events")

    def publish() -> None:
        publisher.put_events(Entries=[{**entry, "Detail": "{}"} for entry in entries])

    if allowed:
        publish()
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            publish()


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": MINE}, False),
        ({"ForAnyValue:StringEquals": MINE}, True),
        ({"ForAllValues:StringEquals": MINE}, True),
    ],
)
def test_a_key_with_several_values_meets_only_a_condition_that_says_how_many_must_match(
    aws: EmbeddedAws, condition: dict[str, Any], allowed: bool
) -> None:
    publisher = aws.client_of(aws.user(allow("events:PutEvents", **condition)), "events")

    if allowed:
        publisher.put_events(Entries=[{**PAID, "Detail": "{}"}])
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            publisher.put_events(Entries=[{**PAID, "Detail": "{}"}])


def test_without_null_a_condition_on_all_values_allows_a_call_that_has_none(aws: EmbeddedAws) -> None:
    """Why the roles demand both keys."""
    condition: dict[str, Any] = {"ForAllValues:StringEquals": MINE}
    publisher = aws.client_of(aws.user(allow("events:PutEvents", **condition)), "events")

    publisher.put_events(Entries=[{"Detail": "{}"}])


def test_an_event_that_lacks_what_every_event_needs_is_refused_and_the_others_are_taken(aws: EmbeddedAws) -> None:
    whole = {**PAID, "Detail": "{}"}
    lacking = [{name: value for name, value in whole.items() if name != missing} for missing in whole]

    answer = aws.client("events").put_events(Entries=[lacking[0], whole, *lacking[1:]])

    assert answer["FailedEntryCount"] == 3
    assert [entry.get("ErrorMessage", "taken") for entry in answer["Entries"]] == [
        "Parameter Source is not valid. Reason: Source is a required argument.",
        "taken",
        "Parameter DetailType is not valid. Reason: DetailType is a required argument.",
        "Parameter Detail is not valid. Reason: Detail is a required argument.",
    ]


@pytest.mark.parametrize(
    ("sender", "allowed"),
    [("shop@example.com", True), ("The Shop <shop@example.com>", True), ("boss@example.com", False)],
)
def test_iam_judges_an_email_by_its_sender(aws: EmbeddedAws, sender: str, allowed: bool) -> None:
    ses = aws.client("sesv2")
    for address in ("shop@example.com", "boss@example.com"):
        if address not in [each["IdentityName"] for each in ses.list_email_identities()["EmailIdentities"]]:
            ses.create_email_identity(EmailIdentity=address)
    mine = allow(
        "ses:SendEmail",
        "arn:aws:ses:us-east-1:000000000000:identity/*",
        StringEquals={"ses:FromAddress": "shop@example.com"},
    )
    mailer = aws.client_of(aws.user(mine), "sesv2")

    def send() -> None:
        text = {"Data": "Hello"}
        mailer.send_email(
            FromEmailAddress=sender,
            Destination={"ToAddresses": ["anna@example.com"]},
            Content={"Simple": {"Subject": text, "Body": {"Text": text}}},
        )

    if allowed:
        send()
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            send()


# --- customers and their mail ----------------------------------------------------------------------------------------

PASSWORD = "Trial-password-1"


class Pool(NamedTuple):
    pool: str
    client: str


def pool_of_customers(aws: EmbeddedAws, *, case_sensitive: bool) -> Pool:
    """A pool like the system's, in which Anna has signed up and is confirmed."""
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(
        PoolName="customers",
        UsernameAttributes=["email"],
        AutoVerifiedAttributes=["email"],
        UsernameConfiguration={"CaseSensitive": case_sensitive},
    )["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="page", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    sign_up(aws, client, "anna@example.com")
    cognito.admin_confirm_sign_up(UserPoolId=pool, Username="anna@example.com")
    return Pool(pool, client)


def sign_up(aws: EmbeddedAws, client: str, email: str) -> str:
    answer = aws.client("cognito-idp").sign_up(
        ClientId=client, Username=email, Password=PASSWORD, UserAttributes=[{"Name": "email", "Value": email}]
    )
    return str(answer["UserSub"])


def sign_in(aws: EmbeddedAws, client: str, email: str, password: str = PASSWORD) -> Any:
    return aws.client("cognito-idp").initiate_auth(
        ClientId=client, AuthFlow="USER_PASSWORD_AUTH", AuthParameters={"USERNAME": email, "PASSWORD": password}
    )["AuthenticationResult"]


def test_an_address_in_another_case_is_the_same_customer(aws: EmbeddedAws) -> None:
    cognito, anna = aws.client("cognito-idp"), "ANNA@Example.com"
    pool, client = pool_of_customers(aws, case_sensitive=False)

    with pytest.raises(cognito.exceptions.UsernameExistsException):
        sign_up(aws, client, anna)
    with pytest.raises(cognito.exceptions.UsernameExistsException):
        cognito.admin_create_user(UserPoolId=pool, Username=anna)

    user = cognito.get_user(AccessToken=sign_in(aws, client, anna)["AccessToken"])
    assert {"Name": "email", "Value": "anna@example.com"} in user["UserAttributes"]
    cognito.forgot_password(ClientId=client, Username=anna)
    latest = messages(aws.url, "anna@example.com")[-1]
    [code] = re.findall(r"\b\d{6}\b", latest["BodyText"] or latest["BodyHtml"])
    cognito.confirm_forgot_password(
        ClientId=client, Username=anna.lower(), ConfirmationCode=code, Password="Trial-password-2"
    )
    assert sign_in(aws, client, anna, "Trial-password-2")


def test_a_pool_that_minds_the_case_still_does(aws: EmbeddedAws) -> None:
    cognito = aws.client("cognito-idp")
    _, client = pool_of_customers(aws, case_sensitive=True)

    with pytest.raises(cognito.exceptions.UserNotFoundException):
        sign_in(aws, client, "Anna@example.com")
    assert sign_up(aws, client, "Anna@example.com")


@pytest.mark.parametrize(
    ("recipient", "refusal"),
    [
        ("anna@example.com", None),
        ("anna@xn--bcher-kva.example", None),
        ("anna@bücher.example", "Domain contains illegal character"),
        ("jürgen@example.com", "Local address contains control or whitespace"),
    ],
)
def test_ses_takes_recipients_in_ascii_only(aws: EmbeddedAws, recipient: str, refusal: str | None) -> None:
    ses, text = aws.client("sesv2"), {"Data": "Grüße"}
    if "us@example.com" not in [each["IdentityName"] for each in ses.list_email_identities()["EmailIdentities"]]:
        ses.create_email_identity(EmailIdentity="us@example.com")

    def send() -> None:
        ses.send_email(
            FromEmailAddress="us@example.com",
            Destination={"ToAddresses": ["bela@example.com", recipient]},
            Content={"Simple": {"Subject": text, "Body": {"Text": text}}},
        )

    if refusal is None:
        send()
    else:
        with pytest.raises(ses.exceptions.BadRequestException, match=refusal):
            send()


# --- functions -------------------------------------------------------------------------------------------------------

LOOKS_AROUND = """
import importlib.util, os
def handler(event, context):
    return {
        "found": [name for name in event["names"] if importlib.util.find_spec(name)],
        "environment": dict(os.environ),
        "here": os.getcwd(),
        "files": os.listdir(),
        "process": os.getpid(),
    }
"""


def looked_around(aws: EmbeddedAws, *names: str) -> Any:
    function = aws.function(LOOKS_AROUND)
    return json.load(
        aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps({"names": names}))["Payload"]
    )


def test_a_function_finds_only_what_is_packaged_and_the_standard_library(aws: EmbeddedAws) -> None:
    names = ("sqlite3", "index", "boto3", "ministack", "rich", "pip", "local", "handlers")

    assert looked_around(aws, *names)["found"] == ["sqlite3", "index"]


def test_a_function_sees_nothing_of_the_users_environment(aws: EmbeddedAws) -> None:
    assert "OF_THE_USER" not in looked_around(aws)["environment"]


def test_a_functions_calls_tell_its_name_and_its_process(aws: EmbeddedAws) -> None:
    seen = looked_around(aws)

    function = seen["environment"]["AWS_LAMBDA_FUNCTION_NAME"].rpartition("-")[2]
    assert seen["environment"]["AWS_SDK_UA_APP_ID"] == f"{function}-{seen['process']}"


def test_functions_of_one_package_share_it_unpacked(aws: EmbeddedAws) -> None:
    one, other = looked_around(aws), looked_around(aws)

    assert one["process"] != other["process"]
    assert one["here"] == other["here"] == one["environment"]["LAMBDA_TASK_ROOT"]
    assert "index.py" in one["files"]


TAKES_A_WHILE = """
import os, time
def handler(event, context):
    time.sleep(0.2)  # long enough for all to meet
    return os.getpid()
"""


def test_a_burst_waits_for_a_few_processes_of_its_function(aws: EmbeddedAws) -> None:
    function = aws.function(TAKES_A_WHILE)
    functions = aws.client("lambda")

    with ThreadPoolExecutor(3 * AT_ONCE) as pool:
        calls = [pool.submit(functions.invoke, FunctionName=function) for _ in range(3 * AT_ONCE)]
        processes = [json.load(call.result()["Payload"]) for call in calls]

    assert len(processes) == 3 * AT_ONCE
    assert 1 < len(set(processes)) <= AT_ONCE


# --- logs ------------------------------------------------------------------------------------------------------------


def test_a_function_that_logs_nothing_answers_at_once(aws: EmbeddedAws) -> None:
    """Measured against one that logs, which MiniStack by itself keeps a tenth as long."""
    fastest = {}
    for source in ("def handler(event, context): pass", "def handler(event, context): print('a line')"):
        function, functions, taken = aws.function(source), aws.client("lambda"), []
        for _ in range(30):
            started = time.monotonic()
            functions.invoke(FunctionName=function)
            taken.append(time.monotonic() - started)
        fastest[source] = min(taken)

    silent, talking = fastest.values()
    assert silent < 3 * talking


LOGS_HALF_A_LINE = """
import sys
def handler(event, context):
    print("whole", event)
    sys.stdout.write(f"half {event}")
    if event == "fails":
        raise ValueError(event)
"""


@pytest.mark.parametrize("event", ["well", "fails"])
def test_what_a_function_logs_is_in_the_log_of_its_invocation(aws: EmbeddedAws, event: str) -> None:
    function = aws.function(LOGS_HALF_A_LINE)
    for each in ("before", event):
        aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(each))

    found = aws.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{function.rpartition(':')[2]}")["events"]
    lines = [line["message"] for line in found]
    of_the_last = lines[max(number for number, line in enumerate(lines) if line.startswith("START")) :]
    assert of_the_last[1:3] == [f"whole {event}", f"half {event}"]


# --- tokens ----------------------------------------------------------------------------------------------------------

Door = Callable[[str], int]
"""The status of an API's response to a token."""


@pytest.fixture(scope="module")
def door(aws: EmbeddedAws) -> tuple[Door, SigningKey, dict[str, Any]]:
    """A door, the key that its pool signs with, and claims that open it."""
    pool, gateway = aws.client("cognito-idp").create_user_pool(PoolName="door")["UserPool"]["Id"], "apigatewayv2"
    with urllib.request.urlopen(f"{aws.url}/{pool}/.well-known/jwks.json"):  # makes the keys
        key = SigningKey.of_pool(aws.state, pool)
    api = aws.client(gateway).create_api(Name="door", ProtocolType="HTTP")["ApiId"]
    issuer = f"https://cognito-idp.us-east-1.amazonaws.com/{pool}"
    authorizer = aws.client(gateway).create_authorizer(
        ApiId=api,
        AuthorizerType="JWT",
        Name="customer",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": issuer, "Audience": ["client"]},
    )["AuthorizerId"]
    integration = aws.client(gateway).create_integration(
        ApiId=api,
        IntegrationType="AWS_PROXY",
        IntegrationUri=aws.function("def handler(event, context): return {'statusCode': 200}"),
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    aws.client(gateway).create_route(
        ApiId=api,
        RouteKey="GET /mine",
        Target=f"integrations/{integration}",
        AuthorizationType="JWT",
        AuthorizerId=authorizer,
    )
    aws.client(gateway).create_stage(ApiId=api, StageName="$default", AutoDeploy=True)

    def status(token: str) -> int:
        url = f"{aws.url}/_aws/execute-api/{api}/$default/mine"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers={"authorization": token})) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    now = int(time.time())
    return status, key, {"iss": issuer, "aud": "client", "sub": "anna", "iat": now, "exp": now + 3600}


def test_a_token_is_three_parts_of_base64url_says_rs256_and_expires(
    door: tuple[Door, SigningKey, dict[str, Any]],
) -> None:
    status, key, claims = door
    good = key.signed(claims)
    head, payload, signature = good.split(".")
    endless = {name: value for name, value in claims.items() if name != "exp"}

    assert status(good) == status(f"Bearer {good}") == 200
    for header in ({"alg": "none"}, {"alg": "HS256"}, {"alg": "RS512"}, {"alg": "rs256"}, {"alg": None}):
        assert status(key.signed(claims, **header)) == 401, header
    no_objects: tuple[object, ...] = (None, [], 1, "RS256")
    for no_object in no_objects:
        assert status(f"{encoded(no_object)}.{payload}.{signature}") == 401, no_object
    assert status(key.signed(endless)) == 401
    assert status(key.signed({**claims, "exp": str(claims["exp"])})) == 401
    assert status(key.signed({**claims, "nbf": "yesterday"})) == 401
    assert status(key.signed([claims])) == 401
    for spelling in (f"{good}!", f"{good}==", f"{good[:-9]} {good[-9:]}", f"{head}.{payload}=.{signature}", f"{good}."):
        assert status(spelling) == 401, spelling


# --- another MiniStack -----------------------------------------------------------------------------------------------

TAKEN_HOLD_OF = [
    "ministack.services.eventbridge._dispatch_to_lambda",
    "ministack.services.eventbridge._create_archive",
    "ministack.services.cloudformation.provisioners._RESOURCE_HANDLERS",
    "ministack.services.s3._bucket_has_versions",
    "ministack.services.lambda_svc._execute_function_dispatch",
    "ministack.services.lambda_svc._emit_lambda_logs",
    "ministack.core.iam_actions.request_tag_context",
    "ministack.core.iam_evaluator.enforce",
    "ministack.core.iam_evaluator._is_root_key",
    "ministack.core.lambda_runtime._detect_runtime_binary",
    "ministack.services.apigateway._validate_jwt_authorizer",
]


START_WITHOUT_EACH = """
import importlib, os, sys
from local.emulator.bridge.__main__ import main
for name in sys.argv[1:]:
    if os.fork() == 0:
        module, _, attribute = name.rpartition(".")
        delattr(importlib.import_module(module), attribute)
        main()
    os.wait()
"""


def test_a_ministack_that_the_bridge_does_not_fit_does_not_start() -> None:
    result = subprocess.run(
        [sys.executable, "-c", START_WITHOUT_EACH, *TAKEN_HOLD_OF], capture_output=True, text=True, timeout=GENEROUS
    )

    assert result.stderr.splitlines() == [
        f"this MiniStack has no {name}: local/emulator/bridge does not fit its version" for name in TAKEN_HOLD_OF
    ]
