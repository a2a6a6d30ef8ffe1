"""Each role grants exactly what its function calls: the stories are run, and what they call is compared.

tests/recorded_rights.py compares at the end of a run what all tests called; on the embedded AWS, which enforces IAM, a
right that is missing shows in tests/e2e.
"""

from typing import Any

import pytest

from tests.rights import FUNCTIONS, Right, granted_to, listed, needed_by, statements
from tests.shop import Shop
from tools import topology


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
    shop.cancel(shop.place().body["orderId"])
    shop.change(order_id, openShard=1, dueAt="2026-01-31T09:30:00.123Z")
    let_pass(seconds=61)
    shop.reconcile()
    shop.drain()
    # an order that is cancelled before, and one that is cancelled after the charge
    for is_charged in (False, True):
        cancelled, event = shop.placed()
        if is_charged:
            shop.deliver("paymentProcessing", event)
        shop.cancel(cancelled)
        shop.run()
    # a page that watches an order, sees it end, and leaves
    watched = shop.place().body["orderId"]
    shop.connect(shop.ticket(watched).body["ticket"], "page")
    shop.run()
    shop.disconnect("page")
    # an order that ends before its customer is notified, and the other way round
    for functions in (("orderStatusUpdater", "notification"), ("notification", "orderStatusUpdater")):
        _, event = shop.placed(paymentMethod="tok_declined")
        shop.deliver("paymentProcessing", event)
        [failed] = shop.drain()
        for function in functions:
            shop.deliver(function, failed)

    calls = [call for call in shop.wire.calls if call.function]
    return {name: {right for call in calls if call.function == name for right in needed_by(call)} for name in FUNCTIONS}


def test_each_role_grants_what_its_function_calls_and_nothing_else(called: dict[str, set[Right]]) -> None:
    granted = {function: set(granted_to(function)) for function in FUNCTIONS}
    assert granted == called


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_role_grants_what_lambda_does_in_the_function_s_name(function: str) -> None:
    configuration = topology.service()["functions"][function]
    log_group = {"Fn::GetAtt": f"{function[0].upper()}{function[1:]}LogGroup.Arn"}
    expected = {"logs:CreateLogStream": log_group, "logs:PutLogEvents": log_group}
    if "destinations" in configuration:
        expected["sqs:SendMessage"] = configuration["destinations"]["onFailure"]["arn"]
    for event in configuration.get("events", []):
        for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes") if "sqs" in event else ():
            expected[f"sqs:{action}"] = event["sqs"]["arn"]
    assert {
        action: statement["Resource"]
        for statement in statements(function)
        for action in listed(statement["Action"])
        if action.startswith(("logs:", "sqs:"))
    } == expected


def test_no_two_functions_share_a_role() -> None:
    roles = [function["role"] for function in topology.service()["functions"].values()]
    assert sorted(roles) == sorted(topology.of_type("AWS::IAM::Role"))
    assert len(set(roles)) == len(roles)


def test_no_role_may_change_or_delete_what_the_audit_log_has() -> None:
    rights = {right for function in FUNCTIONS for right in granted_to(function)}
    assert {action for action, resource in rights if resource.startswith("AuditLogTable")} == {
        "dynamodb:PutItem",
        "dynamodb:Query",
    }
    assert {right for right in rights if "Delete" in right[0] or "*" in right[0]} == {
        ("dynamodb:DeleteItem", "FeedTable")
    }


def test_only_the_payment_function_may_use_the_provider_s_ledger_and_only_update_it() -> None:
    rights = {(function, *right) for function in FUNCTIONS for right in granted_to(function)}
    assert {(function, action) for function, action, resource in rights if resource == "GatewayLedgerTable"} == {
        ("paymentProcessing", "dynamodb:UpdateItem")
    }


def test_each_event_may_be_published_under_one_source_by_its_publishers() -> None:
    may = {(function, right[1]) for function in FUNCTIONS for right in granted_to(function) if "PutEvents" in right[0]}
    assert may == {
        ("orderService", "EventBus: order-processing.orders, OrderPlacedEvent"),
        ("orderService", "EventBus: order-processing.orders, OrderCancelledEvent"),
        ("reconciler", "EventBus: order-processing.orders, OrderPlacedEvent"),
        ("reconciler", "EventBus: order-processing.orders, OrderCancelledEvent"),
        ("paymentProcessing", "EventBus: order-processing.payment, PaymentCompletedEvent"),
        ("paymentProcessing", "EventBus: order-processing.payment, PaymentFailedEvent"),
        ("paymentProcessing", "EventBus: order-processing.payment, PaymentRefundedEvent"),
        ("fulfillment", "EventBus: order-processing.fulfillment, FulfillmentCompletedEvent"),
    }
