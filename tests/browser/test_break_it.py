"""The panel that breaks things, and the requests that it refuses."""

import http.server
import re
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.visitor import TIMEOUT_MS, Visitor


def takes_the_gateway_down(customer: Visitor) -> None:
    customer.button("Take the gateway down").click()
    expect(customer.page.get_by_text("It is down: no card can be charged or refunded.")).to_be_visible()


@pytest.mark.usefixtures("gateway_is_up_again")
def test_an_order_waits_for_the_gateway_and_is_healed_by_a_redrive(customer: Visitor) -> None:
    page, waits = customer.page, customer.page.get_by_role("heading", name="Your order waits for PaymentProcessing")
    takes_the_gateway_down(customer)
    customer.orders()

    expect(waits).to_be_visible(timeout=TIMEOUT_MS)
    expect(customer.node("paymentProcessing")).to_have_attribute("data-state", "waiting")
    expect(customer.node("paymentProcessing")).to_contain_text("awaited")  # not by colour alone
    letter = page.locator(".dead-letters li").filter(has_text=customer.order_id[:8].upper())
    expect(letter.first).to_contain_text("OrderPlacedEvent", timeout=TIMEOUT_MS)
    expect(letter.first).to_contain_text("paymentProcessing")

    customer.button("Bring the gateway up").click()
    expect(page.get_by_text("It is up.")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.url.rpartition('/')[2]} begins"))
    page.on("response", lambda response: asked.append(f"{response.url.rpartition('/')[2]} ends"))
    with page.expect_request("**/break-it/state"):  # a read, which hides the dead letters meanwhile
        pass
    customer.button("Redrive them").click()
    redriven = re.compile(r"^(One dead letter was|[1-9]\d* dead letters were) redriven\.$")
    expect(page.locator("#break-it [role=status]")).to_have_text(redriven, timeout=TIMEOUT_MS)
    assert asked.index("state ends") < asked.index("redrive begins")

    customer.sees_the_end("is on its way")
    expect(waits).to_be_hidden()
    expect(page.locator(".dead-letters")).to_have_text("None.", timeout=TIMEOUT_MS)


@pytest.mark.usefixtures("gateway_is_up_again")
def test_an_order_that_the_reconciler_published_again_shows_it(customer: Visitor) -> None:
    takes_the_gateway_down(customer)
    customer.orders()
    again = customer.page.locator(".timeline .again")

    expect(again.first).to_contain_text("Reconciler publishes OrderPlacedEvent again", timeout=2 * TIMEOUT_MS)
    expect(again.first).to_contain_text("attempt 2")
    expect(customer.node("reconciler")).not_to_have_attribute("data-state", "idle")
    customer.button("Bring the gateway up").click()
    customer.button("Redrive them").click()

    customer.sees_the_end("is on its way")


def test_an_event_that_comes_twice_is_shown_twice_and_charges_once(customer: Visitor) -> None:
    customer.orders().sees_the_end("is on its way")
    before = customer.asks(f"/orders/{customer.order_id}")

    customer.button("Send OrderPlacedEvent again").click()

    expect(customer.page.get_by_text("The event is on the bus again.")).to_be_visible()
    again = customer.page.locator(".timeline .again")
    expect(again).to_contain_text("OrderPlacedEvent arrives again", timeout=TIMEOUT_MS)
    assert customer.asks(f"/orders/{customer.order_id}") == before


def test_a_duplicate_is_marked_also_where_the_api_names_it_first(customer: Visitor) -> None:
    """Both have the same time, so either may come first, and the order may change from one response to the next."""
    customer.orders().sees_the_end("is on its way")
    [placed] = [
        event
        for event in customer.asks(f"/orders/{customer.order_id}/events")["events"]
        if event["eventType"] == "OrderPlacedEvent"
    ]

    def with_a_duplicate_before_it(route: Route) -> None:
        answer = route.fetch()
        events = answer.json()["events"]
        route.fulfill(response=answer, json={"events": [{**placed, "eventId": "another"}, *events]})

    customer.page.route("**/events", with_a_duplicate_before_it)
    customer.page.reload()

    expect(customer.page.locator(".timeline .again")).to_have_count(1)
    expect(customer.page.locator(".timeline .again")).to_contain_text("arrives again")


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.fixture
def foreign_page() -> Iterator[str]:
    """Another origin on this machine: a page at another port."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>foreign</title>")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


REQUESTS = {
    "as JSON": "{ headers: { 'content-type': 'application/json' } }",
    "without asking first": "{ mode: 'no-cors', headers: { 'content-type': 'text/plain' } }",
}


@pytest.mark.parametrize("options", REQUESTS.values(), ids=REQUESTS.keys())
def test_a_page_of_another_origin_cannot_break_anything(
    browser: Browser, storefront: dict[str, Any], foreign_page: str, options: str
) -> None:
    page = browser.new_page()
    page.goto(foreign_page)
    answers: list[int] = []
    page.on("response", lambda response: answers.append(response.status))

    page.evaluate(
        f"""(url) => fetch(url, {{ method: 'POST', body: '{{"state": "down"}}', ...{options} }}).catch(() => null)""",
        f"{storefront['webUrl']}break-it/gateway",
    )
    page.close()

    assert set(answers) <= {403}
    assert state(storefront)["gateway"] == "up"


def test_a_page_of_another_origin_cannot_read_the_mails(
    browser: Browser, storefront: dict[str, Any], foreign_page: str
) -> None:
    page = browser.new_page()
    page.goto(foreign_page)
    read = page.evaluate(
        "(url) => fetch(url).then((answer) => answer.text(), () => 'refused')",
        f"{storefront['webUrl']}break-it/inbox?email=somebody@example.com",
    )
    page.close()

    assert read == "refused"


JSON = {"content-type": "application/json"}
REFUSED = {
    "another origin": {"origin": "https://evil.example", **JSON},
    "another port": {"origin": "http://127.0.0.1:1", **JSON},
    "no origin": JSON,
    "a sandboxed frame": {"origin": "null", **JSON},
    "no JSON": {"origin": "OWN", "content-type": "text/plain"},
    "another name of the server": {"origin": "http://evil.example", "host": "evil.example", **JSON},
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED.keys())
def test_a_request_that_is_not_the_pages_own_is_refused(storefront: dict[str, Any], headers: dict[str, str]) -> None:
    own = storefront["webUrl"].rstrip("/")
    sent = {name: own if value == "OWN" else value for name, value in headers.items()}

    answer = httpx.post(f"{own}/break-it/gateway", json={"state": "down"}, headers=sent, trust_env=False)

    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert state(storefront)["gateway"] == "up"


def state(storefront: dict[str, Any]) -> Any:
    """The state that the panel reads."""
    url = storefront["webUrl"]
    host = urlsplit(url).netloc
    answer = httpx.get(f"{url}break-it/state", headers={"host": host}, trust_env=False, timeout=120)
    return answer.raise_for_status().json()
