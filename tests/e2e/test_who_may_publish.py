"""Which function may say what: every role tries every event, with its own credentials, on the real bus.

A function gets its credentials from Lambda, which alone may take on its role. For these tests each role lets the
administrator in for a moment as well; its rights stay what they are.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, NamedTuple
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e.cloud import STACK, Cloud
from tests.e2e.shopper import Shopper
from tests.e2e.waiting import wait_for
from tools import flow, topology
from verification.evidence import Envelope
from verification.tap import Tap, tap_of_bus

PAYMENT, FULFILLMENT = (f"order-processing.{name}" for name in ("payment", "fulfillment"))

Said = tuple[str, str]
"""An event's source and detail type."""

FUNCTIONS = tuple(topology.functions())
MAY_SAY: Mapping[str, set[Said]] = {
    function: {(source, event) for source, events in flow.publications(function).items() for event in events}
    for function in FUNCTIONS
}
"""What each may publish by resources/roles.yml; tests/wiring holds that against the code."""
EVERYTHING: list[Said] = [
    (source, event)
    for source in (*flow.publishers(), "order-processing", "somebody.else")
    for event in (*flow.consumers(), "SomeOtherEvent", "")
]


# --- credentials ------------------------------------------------------------------------------------------------------


class Roles:
    """`client(function, service)` is a client with the function's own credentials."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._credentials = cache(self._take_on)
        self.client = cache(self._client)

    def arn(self, function: str) -> str:
        functions = self._cloud.client("lambda")
        return str(functions.get_function_configuration(FunctionName=f"{STACK}-{function}")["Role"])

    def _take_on(self, function: str) -> Mapping[str, str]:
        sts, arn = self._cloud.client("sts"), self.arn(function)
        with self._open_to(sts.get_caller_identity()["Account"], arn):
            return dict(sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"])

    @contextmanager
    def _open_to(self, account: str, arn: str) -> Iterator[None]:
        iam, name = self._cloud.client("iam"), arn.rpartition("/")[2]
        before = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        us = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}
        trust = {**before, "Statement": [*before["Statement"], us]}
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
        try:
            yield
        finally:
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(before))

    def _client(self, function: str, service: str) -> Any:
        credentials, stack = self._credentials(function), self._cloud.stack
        return boto3.client(  # type: ignore[call-overload] # the stubs know literal names only
            service,
            endpoint_url=stack["endpointUrl"],
            region_name=stack["region"],
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )


@pytest.fixture(scope="module")
def roles(cloud: Cloud) -> Roles:
    return Roles(cloud)


def code_of(call: Callable[[], Any]) -> str:
    """AWS's error code for a call; empty where it is carried out."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}
"""IAM's no, as it is called by different services."""


@pytest.fixture(scope="module")
def somebody(cloud: Cloud) -> Iterator[Any]:
    """STS, for a user of the account who may take on every role that lets them."""
    iam, name, stack = cloud.client("iam"), "somebody-of-a-test", cloud.stack
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="roles", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield boto3.client(
        "sts",
        endpoint_url=stack["endpointUrl"],
        region_name=stack["region"],
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="roles")
    iam.delete_user(UserName=name)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nobody_but_lambda_may_take_on_a_functions_role(somebody: Any, roles: Roles, function: str) -> None:
    assert code_of(lambda: somebody.assume_role(RoleArn=roles.arn(function), RoleSessionName="escape")) in DENIED


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_credentials_are_the_functions_own(roles: Roles, function: str) -> None:
    """Else all that is denied below would be denied to somebody else."""
    me = roles.client(function, "sts").get_caller_identity()["Arn"]
    assert me.split("/")[1] == roles.arn(function).rpartition("/")[2]


# --- the bus ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tap(cloud: Cloud) -> Iterator[Tap]:
    with tap_of_bus(cloud.client, cloud.stack["EventBusName"]) as tap:
        yield tap


def caught_by(tap: Tap, cloud: Cloud) -> list[Envelope]:
    """All events so far: the bus here delivers in order, so that the last one put is the last one caught."""
    last = cloud.put("End", "tests", {})
    return wait_for("last event in the tap", tap.events, lambda caught: last in {event["id"] for event in caught})


class Speech(NamedTuple):
    """What became of it when each role said everything."""

    codes: Mapping[tuple[str, str, str], str]
    """Function, source and detail type → the error code, empty where it was taken."""
    heard: set[tuple[str, str, str]]
    """Those that were on the bus."""


@pytest.fixture(scope="module")
def facts(anna: Shopper) -> Mapping[str, str]:
    """The detail of each event, of orders that have ended: said once more it starts nothing."""
    found = {}
    for order in (
        anna.ended_order(),
        anna.ended_order(paymentMethod="tok_declined"),
        anna.cancelled_order(is_charged=True),
    ):
        for entry in anna.whole_trail(order["orderId"]):
            metadata = {name: entry[name] for name in ("correlationId", "causationId", "attempt")}
            metadata |= {"eventId": entry["domainEventId"], "version": "1", "occurredAt": entry["timestamp"]}
            found[entry["eventType"]] = json.dumps({"metadata": metadata, "data": entry["data"]})
    assert found.keys() == flow.consumers().keys()
    return found


@pytest.fixture(scope="module")
def speech(cloud: Cloud, roles: Roles, tap: Tap, facts: Mapping[str, str]) -> Speech:
    codes = {}
    for function in FUNCTIONS:
        events = roles.client(function, "events")
        for source, event in EVERYTHING:
            entry = said(cloud, function, source, event, facts)
            codes[function, source, event] = code_of(partial(events.put_events, Entries=[entry]))
    caught = caught_by(tap, cloud)
    ours = [event for event in caught if event["resources"]]  # and not of an order on its way
    return Speech(codes, {(event["resources"][0], event["source"], event["detail-type"]) for event in ours})


def said(cloud: Cloud, function: str, source: str, event: str, facts: Mapping[str, str]) -> dict[str, Any]:
    """An entry that names who says it."""
    return {
        "EventBusName": cloud.stack["EventBusName"],
        "Source": source,
        "DetailType": event,
        "Detail": facts.get(event, "{}"),
        "Resources": [function],
    }


@pytest.mark.parametrize("source_and_event", EVERYTHING, ids=lambda said: " ".join(said))
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_say_this_or_may_not(speech: Speech, function: str, source_and_event: Said) -> None:
    told = (function, *source_and_event)
    if source_and_event in MAY_SAY[function]:
        assert speech.codes[told] == ""
        assert told in speech.heard
    else:
        assert speech.codes[told] in DENIED
        assert told not in speech.heard


def test_only_payment_can_say_what_became_of_a_payment(speech: Speech) -> None:
    """The sentence for which the rest of this file exists."""
    assert {function for function, _, event in speech.heard if event.startswith("Payment")} == {"paymentProcessing"}


def test_only_who_may_place_or_heal_an_order_can_say_that_it_is_cancelled(speech: Speech) -> None:
    cancelling = {function for function, _, event in speech.heard if event == "OrderCancelledEvent"}
    assert cancelling == {"orderService", "reconciler"}


def test_a_forbidden_entry_can_not_hide_among_allowed_ones(
    cloud: Cloud, roles: Roles, tap: Tap, facts: Mapping[str, str]
) -> None:
    # given
    marker = f"hidden-{uuid4()}"
    allowed = said(cloud, marker, FULFILLMENT, "FulfillmentCompletedEvent", facts)
    forbidden = said(cloud, marker, PAYMENT, "PaymentCompletedEvent", facts)

    # when
    events = roles.client("fulfillment", "events")
    for entries in ([allowed, forbidden], [forbidden, allowed], [*[allowed] * 9, forbidden]):
        assert code_of(partial(events.put_events, Entries=entries)) in DENIED

    # then
    caught = caught_by(tap, cloud)
    assert [event for event in caught if event["resources"] == [marker]] == []


@pytest.mark.parametrize("missing", ["Source", "DetailType"])
def test_an_entry_that_leaves_out_what_iam_would_judge_it_by_is_never_on_the_bus(
    cloud: Cloud, roles: Roles, tap: Tap, facts: Mapping[str, str], missing: str
) -> None:
    # given
    marker = f"nameless-{uuid4()}"
    allowed = said(cloud, marker, FULFILLMENT, "FulfillmentCompletedEvent", facts)
    nameless = {name: value for name, value in allowed.items() if name != missing}
    events = roles.client("fulfillment", "events")

    # when
    alone = code_of(partial(events.put_events, Entries=[nameless]))
    beside = events.put_events(Entries=[nameless, allowed])

    # then
    assert alone in DENIED
    assert [entry.get("ErrorCode") for entry in beside["Entries"]] == ["InvalidArgument", None]
    heard = [event for event in caught_by(tap, cloud) if event["resources"] == [marker]]
    assert [(event["source"], event["detail-type"]) for event in heard] == [(FULFILLMENT, "FulfillmentCompletedEvent")]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_may_say_anything_on_another_bus(
    cloud: Cloud, roles: Roles, facts: Mapping[str, str], function: str
) -> None:
    for source, event in MAY_SAY[function] or {(PAYMENT, "PaymentCompletedEvent")}:
        entry = {**said(cloud, function, source, event, facts), "EventBusName": "default"}
        assert code_of(partial(roles.client(function, "events").put_events, Entries=[entry])) in DENIED


# --- the audit log ----------------------------------------------------------------------------------------------------

Attempt = Callable[[Any, str, Mapping[str, Any]], Any]
"""With a DynamoDB client, the audit log's name and an entry's key."""

FALSE = {"source": {"S": "a lie"}}
CHANGES: dict[str, Attempt] = {
    "update an entry": lambda db, table, key: db.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "source"},
        ExpressionAttributeValues={":s": FALSE["source"]},
    ),
    "delete an entry": lambda db, table, key: db.delete_item(TableName=table, Key=key),
    "delete an entry in a batch": lambda db, table, key: db.batch_write_item(
        RequestItems={table: [{"DeleteRequest": {"Key": key}}]}
    ),
    "overwrite an entry in a batch": lambda db, table, key: db.batch_write_item(
        RequestItems={table: [{"PutRequest": {"Item": {**key, **FALSE}}}]}
    ),
    "delete an entry in a transaction": lambda db, table, key: db.transact_write_items(
        TransactItems=[{"Delete": {"TableName": table, "Key": key}}]
    ),
    "update an entry in a transaction": lambda db, table, key: db.transact_write_items(
        TransactItems=[
            {
                "Update": {
                    "TableName": table,
                    "Key": key,
                    "UpdateExpression": "SET #s = :s",
                    "ExpressionAttributeNames": {"#s": "source"},
                    "ExpressionAttributeValues": {":s": FALSE["source"]},
                }
            }
        ]
    ),
    "delete an entry by PartiQL": lambda db, table, key: db.execute_statement(
        Statement=f'DELETE FROM "{table}" WHERE "eventId" = ? AND "timestamp" = ?',
        Parameters=[key["eventId"], key["timestamp"]],
    ),
    "update an entry by PartiQL": lambda db, table, key: db.execute_statement(
        Statement=f'UPDATE "{table}" SET "source" = ? WHERE "eventId" = ? AND "timestamp" = ?',
        Parameters=[FALSE["source"], key["eventId"], key["timestamp"]],
    ),
    "delete the table": lambda db, table, _: db.delete_table(TableName=table),
    "let its entries expire": lambda db, table, _: db.update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "source"}
    ),
}


@pytest.fixture(scope="module")
def entry(cloud: Cloud, anna: Shopper) -> Mapping[str, Any]:
    """An entry of the audit log, as it is stored."""
    order_id = anna.ended_order()["orderId"]
    [logged] = cloud.logged(anna.whole_trail(order_id)[0]["eventId"])
    return logged


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_may_change_what_the_audit_log_has(
    cloud: Cloud, roles: Roles, entry: Mapping[str, Any], function: str, change: str
) -> None:
    key = {name: entry[name] for name in ("eventId", "timestamp")}
    database = roles.client(function, "dynamodb")
    assert code_of(lambda: CHANGES[change](database, cloud.stack["AuditLogTableName"], key)) in DENIED
    assert cloud.logged(entry["eventId"]["S"]) == [entry]


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name != "auditLogger"])
def test_nobody_but_the_audit_logger_may_add_to_the_audit_log(cloud: Cloud, roles: Roles, function: str) -> None:
    made_up = {"eventId": {"S": str(uuid4())}, "timestamp": {"S": "2026-01-01T00:00:00.000Z"}, **FALSE}
    database = roles.client(function, "dynamodb")
    assert code_of(lambda: database.put_item(TableName=cloud.stack["AuditLogTableName"], Item=made_up)) in DENIED
    assert cloud.logged(made_up["eventId"]["S"]) == []


# --- the payment provider's ledger ------------------------------------------------------------------------------------

LEDGER_CALLS: dict[str, Attempt] = {
    "read a row": lambda db, table, key: db.get_item(TableName=table, Key=key),
    "read all rows": lambda db, table, _: db.scan(TableName=table),
    "read a row by PartiQL": lambda db, table, key: db.execute_statement(
        Statement=f'SELECT * FROM "{table}" WHERE "idempotencyKey" = ?', Parameters=[key["idempotencyKey"]]
    ),
    "put a row": lambda db, table, key: db.put_item(TableName=table, Item={**key, "state": {"S": "CHARGED"}}),
    "delete a row": lambda db, table, key: db.delete_item(TableName=table, Key=key),
    "delete the table": lambda db, table, _: db.delete_table(TableName=table),
}
UPDATE_A_ROW: Attempt = lambda db, table, key: db.update_item(  # noqa: E731
    TableName=table,
    Key=key,
    UpdateExpression="SET #r = if_not_exists(#r, :none)",
    ExpressionAttributeNames={"#r": "requests"},
    ExpressionAttributeValues={":none": {"N": "0"}},
)


@pytest.fixture(scope="module")
def charged(cloud: Cloud, anna: Shopper) -> Mapping[str, Any]:
    """The key of a row."""
    order_id = anna.ended_order()["orderId"]
    assert cloud.ledger_row(order_id)
    return {"idempotencyKey": {"S": order_id}}


@pytest.mark.parametrize("call", LEDGER_CALLS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_may_read_put_or_delete_what_the_provider_remembers(
    cloud: Cloud, roles: Roles, charged: Mapping[str, Any], function: str, call: str
) -> None:
    before = cloud.ledger_row(charged["idempotencyKey"]["S"])
    database = roles.client(function, "dynamodb")
    assert code_of(lambda: LEDGER_CALLS[call](database, cloud.stack["GatewayLedgerTableName"], charged)) in DENIED
    assert cloud.ledger_row(charged["idempotencyKey"]["S"]) == before


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_the_payment_function_may_update_what_the_provider_remembers(
    cloud: Cloud, roles: Roles, charged: Mapping[str, Any], function: str
) -> None:
    database = roles.client(function, "dynamodb")
    code = code_of(lambda: UPDATE_A_ROW(database, cloud.stack["GatewayLedgerTableName"], charged))
    assert (code == "") if function == "paymentProcessing" else (code in DENIED)


# --- what no function may do at all -----------------------------------------------------------------------------------

FORBIDDEN: dict[str, tuple[str, Callable[[Any, Cloud], Any]]] = {
    "call a function": ("lambda", lambda c, cloud: c.invoke(FunctionName=f"{STACK}-paymentProcessing", Payload=b"{}")),
    "change a function": (
        "lambda",
        lambda c, cloud: c.update_function_configuration(FunctionName=f"{STACK}-notification", Timeout=30),
    ),
    "read all orders": ("dynamodb", lambda c, cloud: c.scan(TableName=cloud.stack["OrdersTableName"])),
    "delete an order": (
        "dynamodb",
        lambda c, cloud: c.delete_item(TableName=cloud.stack["OrdersTableName"], Key={"orderId": {"S": "x"}}),
    ),
    "lead events elsewhere": (
        "events",
        lambda c, cloud: c.put_rule(Name="mine", EventBusName=cloud.stack["EventBusName"], EventPattern='{"a": ["b"]}'),
    ),
    "read dead letters": ("sqs", lambda c, cloud: c.receive_message(QueueUrl=cloud.stack["DeadLetterQueueUrl"])),
    "empty the dead letters": ("sqs", lambda c, cloud: c.purge_queue(QueueUrl=cloud.stack["DeadLetterQueueUrl"])),
    "publish to the topic": (
        "sns",
        lambda c, cloud: c.publish(TopicArn=cloud.stack["OrderNotificationTopicArn"], Message="{}"),
    ),
    "look at customers": ("cognito-idp", lambda c, cloud: c.list_users(UserPoolId=cloud.stack["UserPoolId"])),
    "take on a role": (
        "sts",
        lambda c, cloud: c.assume_role(RoleArn=Roles(cloud).arn("paymentProcessing"), RoleSessionName="escape"),
    ),
    "give itself rights": (
        "iam",
        lambda c, cloud: c.put_role_policy(
            RoleName=Roles(cloud).arn("fulfillment").rpartition("/")[2], PolicyName="all", PolicyDocument="{}"
        ),
    ),
    "send mail in another name": (
        "sesv2",
        lambda c, cloud: c.send_email(
            FromEmailAddress="ceo@example.com",
            Destination={"ToAddresses": ["anna@example.com"]},
            Content={"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Hello"}}}},
        ),
    ),
}


@pytest.mark.parametrize("deed", FORBIDDEN)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_may(cloud: Cloud, roles: Roles, function: str, deed: str) -> None:
    service, attempt = FORBIDDEN[deed]
    assert code_of(lambda: attempt(roles.client(function, service), cloud)) in DENIED
