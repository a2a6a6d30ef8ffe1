"""Each role grants exactly what its function calls: the stories are run, and what they call is compared."""

from collections.abc import Iterator
from typing import Any

import pytest

from simulation import deployment
from tests.shop import Shop
from tests.wire import Call

Right = tuple[str, str]
"""An action, and what it is done to: `("dynamodb:Query", "OrdersTable/index/byCustomer")`."""

FUNCTIONS = list(deployment.service()["functions"])
TABLES = {"Orders": "OrdersTable", "AuditLog": "AuditLogTable"}


def _right(call: Call) -> Iterator[Right]:
    params = call.params
    if call.action == "events:PutEvents":
        for entry in params["Entries"]:
            yield call.action, f"EventBus: {entry['Source']}, {entry['DetailType']}"
    elif call.action == "ses:SendEmail":
        yield call.action, "the sender"
    elif call.action == "sns:Publish":
        yield call.action, "phones" if "PhoneNumber" in params else params["TopicArn"]
    else:
        for table in params.get("RequestItems", None) or [params["TableName"]]:
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            yield call.action, f"{TABLES[table]}{index}"


@pytest.fixture
def called(shop: Shop, let_pass: Any) -> dict[str, set[Right]]:
    """What each function calls, in stories that go through every line that calls anything."""
    # every route, every outcome
    for method in ("tok_visa", "tok_declined"):
        placed = shop.place(paymentMethod=method, phone="+4915112345678", key=f"key {method}")
        shop.place(paymentMethod=method, phone="+4915112345678", key=f"key {method}")
        shop.run()
    order_id = placed.body["orderId"]
    shop.order(order_id)
    shop.trail(order_id)
    assert shop.orders({}).body["orders"]
    # the reconciler publishes an order that is open, and closes one that has ended
    shop.place()
    shop.change(order_id, openShard=1, dueAt="2026-01-31T09:30:00.123Z")
    let_pass(seconds=61)
    shop.reconcile()
    shop.drain()
    # an order that ends first and is told of then, and the other way round
    for functions in (("orderStatusUpdater", "notification"), ("notification", "orderStatusUpdater")):
        _, event = shop.placed(paymentMethod="tok_declined")
        shop.deliver("paymentProcessing", event)
        [failed] = shop.drain()
        for function in functions:
            shop.deliver(function, failed)

    calls = [call for call in shop.wire.calls if call.function]
    return {name: {right for call in calls if call.function == name for right in _right(call)} for name in FUNCTIONS}


def _granted(function: str) -> Iterator[Right]:
    """The rights of the function's role, but for those that Lambda itself uses."""
    for statement in _statements(function):
        for action in _list(statement["Action"]):
            if not action.startswith(("logs:", "sqs:")):
                for resource in _resources(statement):
                    yield action, resource


def _resources(statement: dict[str, Any]) -> Iterator[str]:
    action, condition = statement["Action"], statement.get("Condition")
    if action == "events:PutEvents":
        assert statement["Resource"] == {"Fn::GetAtt": "EventBus.Arn"}
        names = condition["StringEquals"]  # type: ignore[index] # without one anybody may publish anything
        for source in _list(names["events:source"]):
            for detail_type in _list(names["events:detail-type"]):
                yield f"EventBus: {source}, {detail_type}"
    elif action == "ses:SendEmail":
        [(_, allowed)] = condition.items()  # type: ignore[union-attr]
        assert allowed == {"ses:FromAddress": "${param:senderEmail}"}
        yield "the sender"
    elif action == "sns:Publish":
        assert "Resource" not in statement
        assert "arn:${AWS::Partition}:sns:" in str(statement["NotResource"]), "every topic is taken away"
        yield "phones"
    else:
        assert condition is None
        for resource in _list(statement["Resource"]):
            [(kind, value)] = resource.items()
            yield value.removesuffix(".Arn") if kind == "Fn::GetAtt" else value.replace("${", "").replace(".Arn}", "")


def _statements(function: str) -> list[dict[str, Any]]:
    role = deployment.of_type("AWS::IAM::Role")[deployment.service()["functions"][function]["role"]]
    assert "ManagedPolicyArns" not in role
    found = [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
    assert all(statement["Effect"] == "Allow" for statement in found)
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_each_role_grants_what_its_function_calls_and_nothing_else(called: dict[str, set[Right]]) -> None:
    granted = {function: set(_granted(function)) for function in FUNCTIONS}
    assert granted == called


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_role_grants_what_lambda_does_in_the_function_s_name(function: str) -> None:
    configuration = deployment.service()["functions"][function]
    log_group = {"Fn::GetAtt": f"{function[0].upper()}{function[1:]}LogGroup.Arn"}
    expected = {"logs:CreateLogStream": log_group, "logs:PutLogEvents": log_group}
    if "destinations" in configuration:
        expected["sqs:SendMessage"] = configuration["destinations"]["onFailure"]["arn"]
    for event in configuration.get("events", []):
        for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes") if "sqs" in event else ():
            expected[f"sqs:{action}"] = event["sqs"]["arn"]
    assert {
        action: statement["Resource"]
        for statement in _statements(function)
        for action in _list(statement["Action"])
        if action.startswith(("logs:", "sqs:"))
    } == expected


def test_no_two_functions_share_a_role() -> None:
    roles = [function["role"] for function in deployment.service()["functions"].values()]
    assert sorted(roles) == sorted(deployment.of_type("AWS::IAM::Role"))
    assert len(set(roles)) == len(roles)


def test_no_role_may_change_or_delete_what_the_audit_log_has() -> None:
    rights = {right for function in FUNCTIONS for right in _granted(function)}
    assert {action for action, resource in rights if resource.startswith("AuditLogTable")} == {
        "dynamodb:PutItem",
        "dynamodb:Query",
    }
    assert not [action for action, _ in rights if "Delete" in action or "*" in action]


def test_each_event_may_be_published_under_one_source_by_who_tells_of_it() -> None:
    may = {(function, right[1]) for function in FUNCTIONS for right in _granted(function) if "PutEvents" in right[0]}
    assert may == {
        ("orderService", "EventBus: order-processing.orders, OrderPlacedEvent"),
        ("reconciler", "EventBus: order-processing.orders, OrderPlacedEvent"),
        ("paymentProcessing", "EventBus: order-processing.payment, PaymentCompletedEvent"),
        ("paymentProcessing", "EventBus: order-processing.payment, PaymentFailedEvent"),
        ("fulfillment", "EventBus: order-processing.fulfillment, FulfillmentCompletedEvent"),
    }
