"""Where the embedded AWS still differs from AWS. docs/emulator.md lists each of them and says what covers it instead.

A test that fails here is good news: MiniStack has learned it, so the difference leaves the list. The names say what the
embedded AWS does.
"""

import asyncio
import base64
import json
import platform
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from ministack.services import apigateway
from websockets.sync.client import connect

from local.emulator.ports import free_port
from local.emulator.process import emulator
from local.emulator.state import State
from tests.local.embedded_aws import GENEROUS, EmbeddedAws, allow, eventually, policy

NOTHING = "def handler(event, context): pass"
PASSWORD = "Trial-password-1"


def invoked(aws: EmbeddedAws, function: str, event: Any = None) -> Any:
    """The answer of a function, or its error."""
    return json.load(aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))["Payload"])


# --- who may do what -------------------------------------------------------------------------------------------------


def test_eventbridge_needs_no_permission_of_the_function(aws: EmbeddedAws, notes: Path) -> None:
    function = aws.function("def handler(event, context): open(event['detail']['notes'], 'w').write('called')")

    aws.put_event(aws.bus_with_target(function), {"notes": str(notes)})

    eventually("the call", notes.read_text)
    assert json.loads(aws.client("lambda").get_policy(FunctionName=function)["Policy"])["Statement"] == []


def test_a_topics_policy_is_not_asked_but_a_queues_policy_is(aws: EmbeddedAws) -> None:
    sns = aws.client("sns")
    topic = sns.create_topic(Name="with-no-policy-for-eventbridge")["TopicArn"]
    from_sns = {**allow("sqs:SendMessage"), "Principal": {"Service": "sns.amazonaws.com"}}
    open_url, open_queue = aws.queue(Policy=policy(from_sns))
    closed_url, closed_queue = aws.queue()
    for queue in (open_queue, closed_queue):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})

    aws.put_event(aws.bus_with_target(topic))

    assert eventually("the event behind the topic", lambda: aws.received(open_url))
    assert aws.received(closed_url) == []


def test_a_queue_is_read_for_a_function_whose_role_may_not(aws: EmbeddedAws, notes: Path) -> None:
    url, queue = aws.queue()
    function = aws.function("def handler(event, context): open(event['Records'][0]['body'], 'w').write('called')")
    aws.client("lambda").create_event_source_mapping(FunctionName=function, EventSourceArn=queue)

    aws.client("sqs").send_message(QueueUrl=url, MessageBody=str(notes))

    eventually("the call", notes.read_text)


def test_a_functions_log_is_kept_whatever_its_role(aws: EmbeddedAws) -> None:
    function = aws.function("def handler(event, context): print('no right to write this')")
    invoked(aws, function)

    group = f"/aws/lambda/{function.rpartition(':')[2]}"
    lines = [event["message"] for event in aws.client("logs").filter_log_events(logGroupName=group)["events"]]
    assert "no right to write this" in lines


def test_an_on_failure_queue_is_accepted_though_the_role_may_not_send_to_it(aws: EmbeddedAws) -> None:
    _, queue = aws.queue()

    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=aws.function(NOTHING), DestinationConfig={"OnFailure": {"Destination": queue}}
    )


def test_what_ministack_shows_of_its_inside_needs_no_signature(aws: EmbeddedAws) -> None:
    assert aws.inside("ses/messages").keys() == {"messages"}


def test_the_administrator_may_take_on_a_role_that_trusts_lambda_only(aws: EmbeddedAws) -> None:
    trust = policy({**allow("sts:AssumeRole"), "Principal": {"Service": "lambda.amazonaws.com"}})
    role = aws.client("iam").create_role(RoleName="for-lambda-only", AssumeRolePolicyDocument=trust)["Role"]["Arn"]

    assert aws.client("sts").assume_role(RoleArn=role, RoleSessionName="administrator")["Credentials"]


def test_which_attributes_an_update_names_is_no_matter_of_iam(aws: EmbeddedAws) -> None:
    only_its_status = {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["orderId", "status"]}}
    statement = {**allow("dynamodb:UpdateItem"), "Condition": only_its_status}
    somebody = aws.client_of(aws.user(statement), "dynamodb")
    key = {"AttributeName": "orderId", "KeyType": "HASH"}
    aws.client("dynamodb").create_table(
        TableName="attributes",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "orderId", "AttributeType": "S"}],
        KeySchema=[key],
    )

    taken = somebody.update_item(
        TableName="attributes",
        Key={"orderId": {"S": "1"}},
        UpdateExpression="SET payment = :paid",
        ExpressionAttributeValues={":paid": {"S": "by somebody else"}},
    )

    assert taken["ResponseMetadata"]["HTTPStatusCode"] == 200


# --- Lambda ----------------------------------------------------------------------------------------------------------


def test_a_function_runs_on_this_machines_python_and_processor(aws: EmbeddedAws) -> None:
    source = "import platform, sys\ndef handler(event, context): return [*sys.version_info[:2], platform.machine()]"
    function = aws.function(source, Architectures=["arm64"])  # declared: python3.13

    assert invoked(aws, function) == [*sys.version_info[:2], platform.machine()]


def test_a_functions_memory_has_no_limit_and_its_code_can_be_written_to(aws: EmbeddedAws) -> None:
    source = "def handler(event, context): open('written', 'w').write('x'); return len(bytearray(200_000_000))"

    assert invoked(aws, aws.function(source, MemorySize=128)) == 200_000_000


def test_a_failed_invocation_ends_its_process_and_its_error_has_no_type(aws: EmbeddedAws) -> None:
    source = "import os\ndef handler(event, context):\n    if event: raise ValueError(event)\n    return os.getpid()"
    function = aws.function(source)
    before = invoked(aws, function)

    assert invoked(aws, function, "bad") == {"errorMessage": "bad", "errorType": "Runtime.HandlerError"}
    assert invoked(aws, function) != before


# --- EventBridge and SQS ---------------------------------------------------------------------------------------------


def test_what_a_rule_can_not_deliver_is_lost(aws: EmbeddedAws) -> None:
    url, queue = aws.queue(Policy=policy({**allow("sqs:SendMessage"), "Principal": "*"}))
    function = aws.function(NOTHING)
    bus = aws.bus_with_target(function, DeadLetterConfig={"Arn": queue}, RetryPolicy={"MaximumRetryAttempts": 0})
    aws.client("lambda").delete_function(FunctionName=function)

    aws.put_event(bus)

    eventually("the warning", lambda: f"no function {function.rpartition(':')[2]}" in aws.log_file.read_text())
    assert aws.received(url, wait=1) == []


def test_an_event_of_over_a_megabyte_is_taken(aws: EmbeddedAws) -> None:
    aws.put_event("default", {"long": "x" * 1_100_000})


def test_a_replay_reaches_every_rule(aws: EmbeddedAws) -> None:
    events, rules = aws.client("events"), {}
    bus = events.create_event_bus(Name="replayed")["EventBusArn"]
    for name in ("filtered-for", "filtered-out"):
        url, queue = aws.queue()
        rule = events.put_rule(Name=name, EventBusName="replayed", EventPattern='{"source": ["test"]}')["RuleArn"]
        events.put_targets(Rule=name, EventBusName="replayed", Targets=[{"Id": "queue", "Arn": queue}])
        rules[name] = rule, url
    archive = events.create_archive(ArchiveName="replayed", EventSourceArn=bus)["ArchiveArn"]
    aws.put_event("replayed")
    [original] = eventually("the event", partial(aws.received, rules["filtered-for"][1]))
    eventually("the same event", partial(aws.received, rules["filtered-out"][1]))

    now = datetime.now(UTC)
    events.start_replay(
        ReplayName="replay",
        EventSourceArn=archive,
        EventStartTime=now - timedelta(minutes=1),
        EventEndTime=now + timedelta(minutes=1),
        Destination={"Arn": bus, "FilterArns": [rules["filtered-for"][0]]},
    )

    for _, url in rules.values():
        [again] = eventually("the replayed event", partial(aws.received, url))
        assert json.loads(again) == {**json.loads(original), "replay-name": "replay"}


def test_an_archived_event_can_be_replayed_at_once(aws: EmbeddedAws) -> None:
    events = aws.client("events")
    bus = events.create_event_bus(Name="archived-at-once")["EventBusArn"]
    events.create_archive(ArchiveName="at-once", EventSourceArn=bus)
    aws.put_event("archived-at-once")

    assert events.describe_archive(ArchiveName="at-once")["EventCount"] == 1  # on AWS within ten minutes


def test_dead_letters_can_not_be_moved_by_sqs(aws: EmbeddedAws) -> None:
    _, queue = aws.queue()
    aws.queue(RedrivePolicy=json.dumps({"deadLetterTargetArn": queue, "maxReceiveCount": "1"}))

    with pytest.raises(ClientError, match="InvalidAction"):
        aws.client("sqs").start_message_move_task(SourceArn=queue)


# --- CloudWatch ------------------------------------------------------------------------------------------------------

COUNTS = """
import json, time
def handler(event, context):
    metric = {"Namespace": "Shop", "Dimensions": [[]], "Metrics": [{"Name": "Sold", "Unit": "Count"}]}
    print(json.dumps({"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metric]}, "Sold": 1}))
"""


def test_lambda_logs_start_end_and_report_though_only_failures_are_asked_for(aws: EmbeddedAws) -> None:
    function = aws.function(NOTHING, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "WARN"})
    invoked(aws, function)

    group = f"/aws/lambda/{function.rpartition(':')[2]}"
    lines = [event["message"] for event in aws.client("logs").filter_log_events(logGroupName=group)["events"]]
    assert [line.split()[0] for line in lines] == ["START", "END", "REPORT"]


def test_there_are_no_metrics_of_queues_events_or_printed_ones_and_so_no_alarms(aws: EmbeddedAws) -> None:
    url, queue = aws.queue()
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="waiting")
    invoked(aws, aws.function(COUNTS))
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="depth",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": queue.rpartition(":")[2]}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )

    assert {metric["Namespace"] for metric in cloudwatch.list_metrics()["Metrics"]} == {"AWS/Lambda"}
    [alarm] = cloudwatch.describe_alarms(AlarmNames=["depth"])["MetricAlarms"]
    assert alarm["StateValue"] == "INSUFFICIENT_DATA"


# --- CloudFormation --------------------------------------------------------------------------------------------------

POOL: dict[str, Any] = {
    "Type": "AWS::Cognito::UserPool",
    "Properties": {
        "UsernameAttributes": ["email"],
        "AutoVerifiedAttributes": ["email"],
        "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
    },
}


def test_backups_and_encryption_of_a_table_are_left_out(aws: EmbeddedAws) -> None:
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True},
        },
    }
    name = aws.deploy({"Resources": {"Table": table}, "Outputs": {"Name": {"Value": {"Ref": "Table"}}}}, "t")["Name"]

    dynamodb = aws.client("dynamodb")
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"
    assert "SSEDescription" not in dynamodb.describe_table(TableName=name)["Table"]


def test_adding_to_what_is_no_number_changes_nothing_and_is_no_error(aws: EmbeddedAws) -> None:
    dynamodb, key = aws.client("dynamodb"), {"id": {"S": "1"}}
    dynamodb.create_table(
        TableName="no-number",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    dynamodb.put_item(TableName="no-number", Item={**key, "requests": {"S": "text"}})

    after = dynamodb.update_item(
        TableName="no-number",
        Key=key,
        UpdateExpression="SET requests = requests + :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="ALL_NEW",
    )

    assert after["Attributes"]["requests"] == {"S": "text"}


def test_a_protected_user_pool_can_be_deleted(aws: EmbeddedAws) -> None:
    protected = {**POOL, "Properties": {**POOL["Properties"], "DeletionProtection": "ACTIVE"}}
    outputs = {"Pool": {"Value": {"Ref": "Pool"}}}
    pool = aws.deploy({"Resources": {"Pool": protected}, "Outputs": outputs}, "pool-protected")["Pool"]

    aws.client("cognito-idp").delete_user_pool(UserPoolId=pool)


def test_a_budget_fails_its_stack(aws: EmbeddedAws) -> None:
    limit = {"BudgetType": "COST", "TimeUnit": "MONTHLY", "BudgetLimit": {"Amount": 5, "Unit": "USD"}}
    budget = {"Type": "AWS::Budgets::Budget", "Properties": {"Budget": limit}}

    with pytest.raises((AssertionError, ClientError), match=r"AWS::Budgets::Budget|ROLLBACK_COMPLETE"):
        aws.deploy({"Resources": {"Budget": budget}}, "budget")


def test_an_address_is_subscribed_without_a_link(aws: EmbeddedAws) -> None:
    to = {"TopicArn": {"Ref": "Topic"}, "Protocol": "email", "Endpoint": "ops@example.com"}
    subscription = {"Type": "AWS::SNS::Subscription", "Properties": to}
    topic = {"Type": "AWS::SNS::Topic"}
    outputs = {"Topic": {"Value": {"Ref": "Topic"}}}
    deployed = aws.deploy({"Resources": {"Topic": topic, "Email": subscription}, "Outputs": outputs}, "subscription")

    [found] = aws.client("sns").list_subscriptions_by_topic(TopicArn=deployed["Topic"])["Subscriptions"]
    assert found["SubscriptionArn"].startswith("arn:aws:sns:")  # on AWS: PendingConfirmation


def test_a_user_pool_has_no_provider_url(aws: EmbeddedAws) -> None:
    outputs = {"Url": {"Value": {"Fn::GetAtt": ["Pool", "ProviderURL"]}}}

    with pytest.raises(AssertionError, match="ROLLBACK_COMPLETE"):
        aws.deploy({"Resources": {"Pool": POOL}, "Outputs": outputs}, "pool-url")


# --- Cognito ---------------------------------------------------------------------------------------------------------


class Pool(NamedTuple):
    pool: str
    client: str


@pytest.fixture(scope="module")
def users(aws: EmbeddedAws) -> Pool:
    """A pool like the system's, with a confirmed customer, whose address nobody has verified."""
    client = {
        "Type": "AWS::Cognito::UserPoolClient",
        "Properties": {"UserPoolId": {"Ref": "Pool"}, "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"]},
    }
    outputs = {name: {"Value": {"Ref": name}} for name in ("Pool", "Client")}
    deployed = aws.deploy({"Resources": {"Pool": POOL, "Client": client}, "Outputs": outputs}, "users")
    cognito, users = aws.client("cognito-idp"), Pool(deployed["Pool"], deployed["Client"])
    email = [{"Name": "email", "Value": "anna@example.com"}]
    cognito.sign_up(ClientId=users.client, Username="anna@example.com", Password=PASSWORD, UserAttributes=email)
    cognito.admin_confirm_sign_up(UserPoolId=users.pool, Username="anna@example.com")
    return users


def tokens(aws: EmbeddedAws, users: Pool) -> Any:
    return aws.client("cognito-idp").initiate_auth(
        ClientId=users.client,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "anna@example.com", "PASSWORD": PASSWORD},
    )["AuthenticationResult"]


def claims(token: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def test_an_address_counts_as_verified_though_nobody_did(aws: EmbeddedAws, users: Pool) -> None:
    assert claims(tokens(aws, users)["IdToken"])["email_verified"] is True


def test_a_changed_address_takes_effect_at_once(aws: EmbeddedAws, users: Pool) -> None:
    cognito, access = aws.client("cognito-idp"), tokens(aws, users)["AccessToken"]

    cognito.update_user_attributes(
        AccessToken=access, UserAttributes=[{"Name": "email", "Value": "changed@example.com"}]
    )

    attributes = cognito.get_user(AccessToken=access)["UserAttributes"]
    assert {"Name": "email", "Value": "changed@example.com"} in attributes
    cognito.update_user_attributes(AccessToken=access, UserAttributes=[{"Name": "email", "Value": "anna@example.com"}])


def test_a_changed_address_may_be_another_customers(aws: EmbeddedAws, users: Pool) -> None:
    cognito, access = aws.client("cognito-idp"), tokens(aws, users)["AccessToken"]
    email = [{"Name": "email", "Value": "bela@example.com"}]
    cognito.sign_up(ClientId=users.client, Username="bela@example.com", Password=PASSWORD, UserAttributes=email)

    cognito.update_user_attributes(AccessToken=access, UserAttributes=email)

    cognito.update_user_attributes(AccessToken=access, UserAttributes=[{"Name": "email", "Value": "anna@example.com"}])


# --- API Gateway -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def api(aws: EmbeddedAws, users: Pool) -> str:
    """An HTTP API's id: `POST /measure` answers with the length of the body, `GET /mine` wants a token, `GET /fail`."""
    gateway = aws.client("apigatewayv2")
    api: str = gateway.create_api(Name="api", ProtocolType="HTTP")["ApiId"]

    def route(key: str, source: str, **options: str) -> None:
        function = aws.function(source)
        integration = gateway.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
        )["IntegrationId"]
        gateway.create_route(ApiId=api, RouteKey=key, Target=f"integrations/{integration}", **options)

    authorizer = gateway.create_authorizer(
        ApiId=api,
        Name="customer",
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={
            "Issuer": f"https://cognito-idp.us-east-1.amazonaws.com/{users.pool}",
            "Audience": [users.client],
        },
    )["AuthorizerId"]
    route("POST /measure", "def handler(event, context): return {'statusCode': 200, 'body': str(len(event['body']))}")
    route("GET /fail", "def handler(event, context): raise ValueError('the inside')")
    route(
        "GET /mine",
        "def handler(event, context): return {'statusCode': 200}",
        AuthorizationType="JWT",
        AuthorizerId=authorizer,
    )
    aws.client("logs").create_log_group(logGroupName="access-log")
    gateway.create_stage(
        ApiId=api,
        StageName="$default",
        AutoDeploy=True,
        DefaultRouteSettings={"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 1},
        AccessLogSettings={
            "DestinationArn": "arn:aws:logs:us-east-1:000000000000:log-group:access-log",
            "Format": "$context.requestId",
        },
    )
    return api


def called(
    aws: EmbeddedAws, api: str, path: str, *, token: str | None = None, body: bytes | None = None
) -> tuple[int, bytes]:
    """Status and body of the API's answer."""
    headers = {"content-type": "text/plain", **({"authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(f"{aws.url}/_aws/execute-api/{api}/$default{path}", headers=headers, data=body)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_api_answers_below_the_endpoint_and_not_at_its_own_name(aws: EmbeddedAws, api: str) -> None:
    assert called(aws, api, "/measure", body=b"x")[0] == 200
    assert aws.client("apigatewayv2").get_api(ApiId=api)["ApiEndpoint"].startswith(f"http://{api}.execute-api.")


def test_tokens_are_checked(aws: EmbeddedAws, api: str, users: Pool) -> None:
    """As on AWS, and only where `cryptography` is installed beside MiniStack: else each valid token is refused."""
    issued = tokens(aws, users)

    assert called(aws, api, "/mine", token=issued["IdToken"])[0] == 200
    assert called(aws, api, "/mine", token=issued["AccessToken"])[0] == 200  # the gateway can't tell them apart
    assert called(aws, api, "/mine", token=issued["IdToken"][:-8] + "forgery0")[0] == 401
    assert called(aws, api, "/mine")[0] == 401


def test_nothing_is_throttled_or_logged_and_no_body_is_too_long(aws: EmbeddedAws, api: str) -> None:
    eleven_megabytes = 11 * 2**20

    assert [called(aws, api, "/measure", body=b"x")[0] for _ in range(5)] == 5 * [200]  # the limit is one a second
    assert called(aws, api, "/measure", body=eleven_megabytes * b"x") == (200, str(eleven_megabytes).encode())
    assert aws.client("logs").filter_log_events(logGroupName="access-log")["events"] == []


def test_a_function_that_fails_shows_its_error_to_the_caller(aws: EmbeddedAws, api: str) -> None:
    status, body = called(aws, api, "/fail")

    assert status == 502  # on AWS 500, and nothing of the inside
    assert json.loads(body)["errorMessage"] == "the inside"


# --- WebSocket APIs ---------------------------------------------------------------------------------------------------


def test_a_message_for_which_there_is_no_route_gets_no_response(aws: EmbeddedAws) -> None:
    """On AWS `{"message": "Forbidden", …}`. The next that the page gets is what is sent to its connection."""
    gateway, notes = aws.client("apigatewayv2"), []
    api = gateway.create_api(Name="sockets", ProtocolType="WEBSOCKET")["ApiId"]
    gateway.create_stage(ApiId=api, StageName="here")
    here = f"_aws/execute-api/{api}/here"
    function = aws.function("def handler(event, context): return {'statusCode': 200, 'body': 'heard'}")
    heard = gateway.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function)["IntegrationId"]
    gateway.create_route(ApiId=api, RouteKey="listen", Target=f"integrations/{heard}")

    with connect(f"{aws.url.replace('http', 'ws')}/{here}", proxy=None) as page:
        page.send("hello?")
        page.send('{"action": "listen"}')
        notes.append(page.recv(timeout=GENEROUS))

    assert notes == ["heard"]


def test_a_websocket_is_closed_neither_for_its_age_nor_for_its_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """MiniStack's own code in this process, whose clock goes forward by three hours: nobody waits for that."""
    later = 3 * 60 * 60
    monkeypatch.setattr(apigateway, "_api_owner", lambda _: ("WEBSOCKET", "000000000000", "us-east-1"))

    async def play() -> list[str]:
        sent: list[str] = []
        arrived, said = asyncio.Event(), asyncio.Queue[dict[str, str]]()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message.get("text", message["type"]))
            if sent[-1] == "still open":
                arrived.set()

        said.put_nowait({"type": "websocket.connect"})
        page = asyncio.create_task(apigateway.handle_websocket({"path": "/here"}, said.get, send, "sockets"))
        while not apigateway._ws_connections:
            await asyncio.sleep(0)
        [connection] = apigateway._ws_connections.values()
        loop, now = asyncio.get_running_loop(), time.time
        monkeypatch.setattr(loop, "time", lambda: time.monotonic() + later)
        monkeypatch.setattr(apigateway.time, "time", lambda: now() + later)
        for _ in range(10):  # whatever was due by then is done
            await asyncio.sleep(0)
        assert not connection["close_event"].is_set()
        connection["outbox"].put_nowait("still open")
        await asyncio.wait_for(arrived.wait(), GENEROUS)
        said.put_nowait({"type": "websocket.disconnect"})
        await page
        return sent

    assert asyncio.run(play()) == ["websocket.accept", "still open", "websocket.close"]


# --- SES -------------------------------------------------------------------------------------------------------------


def test_there_is_no_sandbox_and_a_sender_is_verified_at_once(aws: EmbeddedAws) -> None:
    ses, text = aws.client("sesv2"), {"Data": "Hello"}
    ses.create_email_identity(EmailIdentity="new@example.com")

    ses.send_email(
        FromEmailAddress="new@example.com",
        Destination={"ToAddresses": ["stranger@example.com"]},
        Content={"Simple": {"Subject": text, "Body": {"Text": text}}},
    )

    assert ses.get_account()["ProductionAccessEnabled"] is True


# --- Step Functions --------------------------------------------------------------------------------------------------


def state_machine(aws: EmbeddedAws, state: dict[str, Any], **options: Any) -> str:
    """The ARN of a state machine with this one state. Its role may do nothing."""
    trust = policy({**allow("sts:AssumeRole"), "Principal": {"Service": "states.amazonaws.com"}})
    role = aws.client("iam").create_role(RoleName=f"workflow-{uuid4()}", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    definition = json.dumps({"StartAt": "only", "States": {"only": {**state, "End": True}}, **options})
    created = aws.client("stepfunctions").create_state_machine(
        name=f"machine-{uuid4()}", definition=definition, roleArn=role
    )
    return str(created["stateMachineArn"])


def ended(aws: EmbeddedAws, machine: str) -> dict[str, Any]:
    """A new execution, once it has ended."""
    workflows = aws.client("stepfunctions")
    execution = workflows.start_execution(stateMachineArn=machine, input="{}")["executionArn"]

    def described() -> Any:
        found = workflows.describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else None

    found: dict[str, Any] = eventually("the end of the execution", described)
    return found


def invoking(function: str) -> dict[str, Any]:
    parameters = {"FunctionName": function, "Payload": {}}
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": parameters}


def test_a_state_machine_calls_a_function_that_its_role_may_not(aws: EmbeddedAws) -> None:
    machine = state_machine(aws, invoking(aws.function("def handler(event, context): return 'called'")))

    assert json.loads(ended(aws, machine)["output"])["Payload"] == "called"


def test_an_execution_that_is_started_again_while_it_runs_is_refused_though_it_is_the_same(aws: EmbeddedAws) -> None:
    workflows = aws.client("stepfunctions")
    machine = state_machine(aws, {"Type": "Wait", "Seconds": 60})
    same = {"stateMachineArn": machine, "name": "order", "input": "{}"}
    workflows.start_execution(**same)

    with pytest.raises(workflows.exceptions.ExecutionAlreadyExists):
        workflows.start_execution(**same)


def test_the_timeout_of_a_whole_state_machine_is_ignored(aws: EmbeddedAws) -> None:
    machine = state_machine(aws, {"Type": "Wait", "Seconds": 2}, TimeoutSeconds=1)

    assert ended(aws, machine)["status"] == "SUCCEEDED"


def test_a_failed_execution_can_not_be_redriven(aws: EmbeddedAws) -> None:
    failed = ended(aws, state_machine(aws, invoking("no-such-function")))
    assert failed["status"] == "FAILED"

    with pytest.raises(ClientError, match="InvalidAction"):
        aws.client("stepfunctions").redrive_execution(executionArn=failed["executionArn"])


# --- time ------------------------------------------------------------------------------------------------------------


def test_events_come_once_and_in_order(aws: EmbeddedAws) -> None:
    url, queue = aws.queue(Policy=policy({**allow("sqs:SendMessage"), "Principal": "*"}))
    bus = aws.bus_with_target(queue)
    for number in range(10):
        aws.put_event(bus, {"number": number})

    received = [json.loads(body)["detail"]["number"] for body in aws.received(url)]
    assert received == list(range(10))
    assert aws.received(url, wait=1) == []


def test_an_index_knows_a_write_at_once(aws: EmbeddedAws) -> None:
    dynamodb = aws.client("dynamodb")
    key = [{"AttributeName": "owner", "KeyType": "HASH"}]
    dynamodb.create_table(
        TableName="indexed",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "owner")],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[{"IndexName": "byOwner", "KeySchema": key, "Projection": {"ProjectionType": "ALL"}}],
    )
    for number in range(20):
        owner = {"S": str(number)}
        dynamodb.put_item(TableName="indexed", Item={"id": {"S": "1"}, "owner": owner})
        found = dynamodb.query(
            TableName="indexed",
            IndexName="byOwner",
            KeyConditionExpression="#owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":owner": owner},
        )
        assert found["Count"] == 1


def test_nothing_outlives_a_stop(tmp_path: Path) -> None:
    state = State(tmp_path)
    with emulator(state, free_port()) as description:
        EmbeddedAws(description, state).queue()
    with emulator(state, free_port()) as description:
        assert not EmbeddedAws(description, state).client("sqs").list_queues().get("QueueUrls")


def test_a_message_reaches_its_function_within_a_second(aws: EmbeddedAws, notes: Path) -> None:
    url, queue = aws.queue()
    function = aws.function(
        "import time\ndef handler(event, context):\n"
        "    with open(event['Records'][0]['body'], 'a') as notes: notes.write(f'{time.time()}\\n')"
    )
    aws.client("lambda").create_event_source_mapping(FunctionName=function, EventSourceArn=queue)
    for attempt in (1, 2):  # the first one starts the function
        sent = time.time()
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=str(notes))
        eventually("the call", lambda: len(notes.read_text().splitlines()) == attempt)  # noqa: B023 # called at once

    assert float(notes.read_text().splitlines()[-1]) - sent < 1  # on AWS up to some seconds while it is idle
