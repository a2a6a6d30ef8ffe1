"""The notebooks' live canvas: its front end in a page with a model of its own, and the widget on a running stack."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from local.emulator.state import STATE_DIR_VARIABLE
from notebooks.canvas import Canvas, live_canvas
from notebooks.saving import drop_widgets
from operations.customer import ShopAccount
from operations.repetition import UnknownOrder
from operations.stack import described
from tests.browser.conftest import STATE
from tests.browser.visitor import TIMEOUT_MS
from tools import flow
from tools.checkout import ROOT

RECORDED = ROOT / "tests" / "local" / "recorded" / "approved.json"
MODEL = """
window.state = STATE;
window.sent = [];
const listeners = new Map();
const model = {
  get: (name) => window.state[name],
  on: (name, listener) => listeners.set(name, listener),
  off: (name) => listeners.delete(name),
  send: (message) => window.sent.push(message),
};
window.update = (name, value) => {
  window.state[name] = value;
  listeners.get(`change:${name}`)();
};
const module = new Blob([window.state._esm], { type: 'text/javascript' });
const { default: canvas } = await import(URL.createObjectURL(module));
window.leave = canvas.render({ model, el: document.getElementById('canvas') });
"""


def seen(steps: int) -> dict[str, Any]:
    """The recorded order when so many of its events were logged, and none of them had changed it yet."""
    recorded = json.loads(RECORDED.read_text())
    order, events = recorded["order"], recorded["events"]
    if steps < len(events):
        order = {name: order[name] for name in ("orderId", "placedAt", "items", "totalAmount", "currency")}
        order |= {"status": "PLACED", "statusHistory": recorded["order"]["statusHistory"][:1]}
    return {"order": order, "events": events[:steps], "rescue": None}


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert complaints == []


def shown(page: Page, evidence: dict[str, Any], theme: str = "light") -> Locator:
    """Mount the canvas on this evidence, as JupyterLab does, in one of its themes."""
    state = {
        "_esm": Canvas._esm,
        "stylesheet": Canvas.stylesheet.default_value,
        "buttons": Canvas.buttons.default(),
        "topology": flow.described(),
        "seen": evidence,
        "busy": [],
        "said": {},
    }
    is_light = json.dumps(theme == "light")
    page.set_content(
        f"<!doctype html><style>{Canvas._css} h2 {{ color: rgb(1, 2, 3) }}</style><body data-jp-theme-light={is_light}>"
        f"<h2>The notebook</h2><button>Its own</button><div id=canvas></div>"
    )
    page.add_script_tag(content=MODEL.replace("STATE", json.dumps(state), 1), type="module")
    expect(page.locator(".picture")).to_be_visible()
    return page.locator(".order-canvas")


def node(canvas: Locator, name: str) -> Locator:
    return canvas.locator(f'.picture [data-node="{name}"]')


def test_the_picture_lights_up_as_rows_come_into_the_audit_log(page: Page) -> None:
    canvas = shown(page, seen(1))
    expect(canvas.locator(".moment .headline")).to_have_text("Order placed")
    expect(node(canvas, "paymentProcessing")).to_have_attribute("data-state", "waiting")

    page.evaluate("seen => window.update('seen', seen)", seen(2))
    expect(canvas.locator(".moment .headline")).to_have_text("Payment taken")
    expect(node(canvas, "paymentProcessing")).to_have_attribute("data-state", "now")
    expect(node(canvas, "fulfillment")).to_have_attribute("data-state", "waiting")

    page.evaluate("seen => window.update('seen', seen)", seen(3))
    expect(canvas.locator(".badge")).to_have_text("✓ On its way")
    expect(node(canvas, "notification")).to_have_attribute("data-state", "done")
    canvas.get_by_text("What happened, step by step").click()
    expect(canvas.locator(".timeline li")).to_have_count(7)


def test_without_a_change_for_a_while_the_canvas_says_what_the_order_waits_for(page: Page) -> None:
    page.clock.install()
    canvas = shown(page, seen(2))
    page.clock.run_for(7000)

    expect(canvas.locator(".moment .headline")).to_contain_text("Your order is waiting for")
    expect(canvas.locator(".moment .headline")).to_contain_text("Fulfillment")


def test_another_order_has_a_picture_of_its_own(page: Page) -> None:
    canvas = shown(page, seen(3))
    other = seen(1)
    other["order"]["orderId"] = "00000000-41e6-41e6-91d2-7855d480ee4d"

    page.evaluate("seen => window.update('seen', seen)", other)

    expect(canvas.get_by_role("heading", name="Order 00000000")).to_be_visible()
    expect(canvas.locator(".timeline li")).to_have_count(2)
    expect(node(canvas, "notification")).to_have_attribute("data-state", "idle")


def test_each_button_sends_its_name_and_is_disabled_while_it_is_at_work(page: Page) -> None:
    canvas = shown(page, seen(3))
    labels = ["Send a duplicate", "Delay an event", "Gateway down", "Gateway up", "Replay its events"]

    for label in labels:
        canvas.get_by_role("button", name=label, exact=True).click()

    assert page.evaluate("window.sent.map(({ press }) => press)") == ["duplicate", "delay", "down", "up", "replay"]
    page.evaluate("() => { window.update('busy', ['delay']); window.update('said', { delay: 'It waits.' }) }")
    expect(canvas.get_by_role("button", name="Delay an event")).to_be_disabled()
    expect(canvas.get_by_role("button", name="Send a duplicate")).to_be_enabled()
    expect(canvas.get_by_role("status")).to_have_text("It waits.")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [800, 1280])
def test_the_canvas_fits_has_the_notebook_s_theme_and_changes_nothing_around_it(
    page: Page, width: int, theme: str
) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    other_theme: Any = "light" if theme == "dark" else "dark"  # JupyterLab's counts, and not the system's
    page.emulate_media(color_scheme=other_theme, reduced_motion="reduce")
    canvas = shown(page, seen(3), theme)

    parts = "[...element.shadowRoot.querySelectorAll('*')].map((part) => part.getBoundingClientRect().right)"
    assert canvas.evaluate(f"element => Math.max(...{parts})") <= width
    violations = Axe().run(page, context="#canvas").response["violations"]
    assert [each["id"] for each in violations if each["impact"] in ("serious", "critical")] == []
    paper = canvas.evaluate("element => getComputedStyle(element).backgroundColor")
    assert paper == {"light": "rgb(251, 248, 244)", "dark": "rgb(25, 21, 18)"}[theme]
    expect(page.get_by_role("heading", name="The notebook")).to_have_css("color", "rgb(1, 2, 3)")
    expect(page.get_by_role("button", name="Its own")).to_have_css("border-radius", "0px")
    expect(canvas.get_by_role("heading", name="Order C435834C")).not_to_have_css("color", "rgb(1, 2, 3)")


def test_in_a_narrow_cell_the_picture_is_drawn_as_for_a_phone(page: Page) -> None:
    canvas = shown(page, seen(3))
    expect(canvas.locator(".picture.tall")).to_have_count(0)

    page.locator("#canvas").evaluate("element => { element.style.width = '500px' }")

    expect(canvas.locator(".picture.tall")).to_be_visible()


# --- the widget -------------------------------------------------------------------------------------------------------


@pytest.fixture
def order_id(storefront: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new order on the running stack, which the widget finds as a notebook's would."""
    monkeypatch.setenv(STATE_DIR_VARIABLE, str(STATE.folder))
    cognito, email = described(storefront).client("cognito-idp"), "reader-of-the-canvas@example.com"
    customer = ShopAccount(cognito, storefront, storefront["apiUrl"], email)
    yield customer.post("/orders", {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"})["orderId"]
    customer.remove()


def becomes(canvas: Canvas, status: str, events: int) -> bool:
    """Wait until the canvas has seen as much."""
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while canvas.seen["order"]["status"] != status or len(canvas.seen["events"]) < events or canvas.busy:
        assert time.monotonic() < deadline, (canvas.seen, canvas.said)
        time.sleep(0.1)
    return True


def test_the_widget_sees_its_order_end_and_a_duplicate_of_its_event(order_id: str) -> None:
    canvas = live_canvas(order_id)
    assert becomes(canvas, "FULFILLED", 3)

    canvas._handle_custom_msg({"press": "duplicate"}, [])

    assert becomes(canvas, "FULFILLED", 4)
    assert "on the bus again" in canvas.said["duplicate"]
    canvas.close()
    assert not any(thread.is_alive() for thread in canvas._threads)


def test_the_widget_says_why_a_button_could_not_do_its_work(order_id: str) -> None:
    canvas = live_canvas(order_id)
    assert becomes(canvas, "FULFILLED", 3)

    canvas.order_id = "unknown"
    canvas.press("duplicate")

    assert becomes(canvas, "FULFILLED", 3)
    canvas.close()
    assert canvas.said["duplicate"].startswith("✗ the audit log has no order unknown")
    assert canvas.said["read"] == "✗ The picture is no longer updated: no order unknown is stored"


def test_an_order_that_is_not_stored_has_no_canvas(order_id: str) -> None:
    with pytest.raises(UnknownOrder, match="no order 1 is stored"):
        live_canvas("1")


def test_where_no_widget_runs_there_is_the_sequence_of_the_order(order_id: str) -> None:
    canvas = live_canvas(order_id)
    assert becomes(canvas, "FULFILLED", 3)
    data, _ = canvas._repr_mimebundle_()
    canvas.close()
    notebook = {"cells": [{"outputs": [{"data": {**data}}]}]}

    drop_widgets(notebook)

    [saved] = [output["data"] for cell in notebook["cells"] for output in cell["outputs"]]
    assert data.keys() == saved.keys() | {"application/vnd.jupyter.widget-view+json"}
    assert saved["text/html"].startswith("<img ")
    assert "FulfillmentCompletedEvent" in saved["text/plain"]
