"""An order's use of AWS: calls, DynamoDB's units, events, invocations, messages and log bytes.

Each story runs through the handlers, from a request to the end of the last function, on a stub of AWS.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from math import ceil
from typing import Any
from uuid import uuid4

from orders.aws.dynamodb import to_item
from orders.aws.store import YOUNG_SHARDS
from tools import flow
from verification.bench import page, units
from verification.bench.journey import (
    ORDER,
    SCHEDULED,
    WITH_STOREFRONT,
    Functions,
    Invocation,
    functions,
    request,
    socket_request,
)
from verification.bench.stub import Call, published
from verification.expressions import Bound

PHONE = "+4915112345678"
_NEW = "attribute_not_exists(orderId)"
_LONG_AGO = "2026-01-31T09:30:00.000Z"
LOG_EVENT_BYTES = 26
"""The bytes that CloudWatch Logs bills for each log event in addition to its text."""

MESSAGE_BYTES = 32 * 1024
"""API Gateway bills a message of a WebSocket once for each started 32 KB."""

DUE = 1_000
"""How many orders are due in the reconciler's story."""

Counts = dict[str, Any]
"""One story, as in results/counts.json."""


def measure() -> dict[str, Counts]:
    """Every story of results/counts.json."""
    with functions() as shop:
        approved, declined = shop.order(key="the same"), shop.order(paymentMethod="tok_declined")
        stories = {
            "approved": approved,
            "approved, with phone": shop.order(phone=PHONE),
            "declined": declined,
            "replayed request": shop.order(key="the same"),
        }
        voided, refunded = cancelled(shop, is_charged=False), cancelled(shop, is_charged=True)
        stories |= {"cancelled before the charge": voided, "cancelled after the charge": refunded}
        for envelope in published(_calls([*approved, *declined, *refunded])):
            again = [shop.follow(*delivery) for delivery in shop.deliveries(envelope)]
            stories.setdefault(f"duplicate {envelope['detail-type']}", list(chain(*again)))
        order_id = json.loads(approved[0].response["body"])["orderId"]
        stories["cancelled too late"] = shop.follow("orderService", _cancellation(order_id), may_fail=True)
        stories["GET order"] = shop.follow("orderService", request("GET /orders/{orderId}", orderId=order_id))
        stories["GET timeline"] = timeline(shop, order_id)
        stories["reconciler, nothing due"] = shop.follow("reconciler", SCHEDULED)
        leave_due(shop, DUE)
        stories[f"reconciler, {DUE:,} due"] = [shop.invoke("reconciler", SCHEDULED)]
    stories |= on_the_order_feed()
    return {name: counts(story) for name, story in stories.items()}


NOBODY_WATCHES = "an event that nobody watches"
WATCHED = "an order that one page watches"
WAITING = "a page open for a minute, its order stays open"


def on_the_order_feed() -> dict[str, list[Invocation]]:
    """The additional cost of an order with a storefront: OrderFeed's invocations, and the page's requests."""
    with functions(WITH_STOREFRONT) as shop:
        [placed] = done = [shop.invoke("orderService", request("POST /orders", body=ORDER))]
        order_id = json.loads(placed.response["body"])["orderId"]
        states: list[page.State] = []
        fed: list[Invocation] = []
        opened: list[Invocation] = []
        notifying = []
        while deliveries := [each for event in published(_calls(done)) for each in shop.deliveries(event)]:
            notifying += [each for each in deliveries if each[0] == "notification"]
            done = [shop.invoke(*each) for each in deliveries if each[0] != "notification"]
            fed += [each for each in done if each.function == "orderFeed"]
            states.append(_state(shop, order_id))
            opened = opened or _open(shop, order_id)  # the page opens when the order's first event has come
        for each in notifying:
            shop.invoke(*each)
        states.append(_state(shop, order_id)._replace(event=None))
        left = shop.invoke("orderFeed", socket_request("$disconnect"))
        read, waited = (_read(shop, order_id, each) for each in (states, states[:1]))
    return {NOBODY_WATCHES: fed[:1], WATCHED: [*fed, *opened, *read, left], WAITING: [*opened, *waited, left]}


def _open(shop: Functions, order_id: str) -> list[Invocation]:
    """A page gets its ticket, and opens its WebSocket."""
    asked = shop.invoke("orderFeed", request("POST /orders/{orderId}/ticket", orderId=order_id))
    ticket = json.loads(asked.response["body"])["ticket"]
    return [asked, shop.invoke("orderFeed", socket_request("$connect", ticket=ticket))]


def _state(shop: Functions, order_id: str) -> page.State:
    order, trail = (json.loads(each.response["body"]) for each in _reads(shop, order_id, 1, 1))
    return page.State(order, trail["events"], trail["events"][-1])


def _read(shop: Functions, order_id: str, states: Sequence[page.State]) -> list[Invocation]:
    """The reads of a page that is open for a minute, while its order goes through these states."""
    asked = page.watch([states[0]._replace(event=None), *states[1:]], milliseconds=page.MINUTE_MS)
    return _reads(shop, order_id, asked.orders, asked.timelines)


def _reads(shop: Functions, order_id: str, orders: int, timelines: int) -> list[Invocation]:
    read_order = request("GET /orders/{orderId}", orderId=order_id)
    return [
        *(shop.invoke("orderService", read_order) for _ in range(orders)),
        *chain(*(timeline(shop, order_id) for _ in range(timelines))),
    ]


def cancelled(shop: Functions, *, is_charged: bool) -> list[Invocation]:
    """An order whose cancellation overtakes its first event, or the event of its charge."""
    story = [shop.invoke("orderService", request("POST /orders", body=ORDER, key=f"cancelled {is_charged}"))]
    late = [delivery for event in published(story[0].calls) for delivery in shop.deliveries(event)]
    if is_charged:
        story += [shop.invoke(*delivery) for delivery in late]
        late = [delivery for event in published(_calls(story[1:])) for delivery in shop.deliveries(event)]
    order_id = json.loads(story[0].response["body"])["orderId"]
    story += shop.follow("orderService", _cancellation(order_id))
    return [*story, *chain(*(shop.follow(*delivery) for delivery in late))]


def leave_due(shop: Functions, number: int) -> None:
    """Store this many orders that are due: copies of one whose event nobody consumed."""
    placed = shop.invoke("orderService", request("POST /orders", body=ORDER))
    [item] = [call.request["Item"] for call in placed.calls if call.action == "dynamodb:PutItem"]
    for each in range(number):
        own = {"orderId": str(uuid4()), "openShard": each % YOUNG_SHARDS, "dueAt": _LONG_AGO}
        shop.stub.tables["Orders"].put({**item, **to_item(own)}, _NEW, Bound({}, {}), return_old=False)


def _cancellation(order_id: str) -> Any:
    return request("POST /orders/{orderId}/cancellation", orderId=order_id)


def timeline(shop: Functions, order_id: str) -> list[Invocation]:
    return shop.follow("orderService", request("GET /orders/{orderId}/events", orderId=order_id))


def counts(story: Sequence[Invocation]) -> Counts:
    """The sums over a story's invocations. The payment provider's calls are counted apart."""
    every = _calls(story)
    calls = [call for call in every if not call.is_provider_s]
    usage = units.total(call.usage for call in calls)
    providers = units.total(call.usage for call in every if call.is_provider_s)
    events = list(published(calls))
    to_topic = sum("notification" in flow.consumers()[event["detail-type"]] for event in events)
    sent = Counter(call.action for call in calls)
    lines = [line for each in story for line in each.log.splitlines()]
    bodies = [each.response["body"] for each in story if each.response and "body" in each.response]
    of_sockets = [each for each in story if each.response and each.response.keys() == {"statusCode"}]
    messages = [call.message for call in calls if call.message]
    return {
        "calls": dict(
            Counter(f"{each.function} {call.action}" for each in story for call in each.calls if not call.is_provider_s)
        ),
        "provider's calls": len(every) - len(calls),
        "provider's write units": providers.write_units,
        "provider's stored bytes": providers.stored_bytes,
        "read units": usage.read_units,
        "write units": usage.write_units,
        "index write units": usage.index_write_units,
        "events": dict(Counter(event["detail-type"] for event in events)),
        "event bytes": sum(len(json.dumps(event, separators=(",", ":"))) for event in events),
        "sns publications": to_topic,
        "sqs requests": 3 * to_topic,  # SNS sends, Lambda receives and deletes
        "e-mails": sent["ses:SendEmail"],
        "text messages": sent["sns:Publish"],
        "largest item": _largest_items(calls),
        "stored bytes": usage.stored_bytes,
        "stored index bytes": usage.stored_index_bytes,
        "requests": len(bodies),
        "websocket messages": len(of_sockets) + sum(ceil(len(each) / MESSAGE_BYTES) for each in messages),
        "websocket bytes": sum(map(len, messages)),
        "connection minutes": len(of_sockets) // 2,  # no page here is open for longer
        "response bytes": sum(len(body.encode()) for body in bodies),
        "invocations": dict(Counter(each.function for each in story)),
        "log lines": len(lines),
        "log bytes": sum(len(line.encode()) + LOG_EVENT_BYTES for line in lines),
    }


def _calls(story: Iterable[Invocation]) -> list[Call]:
    return [call for each in story for call in each.calls]


def _largest_items(calls: Iterable[Call]) -> dict[str, int]:
    """By table, the size of the largest item written, in bytes."""
    largest: dict[str, int] = {}
    for call in calls:
        if call.action in {"dynamodb:PutItem", "dynamodb:UpdateItem"} and call.status == 200:
            item = call.request.get("Item") or call.response["Attributes"]
            table = call.request["TableName"]
            largest[table] = max(largest.get(table, 0), units.size(item))
    return largest
