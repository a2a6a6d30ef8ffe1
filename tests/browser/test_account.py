"""What can go wrong with an account, and how the customer recovers."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.e2e.cloud import Cloud


def signs_out(visitor: Visitor) -> None:
    visitor.button("Sign out").click()
    expect(visitor.page.get_by_role("link", name="Sign in")).to_be_visible()
    visitor.opens("#/account")


def test_a_wrong_password_shows_a_message_and_the_address_stays(customer: Visitor) -> None:
    signs_out(customer)

    customer.signs_in("Wrong-password-1")

    expect(customer.alert).to_have_text("The e-mail address or the password is wrong.")
    expect(customer.page.get_by_label("E-mail address")).to_have_value(customer.email)


def test_a_forgotten_password_is_replaced_with_a_code(customer: Visitor) -> None:
    signs_out(customer)

    customer.button("I forgot my password").click()
    customer.page.get_by_label("E-mail address").fill(customer.email)
    customer.button("Send me a code").click()
    expect(customer.page.get_by_label("Code")).to_have_value(re.compile(r"^\d{6}$"))
    customer.page.get_by_label("Password").fill("Another-password-2")
    customer.button("Set the password").click()
    expect(customer.title).to_have_text("Sign in")
    customer.page.get_by_label("Password").fill("Another-password-2")
    customer.button("Sign in").click()

    expect(customer.button("Sign out")).to_be_visible()


def test_an_address_that_has_an_account_is_sent_to_the_sign_in(customer: Visitor) -> None:
    signs_out(customer)

    customer.button("I am new here").click()
    customer.page.get_by_label("E-mail address").fill(customer.email)
    customer.page.get_by_label("Password").fill("Secret-password-1")
    customer.button("Create the account").click()

    expect(customer.alert).to_contain_text("An account with this address already exists")


def test_a_wrong_code_is_refused_and_another_one_is_sent(visit: Visit) -> None:
    newcomer = visit().asks_for_an_account()
    offered = newcomer.page.locator(".offer")
    expect(offered).to_contain_text(re.compile(r"\d{6}"))
    right = re.findall(r"\d{6}", offered.inner_text())[0]

    newcomer.page.get_by_label("Code").fill("000000" if right != "000000" else "000001")
    newcomer.button("Confirm").click()
    expect(newcomer.alert).to_have_text("That is not the code that we sent.")
    newcomer.button("Send me another code").click()
    expect(newcomer.page.get_by_label("Code")).to_have_value(re.compile(r"^(?!00000)\d{6}$"))
    newcomer.button("Confirm").click()

    expect(newcomer.button("Sign out")).to_be_visible()


def test_the_token_is_kept_in_this_tab_alone(visit: Visit, customer: Visitor) -> None:
    kept = customer.page.evaluate("() => [localStorage.length, document.cookie]")
    another_tab = customer.page.context.new_page()
    another_tab.goto(customer.url)

    assert kept == [0, ""]
    expect(another_tab.get_by_role("link", name="Sign in")).to_be_visible()


def test_an_expired_token_asks_for_the_sign_in_and_the_cart_is_as_it_was(customer: Visitor) -> None:
    customer.fills_the_cart().token_expires()
    customer.page.get_by_role("radio", name="Mastercard").check()

    customer.button("Order").click()
    expect(customer.title).to_have_text("Sign in")
    expect(customer.page.get_by_text("Your session ended")).to_be_visible()
    customer.signs_in()

    expect(customer.title).to_have_text("Your cart")
    expect(customer.page.get_by_label("Quantity of Stoneware mug")).to_have_value("1")
    expect(customer.page.get_by_role("radio", name="Mastercard")).to_be_checked()
    customer.button("Order").click()
    customer.sees_the_end("is on its way")


def test_a_token_that_expires_while_an_order_is_watched_leads_back_to_that_order(
    customer: Visitor, cloud: Cloud
) -> None:
    with cloud.without_events_for("paymentProcessing"):  # or it would end before
        customer.orders()
        order_id = customer.order_id

        customer.token_expires()
        customer.page.get_by_role("link", name="Sign in").click()
    customer.signs_in()

    expect(customer.title).to_have_text(f"Order {order_id[:8].upper()}")
