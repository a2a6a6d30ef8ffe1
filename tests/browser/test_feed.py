"""The order's page hears its events through a WebSocket, and reads the order where it hears nothing."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from playwright.sync_api import Request, Route, expect

from tests.browser.conftest import Visit
from tests.browser.visitor import TIMEOUT_MS, Visitor
from tests.e2e.cloud import Cloud
from tests.e2e.shopper import Shopper, envelope_of
from tests.e2e.waiting import wait_for

FIRST_MS, LONGEST_MS = 200, 30_000  # of web/follower.js
PAUSES_MS = [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]
MOST_REQUESTS = 10
"""What a watched order may ask the API after it is placed, its ticket included; a page that polled asked 16 times."""
EVENTS = {"OrderPlacedEvent", "PaymentCompletedEvent", "FulfillmentCompletedEvent"}


def grow(pauses: list[int]) -> bool:
    """Whether the pauses double from the shortest to the longest. A read in between may have taken the place of one."""
    return (
        pauses[0] == FIRST_MS
        and pauses == sorted(pauses)
        and len(pauses) <= len(PAUSES_MS)
        and {*pauses} <= {*PAUSES_MS}
    )


RECORD = """() => {
    Object.assign(window, { pauses: [], due: new Set(), sockets: [], heard: [], closeAtOnce: false });
    const { setTimeout, clearTimeout, WebSocket } = window;
    window.setTimeout = (act, milliseconds) => {
        if (!new Error().stack.includes('follower.js')) return setTimeout(act, milliseconds);
        const timer = setTimeout(() => { due.delete(timer); act(); }, milliseconds);
        due.add(timer);
        pauses.push(milliseconds);
        return timer;
    };
    window.clearTimeout = (timer) => { due.delete(timer); clearTimeout(timer); };
    window.WebSocket = class extends WebSocket {
        constructor(url) {
            super(url);
            sockets.push(this);
            this.addEventListener('message', ({ data }) => heard.push(JSON.parse(data)));
            if (closeAtOnce) this.addEventListener('open', () => this.close());
        }
    };
}"""
"""Record the pauses that the follower asks for, its WebSockets, and what they hear."""


class Page:
    """The page of an order: what it asks for, what it hears, and when it means to read again."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.page = visitor.page
        self.requests: list[str] = []
        self.page.on("request", self._note)
        self.page.clock.install()  # it goes on as before, but a test can make it jump
        self.page.evaluate(RECORD)

    def _note(self, request: Request) -> None:
        """`GET order`, `GET events`, `POST ticket` or `POST cancellation`."""
        path = request.url.partition("/api/orders/")[2]
        if path:
            self.requests.append(f"{request.method} {path.partition('/')[2] or 'order'}")

    def opens(self, order_id: str) -> "Page":
        self.visitor.opens(f"#/orders/{order_id}")
        return self

    # --- its WebSockets -------------------------------------------------------------------------------------------

    def sockets(self) -> list[int]:
        """The state of each WebSocket that it has opened: 1 is open, 3 is closed."""
        return list(self.page.evaluate("sockets.map(({ readyState }) => readyState)"))

    def is_connected(self, *states: int) -> "Page":
        """Wait for the one open WebSocket, after closed ones."""
        wait_for("open WebSocket", self.sockets, lambda found: found == [*states, 1])
        return self

    def tickets(self) -> list[str]:
        """Those with which it has opened WebSockets."""
        return list(self.page.evaluate("sockets.map(({ url }) => new URL(url).searchParams.get('ticket'))"))

    def heard(self) -> list[Any]:
        return list(self.page.evaluate("heard"))

    # --- its reads ------------------------------------------------------------------------------------------------

    def pauses(self) -> list[int]:
        """The pauses since the last event, or since something has changed; without those of no length."""
        pauses = [pause for pause in self.page.evaluate("pauses") if pause]
        return pauses[len(pauses) - 1 - pauses[::-1].index(FIRST_MS) :]

    def lets_time_pass(self) -> "Page":
        """Nothing happens for so long that the pauses no longer grow."""
        wait_for("first pause", lambda: self.page.evaluate("pauses.some((pause) => pause)"))
        while self.pauses()[-2:] != [LONGEST_MS] * 2:
            before = self._pause_count()
            self.page.clock.fast_forward(self.pauses()[-1])
            wait_for("next pause", self._pause_count, before.__lt__)
        return self

    def _pause_count(self) -> int:
        return int(self.page.evaluate("pauses.length"))

    def reads_no_more(self) -> "Page":
        """Wait until no read is due."""
        wait_for("end of the reads", lambda: not self.page.evaluate("due.size"))
        return self

    def turns(self, *, hidden: bool) -> "Page":
        self.page.evaluate(
            """(hidden) => {
                Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
                document.dispatchEvent(new Event('visibilitychange'));
            }""",
            hidden,
        )
        return self

    # --- what it shows --------------------------------------------------------------------------------------------

    def sees(self, step: str) -> "Page":
        expect(self.page.locator(".timeline .title", has_text=step).first).to_be_visible(timeout=TIMEOUT_MS)
        return self

    def sees_everything(self) -> "Page":
        self.visitor.sees_the_end("is on its way")
        for event in EVENTS:
            self.sees(f"publishes {event}")
        self.sees("updates the status: FULFILLED").sees("Notification sends the e-mail")
        return self


class Sockets:
    """The operator's side of the WebSockets."""

    def __init__(self, cloud: Cloud) -> None:
        names = cloud.client("dynamodb").list_tables()["TableNames"]
        [self._table] = [name for name in names if "FeedTable" in name]
        self._scan = cloud.client("dynamodb").scan
        self._client = boto3.client(
            "apigatewaymanagementapi",
            endpoint_url=cloud.stack["WebSocketUrl"].replace("ws", "http", 1),
            region_name=cloud.stack["region"],
            aws_access_key_id=cloud.stack["accessKeyId"],
            aws_secret_access_key=cloud.stack["secretAccessKey"],
        )

    def of(self, order_id: str) -> list[str]:
        """The stored connections of an order's pages."""
        items = self._scan(TableName=self._table)["Items"]
        return [item["id"]["S"] for item in items if item.get("orderId") == {"S": order_id}]

    def send(self, order_id: str, message: Any) -> None:
        for connection in self.of(order_id):
            self._client.post_to_connection(ConnectionId=connection, Data=json.dumps(message).encode())

    def close(self, order_id: str) -> None:
        for connection in self.of(order_id):
            self._client.delete_connection(ConnectionId=connection)


@pytest.fixture(scope="module")
def anna(cloud: Cloud) -> Shopper:
    return Shopper(cloud)


@pytest.fixture(scope="module")
def sockets(cloud: Cloud) -> Sockets:
    return Sockets(cloud)


@pytest.fixture
def window(visit: Visit, anna: Shopper) -> Callable[[], Page]:
    """`window()` is a new window of Anna's, so narrow that the panel is closed."""

    def window() -> Page:
        visitor = visit(viewport={"width": 900, "height": 900})
        visitor.page.evaluate(
            "(token) => sessionStorage.setItem('idToken', JSON.stringify(token))", anna.tokens["IdToken"]
        )
        return Page(visitor)

    return window


@pytest.fixture
def page(window: Callable[[], Page]) -> Page:
    return window()


def an_order_that_waits(cloud: Cloud, anna: Shopper) -> str:
    """An order whose first event is in the audit log, and was not consumed by PaymentProcessing."""
    with cloud.without_events_for("paymentProcessing"):
        order_id = str(anna.place().json()["orderId"])
        wait_for("audit log", lambda: anna.trail(order_id))
    return order_id


def publish_again(cloud: Cloud, anna: Shopper, order_id: str, event_type: str = "OrderPlacedEvent") -> str:
    """Put an event of an order on the bus once more; EventBridge's id of it."""
    trail = wait_for("event", lambda: [each for each in anna.trail(order_id) if each["eventType"] == event_type])
    event = envelope_of(trail[0])
    return cloud.put(event["detail-type"], event["source"], event["detail"])


# --- what is pushed ---------------------------------------------------------------------------------------------------


def test_an_event_that_is_pushed_is_seen_though_the_events_are_not_read(
    page: Page, cloud: Cloud, anna: Shopper
) -> None:
    order_id = an_order_that_waits(cloud, anna)
    page.opens(order_id).is_connected()
    unanswered: list[Route] = []
    page.page.route("**/events", lambda route: unanswered.append(route))

    publish_again(cloud, anna, order_id)

    page.sees("PaymentProcessing publishes PaymentCompletedEvent")
    page.sees("Fulfillment publishes FulfillmentCompletedEvent")
    assert {event["eventType"] for event in page.heard()} >= EVENTS - {"OrderPlacedEvent"}
    for route in unanswered:
        route.continue_()
    page.page.unroute("**/events")
    page.sees_everything()


def test_a_page_hears_nothing_of_another_order_and_ignores_what_is_no_event(
    window: Callable[[], Page], cloud: Cloud, anna: Shopper, sockets: Sockets
) -> None:
    with cloud.without_events_for("paymentProcessing"):
        mine, another = an_order_that_waits(cloud, anna), an_order_that_waits(cloud, anna)
    with cloud.without_events_for("paymentProcessing"):
        page, other = window().opens(mine).is_connected(), window().opens(another).is_connected()
        publish_again(cloud, anna, another)
        other.sees("OrderPlacedEvent arrives again")
        sockets.send(mine, {"message": "Internal server error", "connectionId": "c", "requestId": "r"})
        publish_again(cloud, anna, mine)
        page.sees("OrderPlacedEvent arrives again")

    assert len([message for message in page.heard() if "message" in message]) == 1
    assert {event["data"]["orderId"] for event in page.heard() if "data" in event} == {mine}
    assert len(page.visitor.steps) == 3  # the order is written, its event is published, and published again


def test_a_watched_order_asks_the_api_a_few_times(
    page: Page, anna: Shopper, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each order is counted from the click to its end."""
    counts: list[tuple[int, int]] = []
    for _ in range(3):
        page.requests.clear()
        page.page.evaluate("heard.length = 0")
        page.visitor.page.get_by_role("link", name="Shop").first.click()
        page.visitor.button("Add Stoneware mug to the cart").click()
        page.visitor.page.get_by_role("link", name="Cart", exact=False).first.click()
        page.visitor.button("Order").click()
        page.sees_everything().reads_no_more()
        counts.append((len(page.requests), len(page.heard())))
        with capsys.disabled():
            print(f"\n{counts[-1]} requests and messages: {dict(Counter(page.requests))}", end="")

    assert max(requests for requests, _ in counts) <= MOST_REQUESTS


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ticket", [404, 429, "no response", "refused"])
def test_where_there_is_no_websocket_the_order_is_read_to_its_end(
    ticket: int | str, page: Page, cloud: Cloud, anna: Shopper
) -> None:
    order_id = an_order_that_waits(cloud, anna)

    def answer(route: Route) -> None:
        if ticket == "no response":
            route.abort()
        elif ticket == "refused":
            url = f"{cloud.stack['WebSocketUrl']}?ticket=unknown"
            route.fulfill(status=201, json={"ticket": "unknown", "url": url})
        else:
            route.fulfill(status=int(ticket), json={"detail": "no ticket"})

    page.page.route("**/ticket", answer)
    page.opens(order_id).lets_time_pass()
    assert grow(page.pauses())
    asked, read = page.requests.count("POST ticket"), page.requests.count("GET events")
    assert asked == (1 if ticket == 404 else read)  # where there is none, there may be one the next time

    publish_again(cloud, anna, order_id)
    anna.ended(order_id)
    page.page.clock.fast_forward(LONGEST_MS)

    page.sees_everything().reads_no_more()
    assert page.heard() == []


def test_while_nothing_happens_the_pauses_between_reads_grow(page: Page, cloud: Cloud, anna: Shopper) -> None:
    order_id = an_order_that_waits(cloud, anna)
    page.opens(order_id).is_connected().lets_time_pass()

    assert grow(page.pauses())
    assert page.page.evaluate("pauses.filter((pause) => pause === 0).length") == 1  # when the WebSocket was open

    publish_again(cloud, anna, order_id)
    page.sees_everything()


@pytest.mark.parametrize("answer", [500, "no response"])
def test_while_the_api_is_down_the_pauses_grow_and_no_ticket_is_asked_for(
    answer: int | str, page: Page, cloud: Cloud, anna: Shopper, sockets: Sockets
) -> None:
    order_id = an_order_that_waits(cloud, anna)
    page.opens(order_id).is_connected()

    def refuse(route: Route) -> None:
        if answer == "no response":
            route.abort()
        else:
            route.fulfill(status=int(answer), json={})

    page.page.route("**/api/orders/**", refuse)
    sockets.close(order_id)
    page.lets_time_pass()

    assert grow(page.pauses())
    assert page.requests.count("POST ticket") <= 2  # one more where a read was under way when the API went down
    expect(page.visitor.alert.filter(has_text="this page keeps trying")).to_be_visible()

    page.page.unroute("**/api/orders/**")
    publish_again(cloud, anna, order_id)
    page.page.clock.fast_forward(LONGEST_MS)
    page.sees_everything()
    expect(page.visitor.alert).to_be_hidden()


def test_a_hidden_page_reads_nothing_and_reads_at_once_when_it_is_shown_again(
    page: Page, cloud: Cloud, anna: Shopper
) -> None:
    order_id = an_order_that_waits(cloud, anna)
    page.opens(order_id).is_connected().turns(hidden=True)
    publish_again(cloud, anna, order_id)
    page.sees("Fulfillment publishes FulfillmentCompletedEvent")  # which it hears
    anna.ended(order_id)
    page.reads_no_more()
    asked, pauses = len(page.requests), page.page.evaluate("pauses.length")
    publish_again(cloud, anna, order_id, "FulfillmentCompletedEvent")
    page.sees("FulfillmentCompletedEvent arrives again").reads_no_more()
    assert len(page.requests) == asked
    assert "Notification sends the e-mail" not in page.visitor.steps

    pauses = page.page.evaluate("pauses.length")
    page.turns(hidden=False)

    assert page.page.evaluate("pauses")[pauses] == 0
    page.sees_everything()


def test_a_cancellation_whose_payment_is_voided_is_read_to_its_end(page: Page, cloud: Cloud, anna: Shopper) -> None:
    """No event is published of a void."""
    order_id = an_order_that_waits(cloud, anna)
    page.opens(order_id).is_connected()
    with cloud.without_events_for("paymentProcessing"):
        page.visitor.button("Cancel the order").click()
        page.visitor.button("Yes, cancel it").click()
        page.sees("OrderService publishes OrderCancelledEvent").lets_time_pass()
    publish_again(cloud, anna, order_id, "OrderCancelledEvent")
    wait_for("void", lambda: anna.order(order_id), lambda order: "payment" in order)
    anna.ended(order_id)
    page.page.clock.fast_forward(LONGEST_MS)

    page.visitor.sees_the_end("is cancelled")
    page.sees("PaymentProcessing voids the payment").reads_no_more()
    assert {event["eventType"] for event in page.heard()} <= {"OrderPlacedEvent", "OrderCancelledEvent"}


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_a_websocket_that_closes_is_replaced_and_what_happened_meanwhile_is_shown(
    page: Page, cloud: Cloud, anna: Shopper, sockets: Sockets
) -> None:
    order_id = an_order_that_waits(cloud, anna)
    page.opens(order_id).is_connected().lets_time_pass()
    unanswered: list[Route] = []
    page.page.route("**/ticket", lambda route: unanswered.append(route))

    sockets.close(order_id)
    wait_for("end of the WebSocket", page.sockets, lambda states: states == [3])
    assert page.pauses()[0] == FIRST_MS
    wait_for("another ticket", lambda: page.page.evaluate("0") == 0 and unanswered)
    publish_again(cloud, anna, order_id)
    wait_for("payment", lambda: anna.order(order_id), lambda order: "payment" in order)
    unanswered[0].continue_()

    page.is_connected(3).sees_everything()
    assert len(set(page.tickets())) == 2
    assert page.requests.count("POST ticket") == 2
    again = publish_again(cloud, anna, order_id)
    wait_for("event", page.heard, lambda heard: again in [event["eventId"] for event in heard])


def test_where_no_websocket_lasts_the_pauses_grow_all_the_same(page: Page, cloud: Cloud, anna: Shopper) -> None:
    order_id = an_order_that_waits(cloud, anna)
    page.page.evaluate("closeAtOnce = true")

    page.opens(order_id).lets_time_pass()

    assert page.pauses() == sorted(page.pauses())
    assert len(set(page.tickets())) == len(page.tickets()) > 2


def test_after_the_end_nothing_is_read_and_a_late_event_is_still_heard(page: Page, cloud: Cloud, anna: Shopper) -> None:
    order_id = str(anna.ended_order()["orderId"])
    page.opens(order_id).is_connected().sees_everything().reads_no_more()
    asked = len(page.requests)

    publish_again(cloud, anna, order_id)

    page.sees("OrderPlacedEvent arrives again").reads_no_more()
    assert len(page.requests) == asked


def test_leaving_the_page_closes_its_websocket_and_ends_its_reads(
    page: Page, cloud: Cloud, anna: Shopper, sockets: Sockets
) -> None:
    order_id = an_order_that_waits(cloud, anna)
    page.opens(order_id).is_connected()
    assert len(sockets.of(order_id)) == 1

    page.visitor.opens("#/orders")

    page.reads_no_more()
    wait_for("end of the WebSocket", page.sockets, lambda states: states == [3])
    wait_for("end of the connection", lambda: not sockets.of(order_id))
    assert page.page.evaluate("due.size") == 0
