"""From the sign-up to the e-mail."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor


def test_a_newcomer_signs_up_orders_and_sees_the_events_travel_to_the_email(visit: Visit) -> None:
    newcomer = visit()

    newcomer.fills_the_cart()
    newcomer.page.get_by_role("link", name="Sign in to order").click()
    newcomer.signs_up()
    expect(newcomer.title).to_have_text("Your cart")  # where the way to the sign-in began
    newcomer.button("Order").click()
    newcomer.sees_the_end("is on its way")

    skippable = {"OrderStatusUpdater updates the status: PAID"}  # where fulfilment's event comes first
    assert len(newcomer.steps) == len(set(newcomer.steps))
    assert set(newcomer.steps) | skippable == {
        "OrderService writes the order: PLACED",
        "OrderService publishes OrderPlacedEvent",
        "PaymentProcessing publishes PaymentCompletedEvent",
        "OrderStatusUpdater updates the status: PAID",
        "Fulfillment publishes FulfillmentCompletedEvent",
        "OrderStatusUpdater updates the status: FULFILLED",
        "Notification sends the e-mail",
    }
    for part in (
        "api",
        "orderService",
        "orders",
        "bus",
        "paymentProcessing",
        "fulfillment",
        "orderStatusUpdater",
        "notificationQueue",
        "mail",
        "auditLog",
    ):
        expect(newcomer.node(part)).to_have_attribute("data-state", re.compile("done|now"))
    for part in ("reconciler", "deadLetters"):
        expect(newcomer.node(part)).to_have_attribute("data-state", "idle")
    expect(newcomer.page.get_by_label("The e-mail")).to_contain_text(newcomer.order_id)


def test_a_declined_card_ends_in_an_email_that_says_so(customer: Visitor) -> None:
    customer.orders(card="A card that the bank declines")
    customer.sees_the_end("We could not take the payment")

    expect(customer.page.get_by_text("✗ Payment failed")).to_be_visible()
    expect(customer.page.get_by_text("not charged: card declined")).to_be_visible()
    expect(customer.node("fulfillment")).to_have_attribute("data-state", "idle")
    assert "PaymentProcessing publishes PaymentFailedEvent" in customer.steps


def test_a_finished_order_is_replayed_step_by_step_with_what_proves_each(customer: Visitor) -> None:
    customer.orders().sees_the_end("is on its way")
    page, events = customer.page, customer.asks(f"/orders/{customer.order_id}/events")["events"]

    customer.button("▶ Replay in slow motion").click()
    customer.button("❚❚ Pause").click()
    expect(page.get_by_text("Step 1 of ")).to_be_visible()
    expect(customer.node("paymentProcessing")).to_have_attribute("data-state", "idle")  # not yet
    customer.button("Next →").click()

    expect(page.get_by_text("Step 2 of ")).to_be_visible()
    page.get_by_text("The evidence, as JSON").click()
    expect(page.get_by_label("The evidence of this step")).to_contain_text(events[0]["eventId"])
    customer.button("← Back").click()
    expect(page.get_by_text("Step 1 of ")).to_be_visible()
    customer.button("Close").click()
    expect(customer.node("paymentProcessing")).to_have_attribute("data-state", "done")


def test_my_orders_are_listed_newest_first_page_by_page(customer: Visitor) -> None:
    body = '{"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_declined"}'
    customer.page.evaluate(
        """async (body) => {
            const authorization = `Bearer ${JSON.parse(sessionStorage.getItem('idToken'))}`;
            const headers = { authorization, 'content-type': 'application/json' };
            for (let count = 0; count < 21; count += 1) await fetch('api/orders', { method: 'POST', headers, body });
        }""",
        body,
    )
    customer.opens("#/orders")
    rows = customer.page.locator(".orders li")

    expect(rows).to_have_count(20)
    customer.button("Older orders").click()
    expect(rows).to_have_count(21)

    expect(customer.button("Older orders")).to_be_hidden()
    listed = [row.get_attribute("href") for row in customer.page.locator(".orders a").all()]
    newest_first = customer.asks("/orders?limit=100")["orders"]
    assert listed == [f"#/orders/{order['orderId']}" for order in newest_first]


def test_somebody_elses_order_is_not_to_be_seen(visit: Visit, customer: Visitor) -> None:
    customer.orders()
    stranger = visit().signs_up()

    stranger.opens(f"#/orders/{customer.order_id}")

    expect(stranger.title).to_have_text("There is no such order")
