"""A customer changes their mind: before the charge, after it, and too late."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.visitor import TIMEOUT_MS, Visitor
from tests.e2e.cloud import Cloud
from tests.e2e.shopper import envelope_of


@pytest.fixture
def cloud(storefront: dict[str, Any]) -> Iterator[Cloud]:
    with ExitStack() as closing:
        yield Cloud(storefront, closing)


def cancels(customer: Visitor) -> None:
    customer.button("Cancel the order").click()
    customer.button("Yes, cancel it").click()


def test_an_order_that_is_cancelled_after_the_charge_is_refunded_as_the_page_says(
    customer: Visitor, cloud: Cloud
) -> None:
    # given
    with cloud.without_events_for("fulfillment"):
        customer.orders()
        expect(customer.page.locator(".badge", has_text="✓ Paid")).to_be_visible(timeout=TIMEOUT_MS)

        # when
        cancels(customer)
        customer.sees_the_end("is cancelled")

    # then
    expect(customer.page.get_by_text("The order is cancelled. Your card got 14.00 EUR back.")).to_be_visible()
    expect(customer.page.get_by_text("↩ Cancelled and refunded")).to_be_visible()
    expect(customer.button("Cancel the order")).to_be_hidden()
    steps = customer.steps
    for step in ("OrderService publishes OrderCancelledEvent", "PaymentProcessing publishes PaymentRefundedEvent"):
        assert step in steps
    expect(customer.node("fulfillment")).not_to_have_attribute("data-state", "waiting")
    customer.opens("#/orders")
    expect(customer.page.get_by_text("↩ Cancelled and refunded")).to_be_visible()


def test_an_order_that_is_cancelled_before_the_charge_is_never_charged(customer: Visitor, cloud: Cloud) -> None:
    # given
    with cloud.without_events_for("paymentProcessing"):
        customer.orders()
        cancels(customer)
        words = "The order is cancelled. If your card was charged, the full amount will be refunded."
        expect(customer.page.get_by_text(words)).to_be_visible()
        expect(customer.page.locator(".badge", has_text="✗ Cancelled")).to_be_visible(timeout=TIMEOUT_MS)

    # when the event arrives late
    events = customer.asks(f"/orders/{customer.order_id}/events")["events"]
    [late] = [envelope_of(event) for event in events if event["eventType"] == "OrderCancelledEvent"]
    cloud.put(late["detail-type"], late["source"], late["detail"])

    # then
    customer.sees_the_end("is cancelled")
    expect(customer.page.get_by_text("Your card was not charged, and will not be.")).to_be_visible()
    expect(customer.page.get_by_text("never charged")).to_be_visible()


def test_a_late_click_gets_an_answer_that_a_person_understands(customer: Visitor, cloud: Cloud) -> None:
    # given a page that shows the order as it was before it was shipped
    page = customer.page
    with cloud.without_events_for("fulfillment"):
        customer.orders()
        expect(page.locator(".badge", has_text="✓ Paid")).to_be_visible(timeout=TIMEOUT_MS)
        paid = customer.asks(f"/orders/{customer.order_id}")
        events = customer.asks(f"/orders/{customer.order_id}/events")["events"]
    page.route(f"**/api/orders/{customer.order_id}", lambda route: _old(route, paid))
    [late] = [envelope_of(event) for event in events if event["eventType"] == "PaymentCompletedEvent"]
    cloud.put(late["detail-type"], late["source"], late["detail"])
    _wait_for_parcel(page, cloud, customer.order_id)

    # when
    cancels(customer)

    # then
    expect(page.get_by_text("It is too late to cancel this order: the order was handed to the carrier")).to_be_visible()
    page.unroute(f"**/api/orders/{customer.order_id}")
    customer.sees_the_end("is on its way")
    expect(customer.button("Cancel the order")).to_be_hidden()


def _old(route: Route, order: Any) -> None:
    route.fulfill(status=200, content_type="application/json", body=json.dumps(order))


def _wait_for_parcel(page: Page, cloud: Cloud, order_id: str) -> None:
    for _ in range(TIMEOUT_MS // 100):
        if "fulfillment" in (cloud.item(order_id) or {}):
            return
        page.wait_for_timeout(100)
    pytest.fail("the order was not shipped")


def test_it_is_asked_first_and_may_be_kept_by_keyboard(customer: Visitor, cloud: Cloud) -> None:
    with cloud.without_events_for("fulfillment"):
        customer.orders()
        customer.button("Cancel the order").focus()
        customer.page.keyboard.press("Enter")
        expect(customer.button("Yes, cancel it")).to_be_focused()
        customer.page.keyboard.press("Tab")
        customer.page.keyboard.press("Enter")
        expect(customer.button("Cancel the order")).to_be_focused()
        assert "cancellation" not in customer.asks(f"/orders/{customer.order_id}")


def test_while_the_api_is_down_the_page_says_so_and_offers_the_button_again(customer: Visitor, cloud: Cloud) -> None:
    with cloud.without_events_for("fulfillment"):
        customer.orders()
        customer.page.route("**/cancellation", lambda route: route.abort())
        cancels(customer)
        expect(customer.page.get_by_text("The order is not cancelled. The API can't be reached.")).to_be_visible()
        customer.page.unroute("**/cancellation")

        cancels(customer)
        expect(customer.page.get_by_text("The order is cancelled.")).to_be_visible()
