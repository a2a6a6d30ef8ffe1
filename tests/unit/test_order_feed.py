"""The order feed: who may watch an order, and what the page gets to see of it."""

from collections.abc import Callable

import pytest

from orders.aws.feed import MOST_CONNECTIONS
from orders.errors import MalformedEvent
from orders.feed import OPENING_SECONDS, TICKET_SECONDS
from tests.conftest import Lines
from tests.shop import BELA, FEED, Shop, changed

LetPass = Callable[..., None]
PAGE = "https://shop.example.com"


def a_watched_order(shop: Shop, *pages: str) -> str:
    """Its id; its OrderPlacedEvent waits on the bus."""
    order_id = str(shop.place().body["orderId"])
    for page in pages or ("page",):
        assert shop.connect(shop.ticket(order_id).body["ticket"], page) == 200
    return order_id


# --- tickets ----------------------------------------------------------------------------------------------------------


def test_a_ticket_opens_one_connection_for_half_a_minute_and_its_url_carries_it(shop: Shop, let_pass: LetPass) -> None:
    let_pass(seconds=0)
    order = shop.place().body
    response = shop.ticket(order["orderId"])

    assert response.status == 201
    assert response.body["url"] == (
        f"wss://sockets.execute-api.us-east-1.amazonaws.com/local?ticket={response.body['ticket']}"
    )
    assert response.body["expiresAt"] > order["placedAt"]
    assert shop.connect(response.body["ticket"], "page") == 200
    assert shop.watching() == {"page"}


def test_a_ticket_that_was_used_opens_nothing_more(shop: Shop) -> None:
    ticket = shop.ticket(shop.place().body["orderId"]).body["ticket"]
    shop.connect(ticket, "page")

    assert shop.connect(ticket, "thief") == 403
    assert shop.watching() == {"page"}


def test_a_ticket_that_has_expired_opens_nothing_though_dynamodb_still_has_it(shop: Shop, let_pass: LetPass) -> None:
    ticket = shop.ticket(shop.place().body["orderId"]).body["ticket"]

    let_pass(seconds=TICKET_SECONDS)

    assert shop.connect(ticket, "late") == 403
    assert shop.watching() == set()


def test_a_ticket_is_for_the_page_that_asked_for_it(shop: Shop) -> None:
    order_id = shop.place().body["orderId"]

    for other in ("https://evil.example.com", None):
        assert shop.connect(shop.ticket(order_id, origin=PAGE).body["ticket"], "thief", origin=other) == 403
    assert shop.connect(shop.ticket(order_id, origin=PAGE).body["ticket"], "page", origin=PAGE) == 200


@pytest.mark.parametrize("ticket", [None, "", "guessed", "x" * 4096])
def test_what_is_no_ticket_opens_nothing(shop: Shop, ticket: str | None) -> None:
    assert shop.connect(ticket, "thief") == 403


def test_the_id_of_a_connection_is_no_ticket(shop: Shop) -> None:
    a_watched_order(shop)

    assert shop.connect("page", "thief") == 403
    assert shop.watching() == {"page"}


def test_only_the_hash_of_a_ticket_is_stored_and_nothing_of_it_is_logged(shop: Shop, log_lines: Lines) -> None:
    ticket = shop.ticket(shop.place().body["orderId"]).body["ticket"]
    stored = shop.wire.client("dynamodb").scan(TableName=FEED)["Items"]
    shop.connect("wrong", "thief")

    assert len(stored) == 1
    assert ticket not in str(stored)
    assert ticket not in str(log_lines())
    assert "wrong" not in str(log_lines())


def test_somebody_else_gets_no_ticket_for_an_order(shop: Shop) -> None:
    order_id = shop.place().body["orderId"]

    assert shop.ticket(order_id, by=BELA).status == 404
    assert shop.ticket("6c3f0d7c-9d4f-4a2e-8d07-0a4f6f3c1e55").status == 404
    assert shop.wire.client("dynamodb").scan(TableName=FEED)["Items"] == []


# --- messages ---------------------------------------------------------------------------------------------------------


def test_a_page_gets_each_event_of_its_order_as_the_audit_trail_shows_it(shop: Shop) -> None:
    order_id = a_watched_order(shop)
    shop.run()

    assert shop.sent_to("page") == shop.trail(order_id)
    assert len(shop.sent_to("page")) == 3


def test_a_page_gets_no_event_of_another_order(shop: Shop) -> None:
    a_watched_order(shop)
    shop.drain()
    shop.place()
    shop.run()

    assert shop.sent_to("page") == []


def test_every_page_of_an_order_gets_its_events(shop: Shop) -> None:
    a_watched_order(shop, "desktop", "phone")
    shop.run()

    assert shop.sent_to("desktop") == shop.sent_to("phone") != []


def test_an_order_with_too_many_pages_is_sent_to_the_newest(shop: Shop, let_pass: LetPass) -> None:
    order_id = a_watched_order(shop, "oldest")
    for number in range(MOST_CONNECTIONS):
        let_pass(seconds=1)
        shop.connect(shop.ticket(order_id).body["ticket"], f"page {number}")
    shop.run()

    assert shop.sent_to("oldest") == []
    assert all(shop.sent_to(f"page {number}") for number in range(MOST_CONNECTIONS))


def test_a_page_that_has_left_gets_nothing_more(shop: Shop) -> None:
    a_watched_order(shop)
    shop.disconnect("page")
    shop.disconnect("page")
    shop.run()

    assert shop.watching() == set()
    assert shop.sent_to("page") == []


def test_a_connection_that_is_gone_is_forgotten_and_the_others_hear_of_the_event(shop: Shop, let_pass: LetPass) -> None:
    let_pass(seconds=0)
    order_id = a_watched_order(shop, "other")
    let_pass(seconds=1)
    shop.connect(shop.ticket(order_id).body["ticket"], "gone")  # the newest is sent to first
    let_pass(seconds=OPENING_SECONDS + 1)
    shop.wire.fail("execute-api:PostToConnection", "GoneException", status=410)
    shop.run()

    assert shop.watching() == {"other"}
    assert len(shop.sent_to("other")) == 3


def test_a_connection_that_is_not_open_yet_is_kept(shop: Shop, let_pass: LetPass) -> None:
    let_pass(seconds=0)
    a_watched_order(shop)
    shop.wire.fail("execute-api:PostToConnection", "GoneException", status=410)
    shop.run()

    assert shop.watching() == {"page"}


def test_an_event_that_can_t_be_sent_is_retried_by_lambda(shop: Shop) -> None:
    a_watched_order(shop)
    [placed] = shop.drain()
    shop.wire.fail("execute-api:PostToConnection", "LimitExceededException", status=429)

    with pytest.raises(Exception, match="LimitExceeded"):
        shop.deliver("orderFeed", placed)
    shop.deliver("orderFeed", placed)
    assert shop.sent_to("page")[-1]["eventId"] == placed["id"]


def test_an_event_without_an_order_is_sent_to_nobody(shop: Shop) -> None:
    a_watched_order(shop)
    [placed] = shop.drain()

    shop.deliver("orderFeed", changed(placed, "detail.data.orderId", ...))
    assert shop.sent_to("page") == []
    with pytest.raises(MalformedEvent):
        shop.deliver("orderFeed", changed(placed, "id", ...))


@pytest.mark.parametrize("order_id", ["", "\ud800", "x" * 3000], ids=["empty", "lone surrogate", "long"])
def test_an_event_whose_order_can_t_be_one_is_sent_to_nobody(shop: Shop, order_id: str) -> None:
    a_watched_order(shop)
    [placed] = shop.drain()
    shop.wire.calls.clear()

    shop.deliver("orderFeed", changed(placed, "detail.data.orderId", order_id))

    assert not shop.wire.of("dynamodb:Query")


@pytest.mark.parametrize("name", ["id", "time", "source", "detail-type"])
def test_an_event_that_no_json_can_have_is_refused_with_the_field(shop: Shop, name: str) -> None:
    a_watched_order(shop)
    [placed] = shop.drain()

    with pytest.raises(MalformedEvent, match=f"{name} is missing or not text"):
        shop.deliver("orderFeed", {**placed, name: "\ud800"})
