"""One order, however often the customer clicks and whatever response is lost."""

from playwright.sync_api import Route, expect

from tests.browser.visitor import Visitor


def orders_of(customer: Visitor) -> int:
    return len(customer.asks("/orders?limit=100")["orders"])


def test_a_double_click_makes_one_order(customer: Visitor) -> None:
    customer.fills_the_cart()

    customer.button("Order").dblclick()
    customer.page.wait_for_url("**/#/orders/*")
    expect(customer.title).to_contain_text("Order ")

    assert orders_of(customer) == 1


def test_two_submissions_at_the_same_moment_make_one_order(customer: Visitor) -> None:
    """The idempotency key keeps it one order, even if the button is not disabled in time."""
    customer.fills_the_cart()

    customer.page.evaluate(
        """() => {
            const form = document.querySelector('form.checkout');
            for (let time = 0; time < 3; time += 1) form.dispatchEvent(new SubmitEvent('submit', { cancelable: true }));
        }"""
    )
    customer.page.wait_for_url("**/#/orders/*")
    customer.sees_the_end("is on its way")

    assert orders_of(customer) == 1


def test_an_order_whose_response_was_lost_is_placed_again_and_is_the_same(customer: Visitor) -> None:
    customer.fills_the_cart()
    statuses: list[int] = []

    def lose_the_response(route: Route) -> None:
        statuses.append(route.fetch().status)
        route.abort()

    customer.page.route("**/api/orders", lose_the_response, times=1)
    customer.button("Order").click()
    expect(customer.alert).to_contain_text("try again")
    customer.button("Order").click()
    customer.page.wait_for_url("**/#/orders/*")

    assert statuses == [201]
    assert orders_of(customer) == 1


def test_the_next_order_of_the_same_things_is_another_order(customer: Visitor) -> None:
    customer.orders()
    first = customer.order_id

    customer.orders()

    assert customer.order_id != first
    assert orders_of(customer) == 2
