"""The HTTP API: its routes, its callers and its failures. Odd requests have a table: tests/odd_requests.py."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest

from handlers.responses import TITLES
from orders import clock
from orders.aws.backoff import ATTEMPTS
from orders.catalogue import PRODUCTS
from tests.conftest import Lines
from tests.shop import ANNA, BELA, ApiResponse, Shop, an_order


def _problem(response: ApiResponse, status: int) -> Any:
    """The body of an error as RFC 9457 and the contract have it."""
    assert response.status == response.body["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.body["title"] == TITLES[status]
    assert response.body["type"]
    assert response.body["detail"]
    assert ("errors" in response.body) <= (status == 422)
    return response.body


# --- what works -------------------------------------------------------------------------------------------------------


def test_everybody_may_see_the_products(shop: Shop) -> None:
    response = shop.call("GET", "/products", by=None)
    assert (response.status, response.headers["content-type"]) == (200, "application/json")
    assert response.body["products"] == [
        {"sku": each.sku, "name": each.name, "unitPrice": each.unit_price, "currency": "EUR"}
        for each in PRODUCTS.values()
    ]


def test_the_response_to_a_new_order_is_the_order_and_its_location(shop: Shop) -> None:
    # when
    items = [{"sku": "COFFEE-1KG", "quantity": 3}, {"sku": "MUG", "quantity": 1}]
    response = shop.place(items=items, phone="+4915112345678")

    # then
    order = response.body
    assert (response.status, response.headers["content-type"]) == (201, "application/json")
    assert response.headers["location"] == f"/orders/{order['orderId']}"
    assert "idempotency-replayed" not in response.headers
    [entry] = order.pop("statusHistory")
    assert entry == {"status": "PLACED", "at": order["placedAt"], "eventId": entry["eventId"]}
    assert clock.is_timestamp(order.pop("placedAt"))
    assert order == {
        "orderId": order["orderId"],
        "status": "PLACED",
        "items": [
            {"sku": "COFFEE-1KG", "name": "Coffee beans, 1 kg", "quantity": 3, "unitPrice": 1890},
            {"sku": "MUG", "name": "Stoneware mug", "quantity": 1, "unitPrice": 1400},
        ],
        "totalAmount": 3 * 1890 + 1400,
        "currency": "EUR",
        "paymentMethod": "tok_visa",
    }


def test_the_location_leads_to_the_order(shop: Shop) -> None:
    placed = shop.place()
    shown = shop.call("GET", placed.headers["location"])
    assert (shown.status, shown.body) == (200, placed.body)


def test_an_ended_order_shows_payment_parcel_and_notification_and_no_address(shop: Shop) -> None:
    # given
    order_id = shop.place(phone="+4915112345678").body["orderId"]
    shop.run()

    # when
    order = shop.order(order_id)

    # then
    assert order["payment"].keys() == {"paymentId", "status"}
    assert order["fulfillment"].keys() == {"trackingId", "carrier"}
    assert order["notification"].keys() == {"channel", "messageId", "at"}
    assert [change.keys() for change in order["statusHistory"]] == [{"status", "at", "eventId"}] * 3
    public = {"orderId", "status", "items", "totalAmount", "currency", "placedAt", "paymentMethod"}
    assert order.keys() == public | {"payment", "fulfillment", "notification", "statusHistory"}
    assert "@" not in json.dumps(order)
    assert "+49" not in json.dumps(order)


def test_the_body_may_come_in_base64_and_with_a_charset(shop: Shop) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert shop.call("POST", "/orders", an_order(), headers=headers, base64=True).status == 201


def test_fifty_lines_and_the_largest_quantity_are_taken(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    mug = PRODUCTS["MUG"]
    for n in range(50):
        monkeypatch.setitem(PRODUCTS, f"MUG-{n}", mug.model_copy(update={"sku": f"MUG-{n}"}))
    items = [{"sku": f"MUG-{n}", "quantity": 1000} for n in range(50)]
    response = shop.place(items=items)
    assert (response.status, response.body["totalAmount"]) == (201, 50 * 1000 * 1400)
    monkeypatch.setitem(PRODUCTS, "MUG-50", mug)
    assert shop.place(items=[*items, {"sku": "MUG-50", "quantity": 1}]).status == 422


def test_an_order_without_events_has_an_empty_trail(shop: Shop) -> None:
    order_id, _ = shop.placed()
    assert shop.trail(order_id) == []


# --- 403 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token_use", ["access", "", "ID"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/orders"),
        ("GET", "/orders"),
        ("GET", "/orders/00000000-0000-4000-8000-000000000000"),
        ("GET", "/orders/00000000-0000-4000-8000-000000000000/events"),
    ],
)
def test_a_token_that_is_not_an_id_token_is_403(shop: Shop, method: str, path: str, token_use: str) -> None:
    response = shop.call(method, path, an_order(), by=ANNA._replace(token_use=token_use))
    assert "ID token" in _problem(response, 403)["detail"]
    assert shop.wire.calls == []


@pytest.mark.parametrize("claims", [{"email_verified": "false"}, {"email_verified": ""}, {"email": ""}], ids=str)
def test_an_e_mail_address_that_is_not_verified_is_403_for_a_new_order_alone(
    shop: Shop, claims: dict[str, str]
) -> None:
    caller = ANNA._replace(**claims)
    assert "verify your e-mail" in _problem(shop.place(by=caller), 403)["detail"]
    assert shop.wire.calls == []
    assert shop.orders({}, by=caller).status == 200


# --- 404 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", ["", "/events"])
def test_an_unknown_order_and_somebody_else_s_are_the_same_404(shop: Shop, tail: str) -> None:
    # given
    order_id = shop.place(by=BELA).body["orderId"]
    shop.run()

    # when
    others, unknown = (shop.call("GET", f"/orders/{each}{tail}") for each in (order_id, uuid4()))

    # then
    _problem(others, 404)
    assert others == unknown


# --- 422 --------------------------------------------------------------------------------------------------------------


def test_every_fault_of_form_is_reported_at_once(shop: Shop) -> None:
    problem = shop.place(items=[{"sku": 1, "quantity": 0}], paymentMethod="gold", phone="1").body
    assert [error["loc"] for error in problem["errors"]] == [
        ["items", 0, "sku"],
        ["items", 0, "quantity"],
        ["paymentMethod"],
        ["phone"],
    ]


def test_every_product_that_is_not_sold_is_reported_at_once(shop: Shop, log_lines: Lines) -> None:
    lines = [{"sku": sku, "quantity": 1} for sku in ("TEAPOT", "MUG", "mug")]
    problem = _problem(shop.place(items=lines), 422)
    assert (problem["type"], problem["detail"]) == (
        "urn:order-processing:problem:validation-failed",
        "not valid: items.0.sku, items.2.sku",
    )
    message = "there is no such product; GET /products lists them"
    assert problem["errors"] == [{"loc": ["items", n, "sku"], "msg": message} for n in (0, 2)]
    assert "TEAPOT" not in json.dumps(log_lines())


@pytest.mark.parametrize(
    "email",
    [
        "jürgen@example.com",
        "anna@example@example.com",
        "anna,bela@example.com",
        '"anna bela"@example.com',
        "anna@example.com\r\nBcc: bela@example.com",
        "anna..b@example.com",
        f"{'a' * 65}@example.com",
        "anna@-example.com",
        "anna@exa_mple.com",
        "anna@[127.0.0.1]",
        "anna@b\u00fccher..example",
        "anna@bücher, bela@example.com",
        "anna@☕.example",
        f"anna@{'ü' * 64}.example",
        "anna",
        "@",
    ],
    ids=repr,
)
def test_an_address_that_ses_can_not_take_is_422_before_the_body_is_read(
    shop: Shop, log_lines: Lines, email: str
) -> None:
    problem = _problem(shop.call("POST", "/orders", "{", by=ANNA._replace(email=email)), 422)
    assert problem["type"] == "urn:order-processing:problem:undeliverable-email"
    assert "errors" not in problem
    assert email not in f"{problem['detail']}{json.dumps(log_lines(), ensure_ascii=False)}" or email == "@"
    assert shop.wire.calls == []
    assert shop.orders({}, by=ANNA._replace(email=email)).status == 200, "reading needs no message"


def test_an_unverified_address_is_403_whether_ses_could_take_it_or_not(shop: Shop) -> None:
    _problem(shop.place(by=ANNA._replace(email="jürgen@example.com", email_verified="false")), 403)


@pytest.mark.parametrize(
    "email",
    [f"{'a' * 64}@example.com", "a.b+c_d'e@sub-1.example.com", "anna@bücher.example", "anna@xn--bcher-kva.example"],
)
def test_any_other_address_is_taken_and_stored_as_the_token_has_it(shop: Shop, email: str) -> None:
    placed = shop.place(by=ANNA._replace(email=email))
    assert placed.status == 201
    assert shop.item(placed.body["orderId"])["email"] == email


# --- 500 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("POST", "/orders", "dynamodb:PutItem"),
        ("GET", "/orders", "dynamodb:Query"),
        ("GET", "/orders/00000000-0000-4000-8000-000000000000", "dynamodb:GetItem"),
    ],
)
def test_what_nobody_expected_is_500_and_shows_nothing_of_the_inside(
    shop: Shop, log_lines: Lines, method: str, path: str, action: str
) -> None:
    # given
    shop.wire.fail(action, "SecretInternalFault", status=500)

    # when
    response = shop.call(method, path, an_order())

    # then
    assert _problem(response, 500)["type"] == "urn:order-processing:problem:internal"
    assert not [word for word in ("Secret", "dynamo", "Traceback", "Error:") if word in json.dumps(response.body)]
    [line] = log_lines()
    assert line["level"] == "ERROR"
    assert "SecretInternalFault" in line["message"]
    assert "Traceback" in line["exception"]


def test_each_response_forbids_caching_and_guessing_its_type(shop: Shop) -> None:
    for response in (shop.place(), shop.place(phone="1"), shop.call("GET", "/products", by=None)):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"


# --- publishing fails -------------------------------------------------------------------------------------------------

REFUSED = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}]}


def test_an_entry_that_the_bus_refused_is_put_again(shop: Shop) -> None:
    # given
    shop.wire.answer("events:PutEvents", REFUSED, times=2)

    # when
    response = shop.place()

    # then
    assert response.status == 201
    assert len(shop.wire.of("events:PutEvents")) == 3
    first, *_, last = (call.params["Entries"] for call in shop.wire.of("events:PutEvents"))
    assert first == last
    assert len(shop.published) == 1


@pytest.mark.parametrize("fault", ["the entry", "the call"])
def test_an_order_whose_event_is_not_taken_is_kept_and_the_reconciler_publishes_it(
    shop: Shop, log_lines: Lines, let_pass: Any, fault: str
) -> None:
    # given
    if fault == "the entry":
        shop.wire.answer("events:PutEvents", REFUSED, times=ATTEMPTS)
    else:
        shop.wire.fail("events:PutEvents", "InternalFailure", status=500)

    # when
    response = shop.place()

    # then
    assert response.status == 201
    assert shop.published == []
    assert "the reconciler will publish it" in log_lines()[-1]["message"]
    assert log_lines()[-1]["orderId"] == response.body["orderId"]

    # and when
    let_pass(seconds=61)
    shop.reconcile()
    shop.run()

    # then
    assert shop.order(response.body["orderId"])["status"] == "FULFILLED"


def test_ids_are_uuids_in_the_36_character_form(shop: Shop) -> None:
    order_id = shop.place(key="a key").body["orderId"]
    shop.run()
    order = shop.order(order_id)
    ids = [order_id, order["payment"]["paymentId"], *(change["eventId"] for change in order["statusHistory"])]
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each) for each in ids)
