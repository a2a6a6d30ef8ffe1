"""How long it takes from an event to the pixel."""

from typing import Any

import pytest

from tests.browser.visitor import Visitor

BOUND = 5000  # milliseconds: generous, for a machine that does other things too; a second is what we aim at

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
"""Frame by frame: which steps are there that were not there before, and how long ago each happened."""


def test_each_step_is_seen_soon_after_it_happened(
    customer: Visitor, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    customer.orders().sees_the_end("is on its way")  # every function has started once
    customer.page.add_init_script(f"({WATCH})()")
    customer.orders().sees_the_end("is on its way")

    lit: list[tuple[str, int]] = [(title, late) for title, late in customer.page.evaluate("lit")][-7:]
    with capsys.disabled():
        print("\nfrom the event to the pixel:")
        for title, late in lit:
            print(f"  {late:5} ms  {title}")
            record_property(title, late)
    assert len(lit) == 7
    assert max(late for _, late in lit) < BOUND
    assert min(late for _, late in lit) >= 0
