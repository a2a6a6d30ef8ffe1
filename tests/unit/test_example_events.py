"""The events of `npm run invoke`, one for each function: docs/events/examples. Each is what AWS sends it.

The order of those that name one is recorded: the function takes it a step further, as it does in production.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.shop import Shop
from tools import topology
from tools.checkout import ROOT

EXAMPLES = {file.stem: file for file in (ROOT / "docs" / "events" / "examples").glob("*.json")}
ORDERS = ROOT / "tests" / "recorded" / "v1" / "orders"

RECORDED = {
    "paymentProcessing": "placed",
    "fulfillment": "charged",
    "orderStatusUpdater": "charged",
    "notification": "fulfilled",
}
"""Function → the recorded order that its example is about."""

CHANGES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "paymentProcessing": lambda order: order["payment"]["status"] == "COMPLETED",
    "fulfillment": lambda order: "trackingId" in order["fulfillment"],
    "orderStatusUpdater": lambda order: order["status"] == "PAID",
    "notification": lambda order: "messageId" in order["notification"],
}
"""Function → what holds of the order afterwards, and not before."""


def example(function: str) -> Any:
    return json.loads(EXAMPLES[function].read_text())


def test_there_is_one_for_each_function() -> None:
    assert EXAMPLES.keys() == set(topology.functions())


@pytest.mark.parametrize("function", RECORDED)
def test_an_event_about_an_order_takes_the_order_a_step_further(shop: Shop, function: str) -> None:
    order = json.loads((ORDERS / f"{RECORDED[function]}.json").read_text())
    shop.store(order)

    assert shop.invoke(function, example(function)) in (None, {"batchItemFailures": []})

    assert CHANGES[function](shop.item(order["orderId"]))


def test_the_api_s_request_lists_the_products_without_a_token(shop: Shop) -> None:
    response = shop.invoke("orderService", example("orderService"))

    assert response["statusCode"] == 200
    assert json.loads(response["body"])["products"]


def test_the_audit_logger_stores_its_event(shop: Shop) -> None:
    event = example("auditLogger")

    shop.invoke("auditLogger", event)

    assert [row["eventId"] for row in shop.everything()["AuditLog"]] == [event["id"]]


def test_the_order_feed_sends_its_event_to_the_page_of_its_order(shop: Shop) -> None:
    event = example("orderFeed")
    shop.store(json.loads((ORDERS / "placed.json").read_text()))  # Anna's
    order_id = event["detail"]["data"]["orderId"]
    shop.connect(shop.ticket(order_id).body["ticket"], "page")

    shop.invoke("orderFeed", event)

    assert [sent["eventId"] for sent in shop.sent_to("page")] == [event["id"]]


def test_the_reconciler_s_minute_republishes_what_is_due(shop: Shop) -> None:
    order = json.loads((ORDERS / "placed.json").read_text())
    shop.store(order)  # due since it was recorded

    shop.invoke("reconciler", example("reconciler"))

    assert [event["detail"]["data"]["orderId"] for event in shop.events("OrderPlacedEvent")] == [order["orderId"]]
