"""The order feed, with real WebSockets: a page that watches its order gets each event of it, and nobody else does."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.e2e.cloud import Cloud
from tests.e2e.shopper import Shopper
from tests.e2e.waiting import wait_for

PAGE = Origin("https://shop.example.com")
GENEROUS = 60  # seconds


def ticket(customer: Shopper, order_id: str, *, origin: str | None = PAGE) -> httpx.Response:
    headers = {"origin": origin} if origin else {}
    return customer.http.post(f"/orders/{order_id}/ticket", headers=headers)


@contextmanager
def watched(customer: Shopper, order_id: str) -> Iterator[ClientConnection]:
    """A page of the order."""
    with connect(ticket(customer, order_id).json()["url"], origin=PAGE, proxy=None) as page:
        yield page


def received(page: ClientConnection) -> Any:
    return json.loads(page.recv(timeout=GENEROUS))


def connections(cloud: Cloud, order_id: str) -> list[Any]:
    """Those that are stored."""
    [table] = [name for name in cloud.client("dynamodb").list_tables()["TableNames"] if "FeedTable" in name]
    items = cloud.client("dynamodb").scan(TableName=table)["Items"]
    return [item for item in items if item.get("orderId") == {"S": order_id}]


def publish_again(cloud: Cloud, order_id: str, customer: Shopper) -> str:
    """Put the order's first event on the bus once more; EventBridge's id of it."""
    placed = customer.trail(order_id)[0]
    names = ("correlationId", "causationId", "attempt")
    metadata = {"eventId": placed["domainEventId"], "version": "1", "occurredAt": placed["timestamp"]}
    detail = {"metadata": {**metadata, **{name: placed[name] for name in names}}, "data": placed["data"]}
    return cloud.put(placed["eventType"], placed["source"], detail)


def test_a_page_gets_each_event_of_its_order_as_it_happens(cloud: Cloud, anna: Shopper) -> None:
    with ExitStack() as open_page:
        with cloud.without_events_for("paymentProcessing"):
            order_id = anna.place().json()["orderId"]
            wait_for("audit log of the order", lambda: anna.trail(order_id))
            page = open_page.enter_context(watched(anna, order_id))
        publish_again(cloud, order_id, anna)
        seen = [received(page) for _ in range(3)]

    assert {event["eventType"] for event in seen} == {
        "OrderPlacedEvent",
        "PaymentCompletedEvent",
        "FulfillmentCompletedEvent",
    }
    anna.ended(order_id)
    trail = {event["eventId"]: event for event in anna.whole_trail(order_id)}
    assert all(trail[event["eventId"]] == event for event in seen)


def test_a_page_gets_no_event_of_another_order(cloud: Cloud, anna: Shopper, bela: Shopper) -> None:
    mine, another = anna.ended_order()["orderId"], bela.ended_order()["orderId"]
    with watched(anna, mine) as page:
        publish_again(cloud, another, bela)
        own = publish_again(cloud, mine, anna)

        assert received(page)["eventId"] == own


def test_a_ticket_opens_one_connection_for_its_own_page_alone(anna: Shopper, bela: Shopper) -> None:
    order_id = anna.ended_order()["orderId"]
    used, stolen = (ticket(anna, order_id).json() for _ in range(2))
    with connect(used["url"], origin=PAGE, proxy=None):
        pass

    for url, origin in (
        (used["url"], PAGE),
        (stolen["url"], Origin("https://evil.example.com")),
        (stolen["url"], PAGE),  # burned by the thief
        (used["url"].replace(used["ticket"], "guessed"), PAGE),
        (used["url"].partition("?")[0], PAGE),
    ):
        with pytest.raises(InvalidStatus, match="403"):
            connect(url, origin=origin, proxy=None)
    assert ticket(bela, order_id).status_code == 404
    assert ticket(anna, str(uuid4())).status_code == 404


def test_a_ticket_needs_a_token(cloud: Cloud) -> None:
    assert cloud.api(None).post(f"/orders/{uuid4()}/ticket").status_code == 401


def test_a_connection_is_forgotten_when_its_page_leaves(cloud: Cloud, anna: Shopper) -> None:
    order_id = anna.ended_order()["orderId"]
    with watched(anna, order_id):
        assert len(connections(cloud, order_id)) == 1

    wait_for("end of the connection", lambda: not connections(cloud, order_id))
