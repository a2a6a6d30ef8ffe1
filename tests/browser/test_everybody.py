"""For everybody: by keyboard, on a phone, in the dark, without motion, with a screen reader."""

from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import PASSWORD, Visitor

WIDTHS = {"phone": 360, "screen": 1280}
THEMES = ("light", "dark")


def shows_each_view(visitor: Visitor) -> Any:
    """Open one view after the other, and yield its name."""
    visitor.opens("#/account")
    yield "sign in"
    visitor.button("I am new here").click()
    yield "sign up"
    visitor.signs_up().opens("")
    yield "shop"
    visitor.opens("#/cart")
    yield "empty cart"
    visitor.fills_the_cart()
    yield "cart"
    visitor.button("Order").click()
    visitor.page.wait_for_url("**/#/orders/*")
    visitor.sees_the_end("is on its way")
    yield "order"
    visitor.button("▶ Replay in slow motion").click()
    visitor.button("❚❚ Pause").click()
    yield "replay"
    visitor.opens("#/orders")
    yield "orders"
    visitor.opens("#/orders/00000000-0000-4000-8000-000000000000")
    yield "no such order"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_no_view_keeps_anybody_out_or_is_wider_than_the_window(visit: Visit, width: int, theme: str) -> None:
    """Axe finds nothing serious, contrast included, and no view scrolls sideways."""
    visitor = visit(viewport={"width": width, "height": 800}, color_scheme=theme, reduced_motion="reduce")
    found, too_wide, seen = [], [], []
    for view in shows_each_view(visitor):
        seen.append(view)
        panel = visitor.page.locator("#break-it details")
        if panel.get_attribute("open") is None:
            panel.locator("summary").click()
        results = Axe().run(visitor.page, options={"resultTypes": ["violations"]}).response["violations"]
        found += [(view, each["id"], each["impact"], each["nodes"][0]["html"][:200]) for each in results]
        if visitor.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            too_wide.append(view)

    assert [each for each in found if each[2] in ("serious", "critical")] == []
    assert too_wide == []
    assert len(seen) == 9


def test_the_two_themes_differ(visit: Visit) -> None:
    colours = {
        visit(color_scheme=theme).page.evaluate("getComputedStyle(document.body).backgroundColor") for theme in THEMES
    }
    assert len(colours) == len(THEMES)


def test_an_order_can_be_placed_and_replayed_by_keyboard(visit: Visit) -> None:
    visitor = visit().signs_up().opens("")
    page = visitor.page

    def tab_to(name: str, role: Any = "button") -> None:
        target = page.get_by_role(role, name=name, exact=True)
        for _ in range(60):
            page.keyboard.press("Tab")
            if target.evaluate("(element) => element === document.activeElement"):
                assert (
                    target.evaluate("(element) => getComputedStyle(element).outlineStyle") != "none"
                )  # it can be seen
                return
        pytest.fail(f"60 tabs do not lead to {name}")

    tab_to("Add Stoneware mug to the cart")
    page.keyboard.press("Enter")
    page.reload()
    tab_to("Cart 1", "link")
    page.keyboard.press("Enter")
    expect(visitor.title).to_have_text("Your cart")
    expect(visitor.title).to_be_focused()
    tab_to("Quantity of Stoneware mug", "spinbutton")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("row", name="Total")).to_contain_text("€28.00")
    tab_to("Visa Approved: the order is paid, packed and shipped.", "radio")
    page.keyboard.press("ArrowDown")
    tab_to("Order")
    page.keyboard.press("Enter")
    visitor.sees_the_end("is on its way")
    tab_to("▶ Replay in slow motion")
    page.keyboard.press("Enter")
    expect(visitor.button("❚❚ Pause")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to("Next →")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Step 2 of ")).to_be_visible()
    expect(page.get_by_text("Mastercard", exact=True)).to_be_visible()


def test_the_skip_link_skips_the_navigation_and_stays_on_the_page(visit: Visit) -> None:
    visitor = visit().opens("#/account")
    visitor.page.reload()
    expect(visitor.title).to_be_focused()

    visitor.page.get_by_role("link", name="Skip to the content").focus()
    visitor.page.keyboard.press("Enter")

    expect(visitor.page.locator("main")).to_be_focused()
    assert visitor.page.url.endswith("#/account")  # the hash is the route: another one would be another page
    expect(visitor.title).to_have_text("Sign in")


def test_a_screen_reader_announces_what_happens(customer: Visitor) -> None:
    page = customer.page
    page.evaluate(
        """() => {
            window.said = [];
            const live = document.querySelector('[aria-live]');
            new MutationObserver(() => said.push(live.textContent)).observe(live, { childList: true });
        }"""
    )
    customer.button("Add Stoneware mug to the cart").click()
    page.get_by_role("link", name="Cart 1").click()
    customer.button("Order").click()
    customer.sees_the_end("is on its way")

    said = " ".join(page.evaluate("said"))
    for words in (
        "Stoneware mug is in the cart",
        "PaymentProcessing publishes PaymentCompletedEvent",
        "The e-mail has arrived",
    ):
        assert words in said


def test_without_motion_nothing_moves(visit: Visit) -> None:
    visitor = visit(reduced_motion="reduce").signs_up().orders()
    visitor.page.evaluate(
        """() => {
            window.moved = 0;
            const look = () => { moved += document.getAnimations().length; requestAnimationFrame(look); };
            look();
        }"""
    )
    visitor.sees_the_end("is on its way")

    assert visitor.page.evaluate("moved") == 0


def test_a_password_is_never_shown_or_kept(visit: Visit) -> None:
    visitor = visit().signs_up()

    kept = visitor.page.evaluate("() => JSON.stringify(sessionStorage) + JSON.stringify(localStorage)")

    assert PASSWORD not in kept


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["", "app.js", "config.json", "api/products", "break-it/state", "nothing/here"])
def test_each_answer_has_the_content_policy(storefront: dict[str, Any], method: str, path: str) -> None:
    answer = httpx.request(method, storefront["webUrl"] + path, trust_env=False, timeout=120)

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
