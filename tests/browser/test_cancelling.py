"""A customer changes their mind: before the charge, after it, too late, twice, and while nothing answers."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Route, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import TIMEOUT_MS, Visitor
from tests.e2e.cloud import Cloud
from tests.e2e.shopper import envelope_of
from tests.e2e.waiting import wait_for

REFUNDED = "The order is cancelled. €14.00 was refunded to your card."


@pytest.fixture
def customer(visit: Visit) -> Visitor:
    """A customer whose window is so narrow that the panel is closed, whose reads of the dead letters take turns."""
    return visit(viewport={"width": 900, "height": 900}).signs_up()


@contextmanager
def paid_order(customer: Visitor, cloud: Cloud) -> Iterator[None]:
    """The customer looks at an order that is paid, and not shipped as long as the block lasts."""
    with cloud.without_events_for("fulfillment"):
        customer.orders()
        expect(customer.page.locator(".badge", has_text="✓ Paid")).to_be_visible(timeout=TIMEOUT_MS)
        sees_step(customer, "PaymentProcessing publishes PaymentCompletedEvent")
        yield


def cancels(customer: Visitor) -> None:
    customer.button("Cancel the order").click()
    customer.button("Yes, cancel it").click()


def region(customer: Visitor) -> Locator:
    """The part of the page that cancels."""
    return customer.page.get_by_role("region", name="Cancelling")


def result(customer: Visitor) -> Locator:
    """What became of a cancellation, in words that a screen reader says."""
    return region(customer).locator("[role=status]")


def sees_step(customer: Visitor, title: str) -> None:
    expect(customer.page.locator(".timeline .title", has_text=title)).to_be_visible(timeout=TIMEOUT_MS)


def deliver_late(customer: Visitor, cloud: Cloud, event_type: str) -> str:
    """Put an event on the bus again which a function did not get; EventBridge's id of it."""
    events = customer.asks(f"/orders/{customer.order_id}/events")["events"]
    [late] = [envelope_of(event) for event in events if event["eventType"] == event_type]
    return cloud.put(late["detail-type"], late["source"], late["detail"])


def show_old_order(customer: Visitor) -> None:
    """From now on the page gets the order as it is now, whatever happens to it, except as the answer to a POST."""
    old = json.dumps(customer.asks(f"/orders/{customer.order_id}"))
    path = f"**/api/orders/{customer.order_id}"
    customer.page.route(path, lambda route: route.fulfill(status=200, content_type="application/json", body=old))


def show_new_order(customer: Visitor) -> None:
    customer.page.unroute(f"**/api/orders/{customer.order_id}")


def objections(customer: Visitor) -> list[str]:
    """What axe finds serious."""
    found = Axe().run(customer.page, options={"resultTypes": ["violations"]}).response["violations"]
    return [each["id"] for each in found if each["impact"] in ("serious", "critical")]


def test_an_order_that_is_cancelled_after_the_charge_is_refunded_as_the_page_says(
    customer: Visitor, cloud: Cloud
) -> None:
    with paid_order(customer, cloud):
        cancels(customer)
        customer.sees_the_end("is cancelled")

    expect(result(customer)).to_have_text(REFUNDED)
    expect(customer.page.locator(".badge", has_text="↩ Cancelled and refunded")).to_be_visible()
    expect(customer.button("Cancel the order")).to_be_hidden()
    for step in ("OrderService publishes OrderCancelledEvent", "PaymentProcessing publishes PaymentRefundedEvent"):
        sees_step(customer, step)
    for part in ("paymentProcessing", "orderStatusUpdater", "notification"):
        expect(customer.node(part)).to_have_attribute("data-state", "done")
    expect(customer.node("fulfillment")).to_have_attribute("data-state", "idle")
    assert objections(customer) == []
    customer.opens("#/orders")
    expect(customer.page.get_by_text("↩ Cancelled and refunded")).to_be_visible()


def test_an_order_that_is_cancelled_before_the_charge_is_never_charged(customer: Visitor, cloud: Cloud) -> None:
    # given
    with cloud.without_events_for("paymentProcessing"):
        customer.orders()
        cancels(customer)
        words = "The order is cancelled. If your card was charged, the full amount will be refunded."
        expect(result(customer)).to_have_text(words)
        expect(customer.page.locator(".badge", has_text="✗ Cancelled")).to_be_visible(timeout=TIMEOUT_MS)
        sees_step(customer, "OrderService publishes OrderCancelledEvent")
        expect(customer.node("paymentProcessing")).to_have_attribute("data-state", "waiting")

    # when
    deliver_late(customer, cloud, "OrderCancelledEvent")

    # then
    customer.sees_the_end("is cancelled")
    expect(result(customer)).to_have_text("The order is cancelled. Your card was not charged, and will not be.")
    expect(customer.page.get_by_text("never charged")).to_be_visible()
    sees_step(customer, "PaymentProcessing voids the payment")
    expect(customer.node("paymentProcessing")).to_have_attribute("data-state", "done")
    customer.opens("#/orders")
    expect(customer.page.get_by_text("✗ Cancelled")).to_be_visible()


def test_a_late_click_gets_an_answer_that_a_person_understands(customer: Visitor, cloud: Cloud) -> None:
    # given a page that shows the order as it was before it was shipped
    with paid_order(customer, cloud):
        show_old_order(customer)
    deliver_late(customer, cloud, "PaymentCompletedEvent")
    wait_for("the parcel", lambda: "fulfillment" in (cloud.item(customer.order_id) or {}))

    # when
    cancels(customer)

    # then
    words = "It is too late to cancel this order: the order was handed to the carrier; you can return the parcel."
    expect(result(customer)).to_have_text(words)
    expect(customer.button("Cancel the order")).to_be_hidden()
    show_new_order(customer)
    customer.sees_the_end("is on its way")
    expect(result(customer)).to_have_text(words)


@pytest.mark.parametrize("asked", ["the question is open", "no answer came"])
def test_a_customer_who_is_about_to_cancel_learns_that_the_order_was_shipped(
    asked: str, customer: Visitor, cloud: Cloud
) -> None:
    with paid_order(customer, cloud):
        if asked == "the question is open":
            customer.button("Cancel the order").click()
        else:
            customer.page.route("**/cancellation", lambda route: route.abort())
            cancels(customer)
            expect(result(customer)).to_contain_text("not certain")
            customer.title.focus()
    deliver_late(customer, cloud, "PaymentCompletedEvent")

    words = "It is too late to cancel this order: the order was handed to the carrier."
    expect(result(customer)).to_have_text(words, timeout=TIMEOUT_MS)
    expect(customer.button("Yes, cancel it")).to_be_hidden()
    expect(region(customer) if asked == "the question is open" else customer.title).to_be_focused()


def test_it_is_asked_first_and_all_of_it_goes_by_keyboard(customer: Visitor, cloud: Cloud) -> None:
    keyboard, start = customer.page.keyboard, customer.button("Cancel the order")
    with paid_order(customer, cloud):
        start.focus()
        for _ in range(3):
            keyboard.down("Enter")  # a key that is held down repeats
        keyboard.up("Enter")
        expect(customer.page.get_by_role("group", name="Cancel this order?")).to_be_focused()
        assert objections(customer) == []
        keyboard.press("Tab")
        expect(customer.button("Keep the order")).to_be_focused()
        keyboard.press("Enter")
        expect(start).to_be_focused()
        keyboard.press("Enter")
        keyboard.press("Escape")
        expect(start).to_be_focused()
        assert "cancellation" not in customer.asks(f"/orders/{customer.order_id}")

        keyboard.press("Enter")
        keyboard.press("Tab")
        keyboard.press("Tab")
        expect(customer.button("Yes, cancel it")).to_be_focused()
        keyboard.press("Enter")
        expect(result(customer)).to_have_text(re.compile("^The order is cancelled"))
        expect(region(customer)).to_be_focused()


def test_while_the_api_is_down_the_page_says_so_and_offers_the_button_again(customer: Visitor, cloud: Cloud) -> None:
    with paid_order(customer, cloud):
        customer.page.context.set_offline(True)
        cancels(customer)
        expect(result(customer)).to_contain_text(
            "not certain that the order is cancelled. The local stack does not respond."
        )
        expect(customer.button("Cancel the order")).to_be_focused()
        customer.page.context.set_offline(False)

        cancels(customer)
        expect(result(customer)).to_have_text(REFUNDED, timeout=TIMEOUT_MS)


def test_a_cancellation_whose_answer_was_lost_is_shown_as_what_it_is(customer: Visitor, cloud: Cloud) -> None:
    lost: list[Route] = []

    def hold_the_answer(route: Route) -> None:
        route.fetch()
        lost.append(route)

    with paid_order(customer, cloud):
        customer.page.route("**/cancellation", hold_the_answer)
        cancels(customer)
        expect(customer.page.locator("button", has_text="Yes, cancel it")).to_be_disabled()

        customer.sees_the_end("is cancelled")  # after this nothing changes any more
        expect(result(customer)).to_have_text(REFUNDED)
        [route] = lost
        route.abort()

        expect(customer.page.locator("button", has_text="Yes, cancel it")).to_be_enabled()  # the page has noticed
        expect(result(customer)).to_have_text(REFUNDED)


def test_an_order_is_cancelled_once_however_often_it_is_asked_for(customer: Visitor, cloud: Cloud) -> None:
    requests: list[str] = []
    customer.page.on("request", lambda request: requests.append(request.url))
    with paid_order(customer, cloud):
        show_old_order(customer)
        customer.page.evaluate(
            """async (orderId) => {
                const authorization = `Bearer ${JSON.parse(sessionStorage.getItem('idToken'))}`;
                await fetch(`api/orders/${orderId}/cancellation`, { method: 'POST', headers: { authorization } });
            }""",
            customer.order_id,
        )  # as from another window

        customer.button("Cancel the order").dblclick()
        expect(customer.button("Yes, cancel it")).to_be_enabled()
        customer.button("Yes, cancel it").dblclick()

        expect(result(customer)).to_have_text(re.compile("^The order is cancelled"))  # as in the API's response
        again = deliver_late(customer, cloud, "PaymentCompletedEvent")
        wait_for("the audit log", lambda: cloud.logged(again))
        for _ in range(2):  # the page has seen it, with an order of before
            with customer.page.expect_response(f"**/orders/{customer.order_id}"):
                pass
        expect(result(customer)).to_have_text(re.compile("^The order is cancelled"), timeout=1)
        assert customer.button("Cancel the order").is_hidden()
        assert len([url for url in requests if url.endswith("/cancellation")]) == 2
        show_new_order(customer)
        customer.sees_the_end("is cancelled")
    steps = [step for step in customer.steps if "OrderCancelledEvent" in step]
    assert steps == ["OrderService publishes OrderCancelledEvent"]
