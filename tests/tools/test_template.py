"""The CloudFormation template of an AWS stage, in what the embedded AWS does not model or does not enforce."""

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from boto3 import Session

from tests.tools.checkout import Checkout, longest_stage
from tools import topology
from tools.checkout import ROOT

Template = dict[str, Any]
FUNCTIONS = [topology.title(name) for name in topology.always_deployed()]
REGIONS = [
    each for kind in Session().get_available_partitions() for each in Session().get_available_regions("lambda", kind)
]
LONGEST_REGION = max(REGIONS, key=len)
LONGEST_STAGE = "l" * longest_stage()
DEAD_LETTERS = {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}


@cache
def package(stage: str, **params: str) -> Template:
    """The template of today's serverless.yml, which no test changes. tests/tools runs in one process, so it is kept."""
    with TemporaryDirectory() as folder:
        return compiled(Checkout(Path(folder)), stage, **params)


def compiled(checkout: Checkout, stage: str, **params: str) -> Template:
    """What osls makes of a checkout's serverless.yml for a stage."""
    given = [word for name, value in params.items() for word in ("--param", f"{name}={value}")]
    packaged = checkout.run("sls", "package", "--stage", stage, "--param", "senderEmail=a@example.com", *given)
    assert packaged.returncode == 0, packaged.stdout + packaged.stderr
    template = (checkout.folder / ".serverless" / "cloudformation-template-update-stack.json").read_text()
    return json.loads(template)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def dev() -> Template:
    return package("dev")


@pytest.fixture(scope="module")
def longest() -> Template:
    """Of the longest stage, with all that there is only on demand."""
    on_demand = {"storefront": "TRUE", "alarmEmail": "ops@example.com", "monthlyBudgetUsd": "50"}
    return package(LONGEST_STAGE, **on_demand)


@pytest.fixture(scope="module")
def prod() -> Template:
    """With every parameter given on the command line, where each value is a string."""
    given = {
        "verifySender": "False",
        "retainData": "TRUE",
        "logRetentionInDays": "30",
        "archiveRetentionInDays": "7",
        "throttleRate": "500",
        "throttleBurst": "1000",
        "notificationAttempts": "9",
        "notificationConcurrency": "5",
        "reconcileAfterSeconds": "90",
        "reconcileConcurrency": "50",
        "paymentGateway": "down",
        "logLevel": "DEBUG",
        "lambdaLogLevel": "INFO",
    }
    return package("prod", **given)


def of_type(template: Template, kind: str) -> dict[str, Any]:
    """Logical id → properties."""
    return {name: body["Properties"] for name, body in template["Resources"].items() if body["Type"] == kind}


def the(template: Template, kind: str) -> Any:
    [properties] = of_type(template, kind).values()
    return properties


def statements(role: Any) -> list[dict[str, Any]]:
    return [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]


def test_the_outputs_are_those_of_the_contract(dev: Template) -> None:
    assert dev["Outputs"].keys() >= {
        "HttpApiUrl",
        "UserPoolId",
        "UserPoolClientId",
        "EventBusName",
        "OrdersTableName",
        "AuditLogTableName",
        "GatewayLedgerTableName",
        "OrderNotificationTopicArn",
        "NotificationQueueUrl",
        "NotificationDeadLetterQueueUrl",
        "DeadLetterQueueUrl",
        "EventArchiveName",
    }


@pytest.mark.parametrize(("stage", "policy"), [("dev", "Delete"), ("prod", "Retain")])
def test_only_prod_keeps_its_data_when_it_is_removed(stage: str, policy: str, request: pytest.FixtureRequest) -> None:
    resources = request.getfixturevalue(stage)["Resources"]
    for name in ("OrdersTable", "AuditLogTable", "GatewayLedgerTable", "UserPool"):
        assert (resources[name]["DeletionPolicy"], resources[name]["UpdateReplacePolicy"]) == (policy, policy)


@pytest.mark.parametrize(("stage", "protected"), [("dev", False), ("prod", True)])
def test_only_prod_s_data_can_not_be_deleted_by_mistake(
    stage: str, protected: bool, request: pytest.FixtureRequest
) -> None:
    """Types matter: a parameter of the command line is text. The stack's own protection is in tests/local."""
    template = request.getfixturevalue(stage)
    assert {each["DeletionProtectionEnabled"] for each in of_type(template, "AWS::DynamoDB::Table").values()} == {
        protected
    }
    assert the(template, "AWS::Cognito::UserPool")["DeletionProtection"] == ("ACTIVE" if protected else "INACTIVE")


def test_the_sender_s_identity_outlives_the_stage_but_no_deploy_that_fails(dev: Template) -> None:
    """Other stages may send from it; and a second one of the same name can't be made."""
    identity = dev["Resources"]["SenderIdentity"]
    assert (identity["DeletionPolicy"], identity["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_notification_may_send_as_its_sender_also_where_that_has_a_default_configuration_set(dev: Template) -> None:
    [statement] = [
        each
        for each in statements(dev["Resources"]["NotificationRole"]["Properties"])
        if each["Action"] == "ses:SendEmail"
    ]
    account = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:"
    assert statement["Resource"] == [{"Fn::Sub": f"{account}identity/*"}, {"Fn::Sub": f"{account}configuration-set/*"}]
    assert statement["Condition"] == {"StringEquals": {"ses:FromAddress": "a@example.com"}}


def literals(value: Any) -> Iterator[str]:
    """Every text of the template that names a partition or its domain."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from literals(member)
    elif isinstance(value, str) and re.search(r"amazonaws\.com|arn:aws", value):
        yield value


@pytest.mark.parametrize("stage", ["dev", "prod", "longest"])
def test_nothing_but_the_names_of_services_is_of_one_partition(stage: str, request: pytest.FixtureRequest) -> None:
    """AWS::URLSuffix and AWS::Partition say it elsewhere. A service principal ends in amazonaws.com in all of them."""
    found = set(literals(request.getfixturevalue(stage)))
    assert {text for text in found if not re.fullmatch(r"[a-z0-9]+\.amazonaws\.com", text)} == set()


@pytest.mark.parametrize("file", sorted((ROOT / "tools").glob("*.js")), ids=lambda file: file.name)
def test_the_plugin_names_no_partition(file: Path) -> None:
    """What it writes into the storefront's configuration comes from the stack's outputs."""
    assert re.findall(r"amazonaws\.com|arn:aws", file.read_text()) == []


def test_what_a_removed_stage_keeps_can_be_imported_by_itself(prod: Template) -> None:
    """As docs/runbook.md does it: a stack of these alone, before the deploy."""
    kept = {name: body for name, body in prod["Resources"].items() if body.get("DeletionPolicy") == "Retain"}
    [extract] = re.findall(r"JSON.stringify\(\{Resources: \{(.*?)\}\}\)", (ROOT / "docs" / "runbook.md").read_text())
    assert extract.split(", ") == list(kept)
    assert not re.search('"Ref"|"Fn::|"DependsOn"', json.dumps(kept))


LONGEST_NAMES = {
    "AWS::ApiGatewayV2::Api": {"Name": 128},
    "AWS::ApiGatewayV2::Stage": {"StageName": 128},
    "AWS::CloudFront::Function": {"Name": 64},
    "AWS::CloudFront::OriginAccessControl": {"Name": 64},
    "AWS::CloudFront::ResponseHeadersPolicy": {"Name": 128},
    "AWS::CloudWatch::Dashboard": {"DashboardName": 255},
    "AWS::Events::Archive": {"ArchiveName": 48},
    "AWS::Events::EventBus": {"Name": 256},
    "AWS::Events::Rule": {"Name": 64, "Id": 64},
    "AWS::Lambda::Function": {"FunctionName": 64},
    "AWS::Logs::LogGroup": {"LogGroupName": 512},
}
"""How many characters AWS takes, by what each service's reference says of the property."""


def texts(value: Any, stack: str, key: str = "") -> Iterator[tuple[str, str]]:
    """Each text in a resource, at any depth, with the stack and the region named, and the property that it is of."""
    if isinstance(value, dict):
        if value == {"Ref": "AWS::StackName"}:
            yield key, stack
        for name, member in value.items():
            yield from texts(member, stack, key if name == "Fn::Sub" else name)
    elif isinstance(value, list):
        for member in value:
            yield from texts(member, stack, key)
    elif isinstance(value, str):
        yield key, value.replace("${AWS::StackName}", stack).replace("${AWS::Region}", LONGEST_REGION)


def test_the_longest_stage_is_the_longest_whose_names_aws_takes(longest: Template) -> None:
    stack = f"{topology.name()}-{LONGEST_STAGE}"
    left = {}
    for resource in longest["Resources"].values():
        for key, name in texts(resource.get("Properties"), stack):
            if LONGEST_STAGE in name and (key.endswith("Name") or key == "Id"):
                left[resource["Type"], key, name] = LONGEST_NAMES[resource["Type"]][key] - len(name)

    assert {kind for kind, _, _ in left} == LONGEST_NAMES.keys()
    assert min(left.values()) == 0, "not one character less, and not one more"


OF_THE_ACCOUNT = ("AWS::Budgets::", "AWS::CloudFront::", "AWS::CloudWatch::Dashboard", "AWS::IAM::", "AWS::Route53::")
"""What an account has once for all its regions."""


def test_the_same_stage_in_another_region_takes_no_name_of_the_account_twice(longest: Template) -> None:
    """Its name has the region in it, or CloudFormation makes it up."""
    named = set()
    for resource in longest["Resources"].values():
        if resource["Type"].startswith(OF_THE_ACCOUNT):
            for key, name in texts(resource["Properties"], "stack"):
                if key in ("Name", "DashboardName", "BudgetName", "RoleName"):
                    assert LONGEST_REGION in name, (resource["Type"], name)
                    named.add(resource["Type"])
    assert named == {
        "AWS::CloudFront::Function",
        "AWS::CloudFront::OriginAccessControl",
        "AWS::CloudFront::ResponseHeadersPolicy",
        "AWS::CloudWatch::Dashboard",
    }


def test_lambda_logs_only_what_failed_beside_our_lines(dev: Template) -> None:
    """START, END and REPORT of each invocation would be nearly half of all that is logged."""
    for function in of_type(dev, "AWS::Lambda::Function").values():
        assert function["LoggingConfig"] == {
            "LogFormat": "JSON",
            "ApplicationLogLevel": "INFO",
            "SystemLogLevel": "WARN",
        }


def test_every_parameter_can_be_given_on_the_command_line(prod: Template) -> None:
    assert of_type(prod, "AWS::SES::EmailIdentity") == {}
    assert prod["Resources"]["OrdersTable"]["DeletionPolicy"] == "Retain"
    assert {group["RetentionInDays"] for group in of_type(prod, "AWS::Logs::LogGroup").values()} == {30}
    assert the(prod, "AWS::Events::Archive")["RetentionDays"] == "7"
    throttling = the(prod, "AWS::ApiGatewayV2::Stage")["DefaultRouteSettings"]
    assert (throttling["ThrottlingRateLimit"], throttling["ThrottlingBurstLimit"]) == ("500", "1000")
    assert prod["Resources"]["NotificationQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] == "9"
    assert the(prod, "AWS::Lambda::EventSourceMapping")["ScalingConfig"] == {"MaximumConcurrency": 5}
    environment = prod["Resources"]["PaymentProcessingLambdaFunction"]["Properties"]["Environment"]["Variables"]
    assert environment["RECONCILE_AFTER_SECONDS"] == "90"
    assert environment["RECONCILE_CONCURRENCY"] == "50"
    assert environment["PAYMENT_GATEWAY"] == "down"
    assert environment["POWERTOOLS_LOG_LEVEL"] == "DEBUG"
    logging = prod["Resources"]["PaymentProcessingLambdaFunction"]["Properties"]["LoggingConfig"]
    assert (logging["ApplicationLogLevel"], logging["SystemLogLevel"]) == ("INFO", "INFO")


def test_functions_that_cancel_orders_are_updated_after_all_that_must_know_of_cancellations(dev: Template) -> None:
    """Until then a consumer of an earlier version would charge or ship a cancelled order, or ignore its event."""
    resources = dev["Resources"]
    consumers = {f"{name}LambdaFunction" for name in FUNCTIONS} - {
        "OrderServiceLambdaFunction",
        "ReconcilerLambdaFunction",
    }
    rules = {name for name, rule in of_type(dev, "AWS::Events::Rule").items() if "EventPattern" in rule}
    assert len(rules) == len(topology.of_type("AWS::Events::Rule")) + 3
    for producer in ("OrderService", "Reconciler"):
        function = resources[f"{producer}LambdaFunction"]
        assert set(function["DependsOn"]) >= consumers | rules | {f"{producer}LogGroup"}


def test_the_tables_bill_by_request_and_are_recoverable_and_have_no_fixed_name(dev: Template) -> None:
    tables = of_type(dev, "AWS::DynamoDB::Table")
    assert tables.keys() == {"OrdersTable", "AuditLogTable", "GatewayLedgerTable"}
    for table in tables.values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert "SSESpecification" not in table, "a KMS key, and billed by request: DynamoDB's own is the default"
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert "TableName" not in table


def test_a_customer_is_an_e_mail_address_that_stays_until_a_new_one_is_verified(dev: Template) -> None:
    pool, client = the(dev, "AWS::Cognito::UserPool"), the(dev, "AWS::Cognito::UserPoolClient")
    assert pool["UsernameAttributes"] == pool["AutoVerifiedAttributes"] == ["email"]
    assert pool["UserAttributeUpdateSettings"] == {"AttributesRequireVerificationBeforeUpdate": ["email"]}
    assert client["GenerateSecret"] is False
    assert client["PreventUserExistenceErrors"] == "ENABLED"


def test_the_api_lets_nobody_in_without_a_token_but_to_the_products(dev: Template) -> None:
    routes = of_type(dev, "AWS::ApiGatewayV2::Route").values()
    assert {route["RouteKey"] for route in routes if route.get("AuthorizationType") != "JWT"} == {"GET /products"}
    stage = the(dev, "AWS::ApiGatewayV2::Stage")
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 100, "ThrottlingBurstLimit": 200}
    assert json.loads(stage["AccessLogSettings"]["Format"])["status"] == "$context.status"


def test_the_functions_run_on_arm64_and_log_into_groups_that_forget(dev: Template) -> None:
    functions, groups = of_type(dev, "AWS::Lambda::Function"), of_type(dev, "AWS::Logs::LogGroup")
    assert functions.keys() == {f"{name}LambdaFunction" for name in FUNCTIONS}
    assert groups.keys() == {*(f"{name}LogGroup" for name in FUNCTIONS), "HttpApiLogGroup"}
    assert all(group["RetentionInDays"] == 14 for group in groups.values())
    for name in FUNCTIONS:
        function = functions[f"{name}LambdaFunction"]
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
        assert function["Role"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}


def test_a_function_that_events_start_keeps_failed_invocations_and_its_role_may(dev: Template) -> None:
    started = {*FUNCTIONS} - {"OrderService", "Notification"}  # by the API, and by a queue with a dead-letter queue
    configs = of_type(dev, "AWS::Lambda::EventInvokeConfig")
    assert {config["FunctionName"]["Ref"] for config in configs.values()} == {f"{it}LambdaFunction" for it in started}
    for config in configs.values():
        assert config["DestinationConfig"] == {"OnFailure": {"Destination": DEAD_LETTERS}}
    for name in started:
        role = dev["Resources"][f"{name}Role"]["Properties"]
        assert {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": DEAD_LETTERS} in statements(role)


@pytest.mark.parametrize("stage", ["dev", "longest"])
def test_each_rule_keeps_what_it_can_not_deliver_and_the_queue_lets_just_these_in(
    stage: str, request: pytest.FixtureRequest
) -> None:
    """Whatever their names: a long stage makes osls shorten some."""
    template = request.getfixturevalue(stage)
    rules = of_type(template, "AWS::Events::Rule")
    targets = [target for rule in rules.values() for target in rule["Targets"]]
    assert all(target["DeadLetterConfig"]["Arn"] == DEAD_LETTERS and target["RetryPolicy"] for target in targets)

    [policy] = [
        policy
        for policy in of_type(template, "AWS::SQS::QueuePolicy").values()
        if policy["Queues"] == [{"Ref": "DeadLetterQueue"}]
    ]
    statements = policy["PolicyDocument"]["Statement"]
    allowed = [arn for statement in statements for arn in statement["Condition"]["ArnEquals"]["aws:SourceArn"]]
    assert sorted(arn["Fn::GetAtt"] for arn in allowed) == sorted([name, "Arn"] for name in rules)


def test_the_operator_s_commands_look_into_every_queue_that_has_dead_letters(dev: Template) -> None:
    urls = {key: output["Value"]["Ref"] for key, output in dev["Outputs"].items() if key.endswith("QueueUrl")}
    text = json.dumps(of_type(dev, "AWS::SQS::Queue")) + json.dumps(of_type(dev, "AWS::Events::Rule"))
    into = {queue for queue in urls.values() if re.search(rf'(?i)deadletter[^[]*\["{queue}", "Arn"\]', text)}
    assert {urls[output] for output in topology.dead_letter_outputs()} == into
    assert len(into) == 2


def test_each_rule_of_a_function_that_has_two_may_use_the_dead_letter_queue(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    settings = tmp_path / "serverless.yml"
    [rule] = re.findall(r"\n  fulfillment:\n.*?    events:\n(.*?)    <<: \*onFailure", settings.read_text(), re.DOTALL)
    settings.write_text(settings.read_text().replace(rule, rule * 2))

    template = compiled(checkout, "dev")

    rules = [name for name in of_type(template, "AWS::Events::Rule") if "fulfillment" in name]
    assert len(rules) == 2
    policy = json.dumps(template["Resources"]["DeadLetterQueuePolicy"])
    assert all(json.dumps({"Fn::GetAtt": [rule, "Arn"]}) in policy for rule in rules)


def test_each_rule_may_invoke_its_function(dev: Template) -> None:
    permissions = of_type(dev, "AWS::Lambda::Permission").values()
    allowed = [json.dumps(each["FunctionName"]) for each in permissions if each["Principal"] == "events.amazonaws.com"]
    invoked = [
        target["Arn"]["Fn::GetAtt"][0]
        for rule in of_type(dev, "AWS::Events::Rule").values()
        for target in rule["Targets"]
        if "Fn::GetAtt" in target["Arn"]
    ]
    assert len(allowed) == len(invoked) == 5
    assert all(any(function in permission for permission in allowed) for function in invoked)
    assert all("SourceArn" in each for each in permissions)


def test_eventbridge_may_publish_to_the_topic_under_no_condition(dev: Template) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html: it fails under any."""
    [statement] = the(dev, "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": {"Ref": "OrderNotificationTopic"},
    }


def test_a_message_is_hidden_six_times_as_long_as_the_function_may_run(dev: Template) -> None:
    timeout = dev["Resources"]["NotificationLambdaFunction"]["Properties"]["Timeout"]
    queue = dev["Resources"]["NotificationQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * timeout
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["NotificationDeadLetterQueue", "Arn"]}
    variables = dev["Resources"]["NotificationLambdaFunction"]["Properties"]["Environment"]["Variables"]
    assert int(variables["CLAIM_SECONDS"]) == timeout


def test_the_dashboard_is_json(dev: Template) -> None:
    body = the(dev, "AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Sub"]
    metrics = {str(series[1]) for widget in json.loads(body)["widgets"] for series in widget["properties"]["metrics"]}
    assert metrics >= {"OrdersPlaced", "OrdersPaid", "OrdersDeclined", "OrdersFulfilled", "OrdersOpenOverAnHour"}


WILDCARDS = {
    (
        "NotificationRole",
        "ses:SendEmail",
        "Resource",
    ): "IAM judges the recipient's identity (sandbox), and the sender's default configuration set",
    ("NotificationRole", "sns:Publish", "NotResource"): "a phone number is no resource: what is left without any topic",
}
"""Which rights are not on a resource that is named in full, and why; resources/roles.yml says it at length."""


def policies(value: Any) -> Iterator[dict[str, Any]]:
    """The statements of every policy, of a role or a resource, wherever it stands."""
    if isinstance(value, dict):
        if "Effect" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from policies(member)


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_nothing_is_allowed_to_everybody_or_on_everything_without_a_reason(
    stage: str, request: pytest.FixtureRequest
) -> None:
    """Of the whole template: also of what osls adds to it."""
    found = set()
    for name, resource in request.getfixturevalue(stage)["Resources"].items():
        assert "ManagedPolicyArns" not in resource.get("Properties", {}), f"{name}: nobody here sees what it grants"
        for statement in policies(resource.get("Properties")):
            if statement["Effect"] == "Deny":
                continue
            assert "NotAction" not in statement, name
            assert "NotPrincipal" not in statement, name
            assert "*" not in json.dumps(statement.get("Principal", "")), name
            actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            assert not [action for action in actions if "*" in action], name
            if "NotResource" in statement:
                found |= {(name, action, "NotResource") for action in actions}
            elif "*" in json.dumps(statement.get("Resource", "")):
                found |= {(name, action, "Resource") for action in actions}
    assert found == WILDCARDS.keys()


def test_osls_adds_no_role_of_its_own(dev: Template) -> None:
    assert of_type(dev, "AWS::IAM::Role").keys() == {f"{name}Role" for name in FUNCTIONS}
    assert {each["Type"] for each in dev["Resources"].values() if "::IAM::" in each["Type"]} == {"AWS::IAM::Role"}


def test_every_queue_is_encrypted_and_all_but_the_last_have_another_behind_them(dev: Template) -> None:
    queues = of_type(dev, "AWS::SQS::Queue")
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())
    assert {name for name, queue in queues.items() if "RedrivePolicy" not in queue} == {
        "NotificationDeadLetterQueue",
        "DeadLetterQueue",
    }


def test_each_check_that_cfn_lint_skips_has_its_reason_beside_it() -> None:
    for file in ("serverless.yml", "resources/messaging.yml", "resources/alarm-email.yml"):
        passed_over = re.findall(r"(?:- |ignore_checks: \[)[EWI]S?[0-9]{4}\b.*", (ROOT / file).read_text())
        assert passed_over
        assert [line for line in passed_over if not re.search("# .{20}", line)] == []


def test_each_check_that_checkov_skips_is_named_and_has_its_reason_above_it() -> None:
    lines = (ROOT / "tools" / "checkov.yml").read_text().partition("skip-check:\n")[2].splitlines()
    assert lines
    for before, line in pairwise(["", *lines]):
        assert not line.strip() or line.startswith("  # ") or re.fullmatch(r"  - CKV_AWS_[0-9]+ # \w.+", line), line
        assert before or not line.startswith("  - "), f"no reason above {line}"
