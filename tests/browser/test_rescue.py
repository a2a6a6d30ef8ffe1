"""What the page shows when something goes wrong: failed attempts, a dead letter, its redrive, duplicates."""

import re

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import TIMEOUT_MS, Visitor

PAYMENT = "paymentProcessing"
SIZES = {"screen": (1280, 800), "phone": (390, 844), "wide": (1920, 800)}


def moment(visitor: Visitor) -> Locator:
    """The sentence above the picture."""
    return visitor.page.get_by_role("group", name="This moment")


def sees(visitor: Visitor, headline: str) -> Locator:
    """Wait for a step in "What happened", and return its row."""
    row = visitor.page.locator(".timeline li").filter(has_text=headline)
    expect(row.first).to_be_visible(timeout=TIMEOUT_MS)
    return row


def outside(visitor: Visitor, *selectors: str) -> list[str]:
    """Which of the parts are not whole in the window, without any scrolling."""
    found: list[str] = visitor.page.evaluate(
        """(selectors) => {
            scrollTo(0, 0);
            return selectors.filter((selector) => {
                const { top, bottom, left, right, height } = document.querySelector(selector).getBoundingClientRect();
                return !height || top < 0 || left < 0 || bottom > innerHeight || right > innerWidth;
            });
        }""",
        list(selectors),
    )
    return found


@pytest.mark.usefixtures("gateway_is_up_again")
def test_an_outage_is_seen_from_the_first_attempt_to_the_rescue_and_once_more_in_slow_motion(
    customer: Visitor,
) -> None:
    """The whole of it, on one order: each state as it happens, and all of them kept."""
    page, picture = customer.page, customer.page.locator(".picture")
    letters = customer.node("deadLetters")
    customer.posts("break-it/gateway", {"state": "down"})
    customer.orders()
    expect(letters).to_contain_text("none")

    sees(customer, "✗ Attempt 1 of 3 failed")
    expect(customer.node(PAYMENT)).to_have_attribute("data-state", "failed")
    expect(customer.node(PAYMENT)).to_contain_text(re.compile("✗ attempt [123] of 3"))
    expect(picture.locator('[data-state="now"]')).to_have_count(0)  # what is over is not "now"

    sees(customer, "✉ Kept as a dead letter")
    expect(letters).to_have_attribute("data-state", "failed")
    expect(letters).to_contain_text("✉ 1 kept")
    expect(picture.locator('[data-edge="paymentProcessing deadLetters"]')).to_have_attribute("data-state", "done")
    expect(picture.locator('[data-state="now"]')).to_have_count(0)
    expect(moment(customer)).to_contain_text("Your order is waiting for PaymentProcessing")
    expect(moment(customer)).to_contain_text("attempt 3 of 3: the payment gateway does not respond")
    expect(moment(customer)).to_contain_text("One dead letter is kept")
    expect(moment(customer)).to_contain_text(
        re.compile(r"The reconciler (publishes its event again in \d:\d\d|is due)")
    )

    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        assert outside(customer, ".moment", ".picture") == []
    page.set_viewport_size({"width": 1280, "height": 800})

    page.reload()  # what the page has seen is not what it remembers
    expect(customer.node(PAYMENT)).to_contain_text("✗ attempt 3 of 3")
    expect(letters).to_contain_text("✉ 1 kept")

    customer.posts("break-it/gateway", {"state": "up"})
    customer.posts("break-it/redrive", {})
    sees(customer, "↩ Redriven")
    customer.sees_the_end("is on its way")
    expect(letters).to_contain_text("none")
    expect(customer.node(PAYMENT)).to_have_attribute("data-state", "done")
    expect(picture.locator('[data-state="failed"]')).to_have_count(0)

    steps = page.locator(".timeline .headline").all_inner_texts()
    rescue = ["✗ Attempt 1 of 3 failed", "✗ Attempt 2 of 3 failed", "✗ Attempt 3 of 3 failed"]
    rescue += ["✉ Kept as a dead letter", "↩ Redriven", "Payment taken"]
    assert [step for step in steps if step in rescue] == rescue

    page.locator(".timeline .step").nth(steps.index("✉ Kept as a dead letter")).click()  # the same, once more
    expect(moment(customer)).to_contain_text("✉ Kept as a dead letter")
    expect(customer.node(PAYMENT)).to_contain_text("✗ attempt 3 of 3")
    expect(letters).to_contain_text("✉ 1 kept")
    customer.button("Next →").click()
    expect(moment(customer)).to_contain_text("↩ Redriven")
    expect(letters).to_contain_text("none")
    expect(letters).to_have_attribute("data-state", "now")


def test_a_duplicate_is_numbered_where_it_arrives_and_says_that_the_card_was_charged_once(customer: Visitor) -> None:
    customer.orders().sees_the_end("is on its way")
    expect(customer.node(PAYMENT)).not_to_contain_text("↻")

    customer.posts("break-it/send-twice", {"orderId": customer.order_id})

    row = sees(customer, "↻ Duplicate: order placed").first
    expect(row).to_contain_text("Nothing happened twice: the card was charged once.")
    expect(row).to_contain_text(re.compile(r"\+[\d.]+ m?s"))  # when it came, from the operator's view
    number = row.locator(".number").inner_text()
    expect(customer.node(PAYMENT)).to_contain_text(f"↻ {number}")
    assert int(number) > customer.page.locator(".timeline li").filter(has_text="E-mail sent").count()
    customer.page.reload()
    expect(customer.node(PAYMENT)).to_contain_text(f"↻ {number}")


@pytest.mark.usefixtures("gateway_is_up_again")
def test_without_the_operator_s_view_the_page_says_only_what_it_has_evidence_for(customer: Visitor) -> None:
    """As on AWS."""
    customer.posts("break-it/gateway", {"state": "down"})
    customer.page.route("**/config.json", without_the_operators_view)
    customer.page.reload()
    customer.orders()

    expect(moment(customer)).to_contain_text("Your order is waiting for PaymentProcessing", timeout=TIMEOUT_MS)

    expect(customer.page.locator('.picture [data-state="now"]')).to_have_count(0)
    expect(customer.node(PAYMENT)).to_have_attribute("data-state", "waiting")
    expect(customer.node(PAYMENT)).to_contain_text("… awaited")
    expect(moment(customer)).to_contain_text("The order is stored, and nothing is lost.")
    expect(moment(customer)).not_to_contain_text(
        re.compile("attempt [123] of|dead letter|publishes its event again in")
    )
    expect(customer.page.locator(".timeline .failed")).to_have_count(0)


def test_an_order_that_is_read_late_is_shown_as_well(customer: Visitor) -> None:
    """The countdown's clock ticks before there is anything to count; an error in it fails the test, see `visit`."""
    customer.orders().sees_the_end("is on its way")
    page, unanswered = customer.page, list[Route]()
    page.clock.install()
    page.route(f"**/api/orders/{customer.order_id}", lambda route: unanswered.append(route))
    with page.expect_request(f"**/api/orders/{customer.order_id}"):
        page.reload()

    page.clock.fast_forward(5000)
    unanswered[0].continue_()

    expect(customer.title).to_have_text(f"Order {customer.order_id[:8].upper()}")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_the_sentence_the_picture_and_the_controls_are_on_one_screen(visit: Visit, size: tuple[int, int]) -> None:
    width, height = size
    visitor = visit(viewport={"width": width, "height": height}).signs_up()
    visitor.orders().sees_the_end("is on its way")
    visitor.button("▶ Replay in slow motion").click()
    visitor.button("❚❚ Pause").click()

    assert outside(visitor, ".moment", ".picture", ".replay .buttons") == []
    picture = visitor.page.locator(".picture").bounding_box()
    sentence = moment(visitor).bounding_box()
    controls = visitor.page.locator(".replay").bounding_box()
    assert picture
    assert sentence
    assert controls
    assert picture["height"] <= 0.55 * height
    assert sentence["y"] + sentence["height"] <= picture["y"]
    assert picture["y"] + picture["height"] <= controls["y"]
    expect(visitor.page.get_by_label("The evidence of this step")).to_be_hidden()  # folded


def test_a_step_is_called_what_it_means_and_the_function_s_name_is_small(customer: Visitor) -> None:
    customer.orders().sees_the_end("is on its way")
    row = sees(customer, "Payment taken").first

    sizes = [
        float(row.locator(part).evaluate("(element) => parseFloat(getComputedStyle(element).fontSize)"))
        for part in (".headline", ".title")
    ]
    expect(row.locator(".title")).to_have_text("PaymentProcessing publishes PaymentCompletedEvent")
    assert sizes[1] < sizes[0]
    row.locator(".step").click()
    expect(moment(customer).get_by_role("heading")).to_have_text("Payment taken")


def test_the_first_order_plays_in_slow_motion_by_itself_and_the_next_does_not(visit: Visit) -> None:
    visitor = visit(plays_first_order=True).signs_up()
    visitor.page.add_init_script(f"({FAST})()")
    visitor.orders()

    expect(visitor.button("Skip")).to_be_visible(timeout=TIMEOUT_MS)
    expect(visitor.button("Skip")).not_to_be_focused()  # the focus of somebody who reads or types stays where it is
    expect(visitor.button("▶ Replay in slow motion")).to_be_visible(timeout=TIMEOUT_MS)  # it ends by itself
    shown = visitor.page.evaluate("moments")
    assert [step for step, _ in shown] == [*range(1, len(shown) + 1)]
    assert len(shown) == visitor.page.locator(".timeline li").count()
    assert all(re.search(r"\+[\d.]+ m?s", words) for _, words in shown)  # the real times
    assert 5 <= visitor.page.evaluate("pace") * len(shown) / 1000 <= 7  # seconds for the whole of it

    visitor.orders().sees_the_end("is on its way")
    expect(visitor.button("▶ Replay in slow motion")).to_be_visible()
    expect(visitor.button("Skip")).to_be_hidden()


FAST = """() => {
    window.moments = [];
    const { setInterval } = window;
    window.setInterval = (run, pace, ...more) => {
        if (pace < 1000) window.pace = pace;
        return setInterval(run, pace < 1000 ? 300 : pace, ...more);
    };
    new MutationObserver(() => {
        const words = document.querySelector('.moment small')?.textContent ?? '';
        const step = Number(/^Step (\\d+) of/.exec(words)?.[1]);
        const isOpen = document.querySelector('.replay:not([hidden])');
        if (isOpen && step && moments.at(-1)?.[0] !== step) moments.push([step, words]);
    }).observe(document, { subtree: true, childList: true, characterData: true });
}"""
"""Play a step in 300 ms instead of its pace, and keep both: the pace, and what each moment said."""


def test_the_slow_motion_of_the_first_order_can_be_skipped(visit: Visit) -> None:
    visitor = visit(plays_first_order=True).signs_up().orders()

    visitor.button("Skip").click(timeout=TIMEOUT_MS)

    expect(visitor.button("▶ Replay in slow motion")).to_be_focused()
    expect(visitor.page.get_by_role("group", name="Slow motion")).to_be_hidden()
    visitor.page.reload()
    visitor.sees_the_end("is on its way")
    expect(visitor.button("▶ Replay in slow motion")).to_be_visible()
    expect(visitor.button("Skip")).to_be_hidden()  # once is enough


def test_nothing_plays_by_itself_where_reduced_motion_is_preferred(visit: Visit) -> None:
    visitor = visit(plays_first_order=True, reduced_motion="reduce").signs_up()
    visitor.orders().sees_the_end("is on its way")

    expect(visitor.button("▶ Replay in slow motion")).to_be_visible()
    expect(visitor.button("Skip")).to_be_hidden()


def without_the_operators_view(route: Route) -> None:
    response = route.fetch()
    config = response.json()
    del config["breakIt"]
    route.fulfill(response=response, json=config)
