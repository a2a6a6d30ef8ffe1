"""Tokens, failures and the idempotency key, over real HTTP. Odd requests: tests/e2e/test_odd_requests.py."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.e2e.cloud import Cloud
from tests.e2e.shopper import Shopper, an_order

ONE_ORDER = "/orders/00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/orders"), ("GET", "/orders"), ("GET", ONE_ORDER), ("GET", f"{ONE_ORDER}/events")]
)
def test_who_is_not_signed_in_gets_401_and_an_access_token_403(
    cloud: Cloud, anna: Shopper, method: str, path: str
) -> None:
    def status(token: str | None) -> int:
        body = an_order() if method == "POST" else None
        return cloud.api(token).request(method, path, json=body).status_code

    good = anna.tokens["IdToken"]
    head, claims, signature = good.split(".")
    assert status(None) == 401
    assert status("nonsense") == 401
    assert status(f"{head}.{claims}.{'A' * len(signature)}") == 401
    assert status(f"{head}.{claims[:-8]}.{signature}") == 401
    assert status(anna.tokens["AccessToken"]) == 403
    assert status(good) in (200, 201, 404)


def test_an_unknown_route_is_the_gateway_s_own_404(anna: Shopper) -> None:
    response = anna.http.get("/nothing")
    assert response.status_code == 404
    assert response.json().keys() == {"message"}


def test_what_the_function_can_not_do_is_500_and_shows_nothing_of_the_inside(cloud: Cloud, anna: Shopper) -> None:
    with cloud.environment("orderService", ORDERS_TABLE_NAME="no-such-table"):
        response = anna.http.get("/orders")
    assert response.status_code == 500
    assert response.json() == {
        "type": "urn:order-processing:problem:internal",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "something went wrong on our side; try again later",
    }


# --- the idempotency key ----------------------------------------------------------------------------------------------


def test_the_same_key_and_body_are_the_same_order_and_no_second_event(anna: Shopper) -> None:
    # given
    key = str(uuid4())
    first = anna.place(key=key)
    assert first.status_code == 201
    anna.ended(first.json()["orderId"])

    # when
    again = anna.place(key=key)

    # then
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.headers["location"] == first.headers["location"]
    assert again.json()["status"] == "FULFILLED"
    trail = anna.whole_trail(first.json()["orderId"])
    assert [entry["eventType"] for entry in trail].count("OrderPlacedEvent") == 1


def test_the_same_key_with_another_body_is_422(anna: Shopper) -> None:
    key = str(uuid4())
    assert anna.place(key=key).status_code == 201
    refused = anna.place(key=key, paymentMethod="tok_declined")
    assert (refused.status_code, refused.json()["type"]) == (
        422,
        "urn:order-processing:problem:idempotency-key-reused",
    )


def test_another_customer_s_key_is_another_order(anna: Shopper, bela: Shopper) -> None:
    key = str(uuid4())
    responses = [anna.place(key=key), bela.place(key=key)]
    assert [response.status_code for response in responses] == [201, 201]
    assert len({response.json()["orderId"] for response in responses}) == 2


def test_without_a_key_every_call_is_a_new_order(anna: Shopper) -> None:
    assert anna.place().json()["orderId"] != anna.place().json()["orderId"]


def test_twenty_at_once_give_one_201_and_nineteen_200(anna: Shopper) -> None:
    # given
    key = str(uuid4())

    # when
    with ThreadPoolExecutor(20) as pool:
        responses = list(pool.map(lambda _: anna.place(key=key), range(20)))

    # then
    assert sorted(response.status_code for response in responses) == [200] * 19 + [201]
    [order_id] = {response.json()["orderId"] for response in responses}
    anna.ended(order_id)
    assert [entry["eventType"] for entry in anna.whole_trail(order_id)].count("OrderPlacedEvent") == 1
    assert len(anna.inbox_of(order_id)) == 1
