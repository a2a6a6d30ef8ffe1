"""What the page shows around an order: the way in, the bounds of the cart, and what it says in each odd state."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Route, expect

from local.emulator.ports import free_port
from local.emulator.state import State
from local.storefront import sample_customer
from local.storefront.serving import served
from operations.customer import ShopAccount
from operations.stack import described
from tests.browser.conftest import STATE, Visit
from tests.browser.visitor import Visitor

PHONE = {"width": 390, "height": 844}
ONE_MUG = {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"}


@pytest.fixture
def ada(storefront: dict[str, Any]) -> Iterator[ShopAccount]:
    """The sample customer, as `npm start` has her after its samples: with an order, and her token kept."""
    customer = ShopAccount(
        described(storefront).client("cognito-idp"), storefront, storefront["apiUrl"], sample_customer.EMAIL
    )
    customer.post("/orders", ONE_MUG)
    token = STATE.token
    token.write_text(customer.token)
    yield customer
    token.unlink()
    customer.remove()


# --- the way in -------------------------------------------------------------------------------------------------------


def test_one_click_signs_in_the_sample_customer_whose_orders_are_there(visit: Visit, ada: ShopAccount) -> None:
    visitor = visit()

    visitor.button("Continue as Ada").click()

    expect(visitor.title).to_have_text("My orders")
    expect(visitor.page.locator(".orders li")).to_have_count(1)
    expect(visitor.page.locator(".who")).to_have_text(ada.email)
    visitor.opens("")
    expect(visitor.button("Continue as Ada")).to_have_count(0)  # she is signed in


def test_the_sample_customer_continues_at_the_cart_that_asked_for_the_sign_in(visit: Visit, ada: ShopAccount) -> None:
    visitor = visit().fills_the_cart()
    visitor.page.get_by_role("link", name="Sign in to order").click()

    visitor.button("Continue as Ada").click()

    expect(visitor.title).to_have_text("Your cart")
    expect(visitor.button("Order")).to_be_enabled()


def test_without_a_sample_customer_nobody_is_offered(visit: Visit) -> None:
    visitor = visit().opens("#/account")
    expect(visitor.button(re.compile("^Continue as"))).to_have_count(0)


def test_the_code_fills_itself_in_and_what_was_typed_stays(visit: Visit) -> None:
    newcomer = visit().asks_for_an_account()
    expect(newcomer.page.locator(".offer")).to_contain_text(newcomer.page.get_by_label("Code").input_value())
    expect(newcomer.page.get_by_label("Code")).to_have_value(re.compile(r"^\d{6}$"))

    newcomer.button("Confirm").click()

    expect(newcomer.button("Sign out")).to_be_visible()


def test_the_page_shows_the_rule_for_a_weak_password_before_cognito_refuses_it(visit: Visit) -> None:
    visitor = visit().opens("#/account")
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url) if "cognito" in request.url else None)
    visitor.button("I am new here").click()

    visitor.page.get_by_label("E-mail address").fill(visitor.email)
    visitor.page.get_by_label("Password").fill("secret")
    visitor.button("Create the account").click()

    expect(visitor.alert).to_have_text(
        "The password still needs at least 8 characters, an upper-case letter, a number, and a symbol, like ! or -."
    )
    expect(visitor.page.get_by_label("Password")).to_be_focused()
    assert asked == []


def test_a_notice_about_the_session_goes_when_another_form_is_shown(visit: Visit) -> None:
    visitor = visit().opens("#/orders")
    notice = visitor.page.get_by_text("Sign in first.")
    expect(visitor.title).to_have_text("Sign in")
    expect(notice).to_be_visible()

    visitor.button("I am new here").click()

    expect(visitor.title).to_have_text("Create an account")
    expect(notice).to_be_hidden()


def test_a_notice_about_the_session_goes_with_its_view(visit: Visit) -> None:
    visitor = visit().opens("#/orders")
    notice = visitor.page.get_by_text("Sign in first.")
    expect(notice).to_be_visible()

    visitor.page.get_by_role("link", name="Shop", exact=True).click()

    expect(visitor.title).to_have_text("Coffee, and everything around it")
    expect(notice).to_be_hidden()


def test_a_session_that_has_ended_is_no_longer_shown_as_signed_in(customer: Visitor) -> None:
    customer.token_expires().opens("")

    expect(customer.page.get_by_role("banner").get_by_role("link", name="Sign in")).to_be_visible()
    expect(customer.button("Sign out")).to_have_count(0)


# --- the shop and the cart --------------------------------------------------------------------------------------------


def test_the_shop_shows_what_will_happen_to_an_order(visit: Visit) -> None:
    steps = visit().page.get_by_role("list", name="What happens to an order").get_by_role("listitem")
    expect(steps.locator("strong")).to_have_text(["You order", "Paid", "Packed", "Notified"])
    expect(steps.locator("code")).to_have_text(
        ["OrderPlacedEvent", "PaymentCompletedEvent", "FulfillmentCompletedEvent"]
    )


def test_what_is_added_leads_to_the_cart_with_amounts_as_people_write_them(visit: Visit) -> None:
    visitor = visit()
    mug = visitor.page.get_by_role("listitem").filter(has_text="Stoneware mug")
    expect(mug.locator(".price")).to_have_text("€14.00")

    visitor.button("Add Stoneware mug to the cart").click()
    expect(mug).to_contain_text("Added ✓ · Go to cart")
    mug.get_by_role("link", name="Go to cart").click()

    expect(visitor.title).to_have_text("Your cart")
    expect(visitor.page.get_by_role("row", name="Total")).to_contain_text("€14.00")


def test_a_cart_asks_for_no_more_than_the_api_takes_and_says_so(visit: Visit) -> None:
    visitor = visit().fills_the_cart()
    quantity, word = (
        visitor.page.get_by_label("Quantity of Stoneware mug"),
        "at most 1,000 of one product",
    )
    expect(visitor.page.get_by_text(word)).to_have_count(0)

    quantity.fill("5000")
    quantity.press("Tab")

    expect(quantity).to_have_value("1000")
    expect(visitor.page.locator(".cart").get_by_text(word)).to_be_visible()
    visitor.opens("").button("Add Stoneware mug to the cart").click()
    expect(visitor.page.locator(".added").get_by_text(word)).to_be_visible()
    expect(visitor.page.locator("#cart-count")).to_have_text("1000")


# --- the order, at once -----------------------------------------------------------------------------------------------


def held_back(visitor: Visitor) -> list[Route]:
    """The requests for an order, which wait until a test continues them."""
    waiting: list[Route] = []
    visitor.page.route("**/api/orders", lambda route: waiting.append(route))
    return waiting


def test_the_page_of_the_order_is_there_before_the_response(customer: Visitor) -> None:
    customer.fills_the_cart()
    waiting = held_back(customer)

    customer.button("Order").click()

    expect(customer.title).to_have_text("Placing your order …")
    expect(customer.title).to_be_focused()
    [request] = waiting
    request.continue_()
    expect(customer.title).to_have_text(re.compile("^Order [0-9A-F]{8}$"))
    expect(customer.page.locator("#cart-count")).to_have_text("0")
    customer.page.go_back()
    expect(customer.title).to_have_text("Your cart")


def test_a_reload_while_the_order_is_placed_places_it_once(customer: Visitor) -> None:
    customer.fills_the_cart()
    customer.page.route("**/api/orders", lambda route: route.fetch() and None, times=1)  # placed, without a response
    customer.button("Order").click()
    expect(customer.title).to_have_text("Placing your order …")

    customer.page.reload()

    expect(customer.title).to_have_text(re.compile("^Order [0-9A-F]{8}$"))
    assert len(customer.asks("/orders")["orders"]) == 1


def test_an_order_that_the_api_refuses_comes_back_to_the_cart_as_it_was(customer: Visitor) -> None:
    customer.fills_the_cart()
    customer.page.get_by_role("radio", name="Mastercard").check()
    customer.page.get_by_label("Phone number").fill("+4915112345678")
    customer.page.route("**/api/orders", lambda route: route.fulfill(status=500, json={}), times=1)

    customer.button("Order").click()

    expect(customer.title).to_have_text("Your cart")
    expect(customer.alert).to_contain_text("The API has a problem")
    expect(customer.page.get_by_label("Quantity of Stoneware mug")).to_have_value("1")
    expect(customer.page.get_by_role("radio", name="Mastercard")).to_be_checked()
    expect(customer.page.get_by_label("Phone number")).to_have_value("+4915112345678")


def test_a_page_to_place_an_order_without_an_order_is_the_cart(customer: Visitor) -> None:
    customer.opens("#/placing")
    expect(customer.title).to_have_text("Your cart")


# --- what is not there ------------------------------------------------------------------------------------------------


def test_an_unknown_order_leads_to_my_orders(customer: Visitor) -> None:
    customer.opens("#/orders/00000000-0000-4000-8000-000000000000")

    expect(customer.title).to_have_text("There is no such order")
    expect(customer.button("Try again")).to_have_count(0)
    customer.page.get_by_role("main").get_by_role("link", name="My orders").click()
    expect(customer.title).to_have_text("My orders")


def test_a_stack_that_has_stopped_says_npm_start_and_the_page_continues_when_it_is_back(customer: Visitor) -> None:
    customer.page.context.set_offline(True)
    customer.page.get_by_role("link", name="My orders").click()

    expect(customer.title).to_have_text("The local stack has stopped")
    expect(customer.page.locator("main pre")).to_have_text("npm start")
    customer.page.context.set_offline(False)
    customer.button("Try again").click()
    expect(customer.title).to_have_text("My orders")


def test_a_page_without_a_stack_says_npm_start(visit: Visit, tmp_path: Path) -> None:
    with served(State(tmp_path), free_port()) as url:
        visitor = visit(url)
        expect(visitor.title).to_have_text("The shop is closed")
        expect(visitor.page.locator("main pre")).to_have_text("npm start")


# --- as it looks ------------------------------------------------------------------------------------------------------

BROKEN_WORDS = """() => {
    const broken = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const node = texts.currentNode;
        const parent = node.parentElement;
        if (!parent.checkVisibility() || parent.closest('#break-it, .visually-hidden, .skip')) continue;
        for (const { 0: word, index } of node.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
            const range = document.createRange();
            range.setStart(node, index);
            range.setEnd(node, index + word.length);
            if (new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size > 1) broken.push(word);
        }
    }
    return broken;
}"""


def test_no_word_is_broken_on_a_phone(visit: Visit, ada: ShopAccount) -> None:
    visitor = visit(viewport=PHONE, reduced_motion="reduce")
    broken: dict[str, list[str]] = {}

    def look(view: str) -> None:
        broken[view] = visitor.page.evaluate(BROKEN_WORDS)

    look("shop")
    visitor.opens("#/account")
    look("sign in")
    visitor.button("Continue as Ada").click()
    expect(visitor.title).to_have_text("My orders")
    look("orders")
    for product in visitor.opens("").page.get_by_role("button", name="Add ").all():
        product.click()
    look("shop with a cart")
    visitor.opens("#/cart")
    look("cart")
    visitor.opens("#/orders/00000000-0000-4000-8000-000000000000")
    look("no such order")

    assert broken == {view: [] for view in broken}


def baseline(element: Locator) -> float:
    """The baseline of an element's text: the bottom of an empty box in it."""
    return float(
        element.evaluate(
            """(element) => {
                const probe = element.appendChild(document.createElement('span'));
                probe.className = 'baseline-probe';
                Object.assign(probe.style, { display: 'inline-block', width: 0, height: 0 });
                const { bottom } = probe.getBoundingClientRect();
                probe.remove();
                return bottom;
            }"""
        )
    )


def test_the_badge_of_a_status_is_on_the_line_of_its_order(visit: Visit, ada: ShopAccount) -> None:
    visitor = visit()
    visitor.button("Continue as Ada").click()
    row = visitor.page.locator(".orders li").first
    assert baseline(row.locator("strong")) == pytest.approx(baseline(row.locator(".badge")), abs=0.5)

    row.click()
    expect(visitor.title).to_contain_text("Order ")
    heading = visitor.page.locator(".heading")
    assert baseline(heading.locator("h1")) == pytest.approx(baseline(heading.locator(".badge")), abs=0.5)
