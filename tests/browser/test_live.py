"""The time from an event to the pixel."""

from collections.abc import Callable, Collection

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import TIMEOUT_MS, Visitor

BOUND_MS = 5000  # generous, for a busy machine; the aim is one second

WATCH = """() => {
    window.lit = [];
    const seen = new Set();
    const look = () => {
        const painted = performance.timeOrigin + performance.now();
        for (const row of document.querySelectorAll('.timeline [data-key]')) {
            const { key, at } = row.dataset;
            const title = row.querySelector('.title').textContent;
            if (!seen.has(key)) lit.push([title, Math.round(painted - Date.parse(at))]);
            seen.add(key);
        }
        requestAnimationFrame(look);
    };
    look();
}"""
"""Record, frame by frame, each new step and how long ago it happened."""


Lit = list[tuple[str, int]]
Report = Callable[..., Lit]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Report:
    """Print and return what was measured on a visitor's page, without the steps `known` before."""

    def report(visitor: Visitor, known: Collection[str] = ()) -> Lit:
        lit: Lit = [(title, late) for title, late in visitor.page.evaluate("lit") if title not in known]
        with capsys.disabled():
            print("\nfrom the event to the pixel:", *(f"{late:6} ms  {title}" for title, late in lit), sep="\n")
        return lit

    return report


def test_each_step_of_an_order_is_seen_soon_after_it_happened(customer: Visitor, report: Report) -> None:
    customer.orders().sees_the_end("is on its way")  # every function has started once
    customer.page.add_init_script(f"({WATCH})()")
    customer.orders().sees_the_end("is on its way")

    lit = report(customer)

    assert len(lit) in (6, 7)  # PAID is skipped where fulfilment's event comes first
    assert min(late for _, late in lit) >= 0
    assert max(late for _, late in lit) < BOUND_MS


@pytest.mark.usefixtures("gateway_is_up_again")
def test_what_happens_to_an_order_that_has_waited_is_seen_as_soon(customer: Visitor, report: Report) -> None:
    """The page was open long before, and has to notice by itself."""
    customer.button("Take the gateway down").click()
    customer.orders()
    letter = customer.page.locator(".dead-letters li").filter(has_text=customer.order_id[:8].upper())
    expect(letter.first).to_be_visible(timeout=TIMEOUT_MS)
    customer.button("Bring the gateway up").click()
    known = customer.steps
    customer.page.evaluate(WATCH)
    customer.button("Redrive them").click()
    customer.sees_the_end("is on its way")

    healed = report(customer, known)

    assert len(healed) >= 4  # the payment, the parcel, the end and the e-mail
    assert max(late for _, late in healed) < BOUND_MS
