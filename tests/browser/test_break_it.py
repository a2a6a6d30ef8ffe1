"""The panel that breaks things, and the requests that it refuses."""

import http.server
import re
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from tests.browser.visitor import TIMEOUT_MS, Visitor
from tests.e2e.cloud import STACK, Cloud
from tests.e2e.waiting import wait_for


def takes_the_gateway_down(customer: Visitor) -> None:
    customer.button("Take the gateway down").click()
    expect(customer.page.get_by_text("It is down: no card can be charged or refunded.")).to_be_visible()


def steps(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("list", name="An outage in three steps").locator("> li")


def is_at(visitor: Visitor, number: int) -> None:
    """Wait until this step of the story is the current one, and the only one."""
    expect(steps(visitor).nth(number - 1)).to_have_attribute("aria-current", "step", timeout=TIMEOUT_MS)
    expect(visitor.page.locator(".outage > [aria-current]")).to_have_count(1)


def test_nothing_is_empty_on_the_shop_page(customer: Visitor) -> None:
    customer.opens("")
    expect(customer.page.get_by_text("✓ It is up.")).to_be_visible()

    is_at(customer, 1)
    buttons = customer.page.locator("#break-it button:visible")
    expect(buttons).to_have_text(["Take the gateway down"])
    expect(buttons).to_be_enabled()
    parts = customer.page.locator("#break-it :is(p, li, h3, section):visible:not([role=status])")
    assert [text for text in parts.all_inner_texts() if not text.strip() or text.strip() == "None."] == []
    assert "isn't lost" in steps(customer).nth(1).inner_text()  # what a dead letter is
    assert "to its function again" in steps(customer).nth(2).inner_text()  # and to redrive


@pytest.mark.usefixtures("gateway_is_up_again")
def test_an_outage_is_a_story_in_three_steps_each_enabled_in_turn(customer: Visitor, cloud: Cloud) -> None:
    """On the real stack, with a reload in the middle."""
    page, [down, order, repair] = customer.page, [steps(customer).nth(index) for index in range(3)]
    is_at(customer, 1)
    expect(repair.get_by_role("button")).to_have_count(0)

    takes_the_gateway_down(customer)
    expect(down.get_by_role("status")).to_have_text("Done. Order something now.")
    expect(customer.button("Take the gateway down")).to_be_disabled()
    is_at(customer, 2)
    order.get_by_role("link", name="Order something").click()
    expect(customer.title).to_have_text("Coffee, and everything around it")
    expect(customer.button("Redrive them")).to_be_disabled()

    customer.orders()
    letter = page.locator(".dead-letters li").filter(has_text=customer.order_id[:8].upper())
    expect(letter.first).to_contain_text("OrderPlacedEvent", timeout=TIMEOUT_MS)
    expect(letter.first).to_contain_text("paymentProcessing")
    is_at(customer, 3)
    expect(customer.button("Redrive them")).to_be_disabled()  # the gateway is still down
    page.reload()
    is_at(customer, 3)

    customer.button("Bring the gateway up").click()
    expect(repair.get_by_role("status")).to_contain_text("It is up again.")
    expect(down.get_by_role("status")).to_have_text("")  # said beside the button that was used, and nowhere else
    expect(page.get_by_text("✓ It is up.")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.url.rpartition('/')[2]} begins"))
    page.on("response", lambda response: asked.append(f"{response.url.rpartition('/')[2]} ends"))
    with page.expect_request("**/break-it/state"):  # a read, which hides the dead letters meanwhile
        pass
    customer.button("Redrive them").click()
    redriven = re.compile(r"^(One dead letter was|[1-9]\d* dead letters were) redriven\. .* charged once\.$")
    expect(repair.get_by_role("status")).to_have_text(redriven, timeout=TIMEOUT_MS)
    assert asked.index("state ends") < asked.index("redrive begins")

    customer.sees_the_end("is on its way")
    expect(page.get_by_role("heading", name="Your order is waiting for")).to_have_count(0)
    expect(page.locator(".dead-letters")).to_be_hidden(timeout=TIMEOUT_MS)
    is_at(customer, 1)  # and from the beginning
    row = cloud.ledger_row(customer.order_id)
    assert row
    assert row["charges"]["N"] == "1"


@pytest.mark.usefixtures("gateway_is_up_again")
def test_an_order_that_the_reconciler_published_again_shows_it(customer: Visitor, cloud: Cloud) -> None:
    takes_the_gateway_down(customer)
    customer.orders()
    again = customer.page.locator(".timeline .again")

    def reconcile() -> int:
        """Run the reconciler now: its schedule does so once a minute."""
        cloud.client("lambda").invoke(FunctionName=f"{STACK}-reconciler", Payload=b"{}")
        return int(again.count())

    wait_for("republication", reconcile)
    expect(again.first).to_contain_text("Reconciler publishes OrderPlacedEvent again")
    expect(again.first).to_contain_text("attempt 2")
    expect(customer.node("reconciler")).not_to_have_attribute("data-state", "idle")
    customer.button("Bring the gateway up").click()
    customer.button("Redrive them").click()

    customer.sees_the_end("is on its way")


def test_an_event_that_comes_twice_is_shown_twice_and_charges_once(customer: Visitor) -> None:
    expect(customer.button("Send OrderPlacedEvent again")).to_be_hidden()  # of which order?
    customer.orders().sees_the_end("is on its way")
    before = customer.asks(f"/orders/{customer.order_id}")

    customer.button("Send OrderPlacedEvent again").click()

    repetition = customer.page.locator("#break-it section").filter(has_text="The same event, twice")
    expect(repetition.get_by_role("status")).to_have_text("The event is on the bus again.")
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
