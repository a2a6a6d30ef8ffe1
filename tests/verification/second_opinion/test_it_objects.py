"""Each judge of the second opinion, given a mistake made for it, objects; given what is right, it does not.

Run by `npm run second-opinion`, which installs the judges; `npm test` leaves these out.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.checkout import ROOT
from verification.second_opinion import database, deploying, engines, patterns, permissions, policies, template
from verification.second_opinion.permissions import IamRequest

BUS = "arn:aws:events:us-east-1:123456789012:event-bus/EventBus"
API = "arn:aws:execute-api:us-east-1:123456789012:WebsocketsApi/dev"
METHODS = ("POST", "DELETE")
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/OrdersTable"
PUBLISHES = {"events:source": "shop.payment", "events:detail-type": ["Paid", "Declined"]}


def allow(action: str, resource: str = TABLE, **condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def publishing(*sources: str, types: tuple[str, ...] = ("Paid",)) -> IamRequest:
    keys = (("events:detail-type", types), ("events:source", sources))
    return IamRequest("events:PutEvents", BUS, tuple((name, values) for name, values in keys if values))


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    engines.install()


# --- IAM --------------------------------------------------------------------------------------------------------------

ROLE = [
    allow("dynamodb:UpdateItem"),
    allow(
        "events:PutEvents", BUS, **{"ForAllValues:StringEquals": PUBLISHES, "Null": dict.fromkeys(PUBLISHES, "false")}
    ),
]
NEEDS = {IamRequest("dynamodb:UpdateItem", TABLE), publishing("shop.payment", types=("Paid", "Declined"))}
NEVER = {
    IamRequest("dynamodb:DeleteItem", TABLE),
    publishing("shop.orders"),
    publishing("shop.payment", "shop.orders"),
    publishing("shop.payment", types=("Paid", "Refunded")),
    publishing("shop.payment", types=()),
    publishing(types=()),
}


def objections(role: list[dict[str, Any]]) -> list[str]:
    return list(permissions.judged({"payment": role}, {"payment": NEEDS}, NEVER).objections)


def test_a_role_that_grants_what_its_function_needs_and_nothing_else_is_not_objected_to() -> None:
    assert objections(ROLE) == []


@pytest.mark.parametrize(
    ("role", "objection"),
    [
        (ROLE[:1], "events:PutEvents on event-bus/EventBus"),
        ([*ROLE, allow("dynamodb:DeleteItem")], "dynamodb:DeleteItem on table/OrdersTable: Allowed"),
        ([*ROLE, allow("dynamodb:DescribeTable")], "nothing needs"),
        ([ROLE[0], allow("events:PutEvents", BUS)], "shop.orders: Allowed"),
        ([ROLE[0], allow("events:PutEvents", BUS, StringEquals=PUBLISHES)], "shop.payment: ImplicitlyDenied"),
        (
            [ROLE[0], allow("events:PutEvents", BUS, **{"ForAnyValue:StringEquals": PUBLISHES})],
            "shop.payment+shop.orders: Allowed",
        ),
        (
            [ROLE[0], allow("events:PutEvents", BUS, **{"ForAllValues:StringEquals": PUBLISHES})],
            "events:PutEvents on event-bus/EventBus: Allowed",
        ),
    ],
    ids=["lacks", "grants another's", "grants what nobody needs", "anything", "plain", "any value", "without null"],
)
def test_a_role_with_a_mistake_is_objected_to(role: list[dict[str, Any]], objection: str) -> None:
    assert any(objection in each for each in objections(role)), objections(role)


def test_a_role_that_may_do_more_with_websockets_than_send_is_objected_to() -> None:
    def found(resource: str) -> list[str]:
        send, close = (
            IamRequest("execute-api:ManageConnections", f"{API}/{each}/@connections/IZ5=") for each in METHODS
        )
        role = {"feed": [allow("execute-api:ManageConnections", resource)]}
        return list(permissions.judged(role, {"feed": {send}}, {close}).objections)

    assert found(f"{API}/POST/@connections/*") == []
    assert any("DELETE/@connections" in each for each in found(f"{API}/*"))
    assert any("POST/@connections" in each for each in found(f"{API.replace('dev', 'prod')}/POST/@connections/*"))


def test_what_iam_does_not_know_is_an_objection_and_no_denial() -> None:
    role = [allow("dynamodb:UpdateItems")]
    strange = {IamRequest("dynamodb:UpdateItems", TABLE)}
    found = permissions.judged({"payment": role}, {"payment": set()}, strange).objections
    assert any("can't be judged" in each for each in found)


# --- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "issue"),
    [
        (allow("dynamodb:PutItems"), "UNKNOWN_ACTION"),
        (allow("dynamodb:PutItem", "arn:aws:sqs:us-east-1:123456789012:Queue"), "RESOURCE_MISMATCH"),
        (allow("dynamodb:PutItem", StringEqual={"aws:PrincipalTag/a": "b"}), "UNKNOWN_OPERATOR"),
        (allow("dynamodb:PutItem", StringEquals={"events:source": "a"}), "UNKNOWN_CONDITION_FOR_ACTION"),
    ],
)
def test_a_policy_with_a_mistake_is_objected_to(statement: dict[str, Any], issue: str) -> None:
    def found(document: dict[str, Any]) -> list[str]:
        return list(policies.judged([("a policy", {"Version": "2012-10-17", "Statement": [document]})], {}).objections)

    assert found(allow("dynamodb:PutItem")) == []
    assert [each.split(": ")[1] for each in found(statement)] == [issue]


def test_an_intended_finding_that_is_gone_is_objected_to() -> None:
    assert policies.judged([], {("a policy", "NO_VERSION"): "a reason"}).objections


# --- patterns ---------------------------------------------------------------------------------------------------------


def test_a_matcher_that_errs_is_objected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("event_ruler", reason="it has no wheel for this Python on this machine")
    pattern = {"rule": {"source": ["order-processing.orders"], "replay-name": [{"exists": False}]}}
    assert patterns.judged(pattern).objections == []

    monkeypatch.setattr("verification.matching.matches", lambda pattern, event: event["source"] in pattern["source"])

    assert any("replay" in each for each in patterns.judged(pattern).objections)


# --- the template, and the right to deploy it -------------------------------------------------------------------------


def test_a_template_with_a_mistake_is_objected_to() -> None:
    def found(properties: dict[str, Any]) -> list[str]:
        return list(
            template.ask({"dev": {"Resources": {"Topic": {"Type": "AWS::SNS::Topic", **properties}}}}).objections
        )

    mended = {"Properties": {"KmsMasterKeyId": "alias/aws/sns"}}
    assert [each for each in found(mended) if "E3" in each] == []
    assert any("E3002" in each for each in found({"Properties": {"TopicNames": "a"}}))


def test_a_policy_without_a_right_that_a_schema_names_is_objected_to() -> None:
    kinds = {kind: deploying.rights(kind) for kind in ("AWS::SES::EmailIdentity", "AWS::IAM::Role")}
    document = deploying.policy()
    poorer = without(document, "ses:TagResource")

    assert deploying.judged(document, kinds, {"iam:*Boundary": "no role has one"}).objections == []
    assert deploying.judged(poorer, kinds, {"iam:*Boundary": "no role has one"}).objections == [
        "AWS::SES::EmailIdentity needs ses:TagResource"
    ]


def test_a_right_that_is_not_needed_for_a_reason_and_that_no_schema_names_is_objected_to() -> None:
    assert deploying.judged(deploying.policy(), {}, {"ec2:*": "no function is in a VPC"}).objections == [
        "no schema names ec2:*, which is listed as not needed"
    ]


def test_a_policy_that_gives_any_role_to_any_service_is_objected_to() -> None:
    document = deploying.policy()
    anything = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}
    loose = {**document, "Statement": [*document["Statement"], anything]}
    assert len(deploying.judged(loose, {}, {}).objections) == 2


READS = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Scan"]


@pytest.mark.parametrize(
    ("statement", "objections"),
    [
        (
            {
                "Action": READS,
                "Resource": "arn:*:dynamodb:*:*:table/order-processing-*",
            },
            0,
        ),
        ({"Action": "dynamodb:Scan", "Resource": "arn:*:dynamodb:*:*:table/order-processing-*"}, 3),
        ({"Action": READS, "Resource": "*"}, 1),
        ({"Action": "dynamodb:*", "Resource": "arn:*:dynamodb:*:*:table/order-processing-*"}, 4),
        ({"Action": "dynamodb:*", "Resource": "arn:aws:dynamodb:*:*:table/order-processing-*"}, 5),
    ],
    ids=["right", "lacks", "any table", "writes as well", "one partition alone"],
)
def test_a_policy_that_reads_too_little_or_does_more_than_read_is_objected_to(
    statement: dict[str, Any], objections: int
) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}
    assert len(deploying.reading(document)) == objections
    assert deploying.reading(deploying.policy("preflight")) == []


def test_a_policy_that_is_too_long_for_iam_is_objected_to() -> None:
    document = deploying.policy()
    long = [{**document["Statement"][0], "Sid": f"Again{n}"} for n in range(9)]
    [objection] = deploying.judged({**document, "Statement": [*document["Statement"], *long]}, {}, {}).objections
    assert "characters" in objection


def without(document: Any, action: str) -> dict[str, Any]:
    statements = [
        {**each, "Action": [other for other in each["Action"] if other != action]}
        if isinstance(each["Action"], list)
        else each
        for each in document["Statement"]
    ]
    return {**document, "Statement": statements}


# --- DynamoDB ---------------------------------------------------------------------------------------------------------

PLANTED = """
import pytest

def test_the_parts_that_dynalite_lacks_are_supplied(shop):
    dynamodb, order = shop.wire.client("dynamodb"), {"orderId": {"S": "1"}, "n": {"N": "1"}}
    dynamodb.put_item(TableName="Orders", Item=order)
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as refused:
        dynamodb.put_item(
            TableName="Orders",
            Item=order,
            ConditionExpression="attribute_not_exists(orderId)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert refused.value.response["Item"] == order

def test_a_condition_that_dynamodb_does_not_take(shop):
    shop.wire.client("dynamodb").put_item(
        TableName="Orders", Item={"orderId": {"S": "1"}}, ConditionExpression="n = n OR attribute_not_exists(orderId)"
    )
"""


def test_a_condition_that_moto_takes_and_dynamodb_does_not_is_objected_to(tmp_path: Path) -> None:
    file = tmp_path / "test_planted.py"
    file.write_text(PLANTED)
    options = ["-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider"]
    on_moto = subprocess.run([sys.executable, "-m", "pytest", *options, str(file)], cwd=ROOT)
    assert on_moto.returncode == 0

    report = database.run([str(file)], *options)

    assert report["passed"] == 1
    [failed] = report["failed"]
    assert "test_a_condition_that_dynamodb_does_not_take" in failed
    assert "operand must be distinct" in failed
