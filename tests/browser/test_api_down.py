"""The API does not respond: the page says so, keeps what it shows, and continues by itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from local.emulator.ports import free_port
from local.emulator.state import State, write
from local.storefront.serving import served
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor


@pytest.fixture
def storefront_without_api(storefront: dict[str, Any], tmp_path: Path) -> Iterator[str]:
    """A storefront whose API's port has no server."""
    state = State(tmp_path)
    nobody = f"http://127.0.0.1:{free_port()}"
    write(state.stack, {**storefront, "apiUrl": nobody, "endpointUrl": nobody})
    with served(state, free_port()) as url:
        yield url


def test_a_shop_whose_embedded_aws_has_ended_says_so_and_offers_another_try(
    visit: Visit, storefront_without_api: str
) -> None:
    visitor = visit(storefront_without_api)

    expect(visitor.title).to_have_text("The local stack has stopped")
    expect(visitor.alert.first).to_contain_text("npm start")
    expect(visitor.button("Try again")).to_be_enabled()


def test_an_order_that_cannot_be_sent_stays_in_the_cart(customer: Visitor) -> None:
    customer.fills_the_cart()

    customer.page.context.set_offline(True)
    customer.button("Order").click()

    expect(customer.alert.first).to_contain_text("Your cart is kept: try again")
    expect(customer.page.get_by_label("Quantity of Stoneware mug")).to_have_value("1")
    customer.page.context.set_offline(False)
    customer.button("Order").click()
    customer.sees_the_end("is on its way")


@pytest.mark.usefixtures("gateway_is_up_again")
def test_an_order_that_is_watched_is_followed_again_when_the_api_is_back(customer: Visitor) -> None:
    customer.posts("break-it/gateway", {"state": "down"})
    customer.orders()

    customer.page.context.set_offline(True)
    expect(customer.alert.filter(has_text="this page keeps trying")).to_be_visible()
    customer.page.context.set_offline(False)
    customer.posts("break-it/gateway", {"state": "up"})

    customer.sees_the_end("is on its way")
    expect(customer.page.get_by_text("this page keeps trying")).to_be_hidden()
