"""A thousand open pages, while orders flow: each page hears of every event of its order, and of no other."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.e2e.cloud import Cloud
from tests.e2e.shopper import Shopper, envelope_of
from tests.e2e.waiting import wait_for

PAGES = 1_000
PAGES_OF_AN_ORDER = 10
EVENTS = {"OrderPlacedEvent", "PaymentCompletedEvent", "FulfillmentCompletedEvent"}
GENEROUS = 600  # seconds


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_each_of_many_pages_gets_all_events_of_its_order_and_no_other(
    cloud: Cloud, anna: Shopper, threads: ThreadPoolExecutor
) -> None:
    with cloud.without_events_for("paymentProcessing"):
        placed = list(threads.map(lambda _: anna.place().json()["orderId"], range(PAGES // PAGES_OF_AN_ORDER)))
        first = [wait_for("audit log", partial(anna.trail, order))[0] for order in placed]

    def start() -> None:
        """Put each order's first event on the bus once more: this time it is consumed."""
        for entry in first:
            event = envelope_of(entry)
            cloud.put(event["detail-type"], event["source"], event["detail"])

    def ticket(order_id: str) -> str:
        return str(anna.http.post(f"/orders/{order_id}/ticket").json()["url"])

    async def page(order_id: str, opened: asyncio.Semaphore, may_start: asyncio.Event) -> list[Any]:
        """All that a page hears until it knows of every event."""
        loop, heard = asyncio.get_running_loop(), list[Any]()
        url = await loop.run_in_executor(threads, ticket, order_id)
        async with connect(url, proxy=None, open_timeout=GENEROUS) as socket:
            opened.release()
            await may_start.wait()
            while {event["eventType"] for event in heard} != EVENTS:
                heard.append(json.loads(await socket.recv()))
        return heard

    async def watch() -> list[tuple[str, list[Any]]]:
        opened, may_start = asyncio.Semaphore(0), asyncio.Event()
        orders = [order_id for order_id in placed for _ in range(PAGES_OF_AN_ORDER)]
        async with asyncio.timeout(GENEROUS), asyncio.TaskGroup() as group:
            pages = [group.create_task(page(order_id, opened, may_start)) for order_id in orders]
            for _ in pages:
                await opened.acquire()
            may_start.set()
            await asyncio.get_running_loop().run_in_executor(threads, start)
        return [(order_id, each.result()) for order_id, each in zip(orders, pages, strict=True)]

    watched = asyncio.run(watch())

    assert len(watched) == PAGES
    for order_id, heard in watched:
        assert {event["data"]["orderId"] for event in heard} == {order_id}
        assert {event["eventType"] for event in heard} == EVENTS
