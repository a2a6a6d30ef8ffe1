"""Whatever comes in: no input ends a handler in any other way than an answer or one of the errors in orders/errors.py.

Hypothesis makes the inputs: anything that JSON can say, and true events, requests and orders with something wrong in
them. They are the same in every run, and one that fails is printed, with the line that repeats it. `.ci/long` sets
EXAMPLES, the number of inputs of each test, to many more than `npm test` tries.
"""

import json
import os
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import HealthCheck, Phase, configuration, given, reject, settings
from hypothesis import strategies as st

from handlers.order_service import ROUTES
from orders import clock
from orders.errors import MalformedEvent, OrderProcessingError
from orders.events import EVENTS, decode
from tests.shop import ANNA, Envelope, NotTold, Shop, an_order, envelope
from tools import topology
from tools.checkout import ROOT
from verification import matching

configuration.set_hypothesis_home_dir(ROOT / ".local" / "hypothesis")
Test = Callable[..., None]


def with_anything(test: Test) -> Test:
    """Run the test with many values for its argument `data`, from which it draws what it needs."""
    return settings(
        max_examples=int(os.environ.get("EXAMPLES", "40")),
        derandomize=True,
        database=None,
        deadline=None,  # moto takes its time for the first call
        print_blob=True,
        phases=[Phase.generate],  # to make what fails smaller takes minutes; the inputs are small as they are
        # One shop for all the examples of a test: an empty one for each would take most of the time, and what
        # the examples before it left does no harm, since the claims are about every state.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )(given(data=st.data())(test))


# --- anything ---------------------------------------------------------------------------------------------------------

FIRST, LAST = "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"
ODD_TEXTS = ["", " ", "\0", "\ud800", "\uffff", "é" * 1025, "x" * 3000, "MUG", "EUR", "PAID", "tok_declined", LAST]
ODD_NUMBERS = [0, -1, 2**31, 2**53, 2**63, 10**38, 10**40, 10**126, -(10**400), 1e308, 5e-324, 1e40, 0.1, -0.0]

unicode = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
texts = st.sampled_from(ODD_TEXTS) | st.text(st.characters(), max_size=40) | st.uuids().map(str)
numbers = st.sampled_from(ODD_NUMBERS) | st.integers() | st.floats()


@st.composite
def nested(draw: st.DrawFn) -> Any:
    """Lists or maps, one in another, down to a depth that neither DynamoDB nor Python's recursion is made for."""
    value: Any = draw(numbers)
    name = draw(st.none() | st.text(max_size=20))
    for _ in range(draw(st.sampled_from([20, 33, 100, 400, 700]))):
        value = [value] if name is None else {name: value}
    return value


shallow = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
anything = shallow | nested()
objects = st.dictionaries(texts, anything, max_size=5)


@st.composite
def disturbed(draw: st.DrawFn, document: Any, by: st.SearchStrategy[Any] = anything) -> Any:
    """The document with up to three things replaced, taken away or added, anywhere in it."""
    copy = deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(copy))
        if not places:
            break
        container, name = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.sampled_from(["its like", "its like", "its like", "replace", "take away", "add"])):
            case "its like":
                container[name] = draw(_like(container[name], by))
            case "take away":
                del container[name]
            case "add" if isinstance(container, dict):
                container[draw(texts)] = draw(by)
            case "add":
                container.append(draw(by))
            case _:
                container[name] = draw(by)
    return copy


def _odd(value: Any) -> list[Any]:
    """Odd values of the same kind, which come past the first look at them."""
    if isinstance(value, str):
        return [FIRST, LAST] if clock.is_timestamp(value) else ODD_TEXTS
    return ODD_NUMBERS if isinstance(value, int) else []


def _like(value: Any, otherwise: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    if odd := _odd(value):
        return st.sampled_from(odd) | (texts if isinstance(value, str) else numbers)
    return otherwise


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Each container in the document, with each name or index in it."""
    containers = [document]
    for container in containers:
        for name, member in container.items() if isinstance(container, dict) else enumerate(container):
            yield container, name
            if isinstance(member, dict | list):
                containers.append(member)


# --- events -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def events(shop: Shop) -> list[Envelope]:
    """True events of four orders: two have gone all the way, and two have only been paid for, or not."""
    for method in ("tok_visa", "tok_declined"):
        shop.place(paymentMethod=method, phone="+4915112345678")
    shop.run()
    for method in ("tok_visa", "tok_declined"):
        shop.place(paymentMethod=method)
        shop.deliver("paymentProcessing", shop.published[-1])
    return shop.published


@with_anything
def test_what_a_model_accepts_can_be_said_again_and_all_else_is_malformed(
    events: list[Envelope], data: st.DataObject
) -> None:
    event = data.draw(st.sampled_from(events).flatmap(disturbed) | objects)
    with suppress(MalformedEvent):
        read = decode(event)
        said_again = json.loads(read.model_dump_json(by_alias=True))
        assert decode({"detail-type": read.detail_type(), "detail": said_again}) == read


@with_anything
def test_an_event_ends_its_consumers_with_an_error_of_our_own_if_with_any(
    shop: Shop, events: list[Envelope], data: st.DataObject
) -> None:
    event = data.draw(st.sampled_from(events))
    came: Any = data.draw(
        disturbed(event) | disturbed(event["detail"]).map(lambda it: {**event, "detail": it}) | anything
    )
    shop.wire.calls.clear()
    for function in matching.consumers(event):
        if function != "notification":  # which never fails: see below
            with suppress(OrderProcessingError):
                shop.invoke(function, came)


def test_no_odd_value_in_any_field_ends_a_consumer_but_with_an_error_of_our_own(
    shop: Shop, events: list[Envelope]
) -> None:
    """Each field of each event in turn, since chance may pass over one."""
    for event in {event["detail-type"]: event for event in events}.values():
        for place, (container, name) in enumerate(_places(event["detail"])):
            for odd in _odd(container[name]):
                came = deepcopy(event)
                to_change, _ = list(_places(came["detail"]))[place]
                to_change[name] = odd
                for function in matching.consumers(event):
                    with suppress(OrderProcessingError, NotTold):
                        shop.deliver(function, came)


@with_anything
def test_every_event_that_eventbridge_can_deliver_is_kept_as_it_was(
    shop: Shop, events: list[Envelope], data: st.DataObject
) -> None:
    # given
    detail = data.draw(st.sampled_from([event["detail"] for event in events]).flatmap(disturbed) | objects)
    try:
        detail = json.loads(json.dumps(detail, allow_nan=False))
    except ValueError:
        reject()  # no JSON
    named = unicode.filter(bool)
    event = envelope(data.draw(st.sampled_from([*EVENTS]) | named), data.draw(named), detail)
    shop.wire.calls.clear()

    # when
    shop.invoke("auditLogger", event)

    # then
    [item] = [put.params["Item"] for put in shop.wire.of("dynamodb:PutItem") if put.answer]
    entry = {name: TypeDeserializer().deserialize(value) for name, value in item.items()}
    kept = entry["detail"]
    assert (_exactly(kept) if isinstance(kept, str) else kept) == _exactly(json.dumps(detail))
    assert [entry[name] for name in ("eventId", "eventType", "source")] == [
        event[name] for name in ("id", "detail-type", "source")
    ]


def _exactly(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


@with_anything
def test_no_batch_ends_the_notification_which_gives_back_some_of_its_messages_or_none(
    shop: Shop, events: list[Envelope], data: st.DataObject
) -> None:
    body = (st.sampled_from(events).flatmap(disturbed) | anything).map(json.dumps) | unicode
    messages = data.draw(st.dictionaries(st.uuids().map(str), body, max_size=10))  # as many as SQS puts into a batch
    shop.wire.calls.clear()
    assert messages.keys() >= set(shop.notify(messages))


# --- the API ----------------------------------------------------------------------------------------------------------


@st.composite
def requests(draw: st.DrawFn, order_ids: list[str]) -> dict[str, Any]:
    """What the gateway may hand on: a route of ours and a token that it has looked at, and else what a client likes."""
    route = draw(st.sampled_from([*ROUTES]))
    claims = st.dictionaries(st.sampled_from(["email", "email_verified", "token_use", "name"]), unicode, max_size=1)
    headers = st.dictionaries(st.sampled_from(["content-type", "idempotency-key"]) | unicode, unicode, max_size=2)
    request: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "headers": {"content-type": "application/json", **draw(headers)},
        "requestContext": {
            "requestId": f"request-{uuid4()}",
            "authorizer": {"jwt": {"claims": {**ANNA.claims(), **draw(claims)}, "scopes": None}},
        },
    }
    if "{orderId}" in route:
        request["pathParameters"] = {"orderId": draw(st.sampled_from(order_ids) | texts)}
    token = anything.map(lambda value: urlsafe_b64encode(json.dumps(value).encode()).decode())
    values = unicode | st.integers().map(str) | token
    query = draw(st.dictionaries(st.sampled_from(["limit", "nextToken"]) | unicode, values, max_size=2))
    if query:
        request["queryStringParameters"] = query
    order = disturbed(an_order(phone="+4915112345678"))
    body = draw(st.none() | order.map(json.dumps) | anything.map(json.dumps) | unicode | st.binary(max_size=200))
    if isinstance(body, bytes) or (body and draw(st.booleans())):
        raw = body if isinstance(body, bytes) else body.encode()
        request |= {"body": b64encode(raw).decode(), "isBase64Encoded": True}
    elif body is not None:
        request |= {"body": body, "isBase64Encoded": False}
    return request


@with_anything
def test_every_request_is_answered_in_json_and_none_with_an_error_of_the_server(
    shop: Shop, events: list[Envelope], data: st.DataObject
) -> None:
    request = data.draw(requests([event["detail"]["data"]["orderId"] for event in events]))
    shop.wire.calls.clear()

    answer = shop.invoke("orderService", request)

    assert 200 <= answer["statusCode"] < 500
    sent = json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()  # as Lambda does
    assert isinstance(json.loads(json.loads(sent)["body"]), dict)


# --- the table --------------------------------------------------------------------------------------------------------


KEYS = {
    attribute["AttributeName"]: {"S": str, "N": int}[attribute["AttributeType"]]
    for attribute in topology.of_type("AWS::DynamoDB::Table")["OrdersTable"]["AttributeDefinitions"]
}
"""The attributes of keys, of the table and its indices: DynamoDB takes nothing else there."""


def _names(document: Any) -> set[Any]:
    return {name for _, name in _places(document)}


@pytest.fixture
def stories(shop: Shop, events: list[Envelope]) -> list[tuple[Envelope, dict[str, Any]]]:
    """Each event, with its order, which is due."""
    orders = [shop.item(event["detail"]["data"]["orderId"]) for event in events]
    return [
        (event, {**order, "openShard": 3, "dueAt": "2026-01-31T09:30:00.123Z"})
        for event, order in zip(events, orders, strict=True)
    ]


@with_anything
def test_an_order_that_somebody_else_wrote_ends_no_handler_but_with_an_error_of_our_own(
    shop: Shop, stories: list[tuple[Envelope, dict[str, Any]]], data: st.DataObject
) -> None:
    """The API responds, with a 500 for the order that nobody can read and without it in the list; the reconciler passes
    on to the next.
    """
    # given
    event, order = data.draw(st.sampled_from(stories))
    written = data.draw(disturbed(order, by=shallow)) | {"orderId": order["orderId"]}
    function = data.draw(st.sampled_from([*matching.consumers(event), "reconciler", "orderService"]))
    keys = {name: value for name, value in written.items() if name in KEYS}
    if any(type(value) is not KEYS[name] or value == "" for name, value in keys.items()) or "" in _names(written):
        reject()  # which moto does not do, and stumbles over it later
    try:
        shop.store(written)
    except Exception:  # noqa: BLE001 # whatever it is, it is compared
        reject()  # the table does not take it
    shop.wire.calls.clear()

    # when, then
    try:
        if function == "orderService":
            assert shop.call("GET", "/orders").status == 200
            for path in (f"/orders/{order['orderId']}", f"/orders/{order['orderId']}/events"):
                assert shop.call("GET", path).status in (200, 404, 500)
        else:
            with suppress(OrderProcessingError, NotTold):
                shop.deliver(function, event)
    finally:
        shop.store(order)


@with_anything
def test_a_trail_is_shown_whatever_somebody_else_wrote_into_the_audit_log(
    shop: Shop, stories: list[tuple[Envelope, dict[str, Any]]], data: st.DataObject
) -> None:
    # given
    event, order = data.draw(st.sampled_from(stories))
    keys = {"eventId": str(uuid4()), "orderId": order["orderId"], "timestamp": order["placedAt"]}
    entry = {**envelope(event["detail-type"], event["source"], event["detail"]), "eventType": event["detail-type"]}
    odd = st.sampled_from([b"bytes", {b"bytes"}, {"one", "two"}, {1, 2}])
    written = data.draw(disturbed(entry, by=shallow | odd)) | keys
    if "" in _names(written):
        reject()
    try:
        shop.log(written)
    except Exception:  # noqa: BLE001 # whatever it is, it is compared
        reject()  # the table does not take it

    # when, then
    assert keys["eventId"] in [entry["eventId"] for entry in shop.trail(order["orderId"])]
