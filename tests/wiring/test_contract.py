"""The API's documents are made from the code, and name every route, field and problem."""

import ast
import json
from typing import Any

import pytest

from handlers import order_feed, order_service
from handlers.responses import PROBLEMS, problem_type
from local.__main__ import _parser
from operations.loopback import HOST
from orders.catalogue import PRODUCTS
from tests.shop import Shop
from tools import topology
from tools.checkout import ROOT
from verification.contract.__main__ import DOCS, files
from verification.contract.openapi import OPERATIONS, document


@pytest.mark.parametrize("name", files())
def test_the_documents_are_those_of_the_code(name: str) -> None:
    assert (DOCS / name).read_text() == files()[name], "made again by: npm run contract"


def test_the_documents_routes_are_the_gateway_s() -> None:
    routes = [f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods]
    assert sorted(routes) == sorted([*order_service.ROUTES, *order_feed.ROUTES])


def test_the_first_server_is_on_this_machine() -> None:
    """At the storefront's port, the one after the emulator's; the other server is AWS's, with a URL to fill in."""
    local, aws = document()["servers"]
    port = int(_parser().parse_args([]).port)

    assert local["url"] == f"http://{HOST}:{port + 1}/api"
    assert aws["url"] == "{apiUrl}"


def test_a_route_asks_for_a_token_where_the_gateway_does() -> None:
    for each in topology.service()["functions"]["orderService"]["events"]:
        route = each["httpApi"]
        asks = isinstance(route, dict) and "authorizer" in route
        method, path = (route["method"], route["path"]) if isinstance(route, dict) else route.split()
        assert ("security" in document()["paths"][path][method.lower()]) == asks


def test_what_an_order_may_have_in_the_document_is_what_the_api_shows(shop: Shop) -> None:
    # given two orders that have everything between them: one is shipped, one is refunded
    order_id = shop.place(phone="+4915112345678").body["orderId"]
    shop.run()
    order, [event, *_] = shop.order(order_id), shop.trail(order_id)
    refunded_id, placed = shop.placed()
    shop.deliver("paymentProcessing", placed)
    shop.cancel(refunded_id)
    shop.run()
    order |= shop.order(refunded_id)
    schemas = document()["components"]["schemas"]

    # then no field is missing there, and none is shown that must not be
    assert set(order) == set(schemas["OrderResponse"]["properties"])
    assert set(event) == set(schemas["EventResponse"]["properties"])
    for name, schema in (
        ("payment", "PaymentResponse"),
        ("fulfillment", "FulfillmentResponse"),
        ("notification", "NotificationResponse"),
        ("cancellation", "CancellationResponse"),
        ("refund", "RefundResponse"),
    ):
        assert set(order[name]) <= set(schemas[schema]["properties"])
    assert not {"email", "phone", "customerId"} & set(json.dumps(schemas["OrderResponse"]).split('"'))


def test_no_response_may_have_a_field_that_the_document_does_not_know() -> None:
    for name, schema in document()["components"]["schemas"].items():
        assert schema.get("additionalProperties") is False or name == "JsonValue", name


def test_the_document_names_each_problem_that_the_code_raises_and_no_other() -> None:
    named = {name for operation in OPERATIONS.values() for name in operation.problems} | {"internal"}
    assert named == _raised() == set(PROBLEMS)
    types = document()["components"]["schemas"]["ProblemResponse"]["properties"]["type"]["enum"]
    assert types == [problem_type(name) for name in PROBLEMS]


def _raised() -> set[str]:
    """The name of each `Problem("order-not-found", …)` in the handlers."""
    calls = [
        node
        for path in (ROOT / "handlers").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem"
    ]
    return {ast.literal_eval(call.args[0]) for call in calls}


def test_an_order_may_ask_for_what_is_sold() -> None:
    line: Any = document()["components"]["schemas"]["RequestedLine"]
    assert line["properties"]["sku"]["enum"] == list(PRODUCTS)


def test_no_secret_and_no_address_of_a_machine_is_in_the_postman_environments() -> None:
    for name in ("local", "aws"):
        values = {each["key"]: each["value"] for each in json.loads(files()[f"postman/{name}.json"])["values"]}
        assert values["password"] in {"", "Secret-password-1"}
        assert "execute-api" not in json.dumps(values)
