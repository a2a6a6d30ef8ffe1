"""Who sees which order through which route: every user with everyone's orders, and with what is no order at all.

A table for each question, read like the sentence "who asks for whose order gets …". 401 and the 404 of an unknown
route are the gateway's; every other answer is ours.
"""

import base64
import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, NamedTuple
from uuid import UUID

import httpx
import pytest

from tests.e2e.cloud import Cloud
from tests.e2e.shopper import Shopper, an_order
from tests.e2e.waiting import wait_for

User = Literal["Anna", "Bela", "nobody"]
USERS: tuple[User, ...] = ("Anna", "Bela", "nobody")
SOMEBODYS: tuple[User, ...] = ("Anna", "Bela")


class Doors(NamedTuple):
    """The API as each user reaches it, and an order of each customer, seen to its end."""

    http: Mapping[User, httpx.Client]
    orders: Mapping[User, Any]
    trails: Mapping[User, Any]
    shoppers: Mapping[User, Shopper]

    def id_of(self, whose: str) -> str:
        """The order's id: a user's, or a made-up one."""
        anna = str(self.orders["Anna"]["orderId"])
        return {
            "Anna's": anna,
            "Bela's": str(self.orders["Bela"]["orderId"]),
            "unknown": "00000000-0000-4000-8000-000000000000",
            "none": "",
            # no id, though close to one:
            "a word": "mine",
            "a number": "1",
            "a star": "*",
            "Anna's in capitals": anna.upper(),
            "Anna's without dashes": UUID(anna).hex,
            "Anna's in braces": f"{{{anna}}}",
            "Anna's as a URN": f"urn:uuid:{anna}",
            "Anna's and a NUL": f"{anna}%00",
            "Anna's and a blank": f"{anna}%20",
            "Anna's and a line": f"{anna}%0A",
            "Anna's and a parameter": f"{anna};v=1",
            "Anna's twice": f"{anna},{anna}",
            "upwards": "%2e%2e",
            "not UTF-8": "%ff",
            "a quote": "'%20OR%20'1'='1",
            "an object": '{"S":"1"}',
        }[whose]

    def said_of(self, *whose: User) -> set[str]:
        """Each word of these customers' orders: ids, times, status, articles, amount, parcel, address."""
        found = set()

        def look(value: Any) -> None:
            if isinstance(value, dict | list):
                for each in value.values() if isinstance(value, dict) else value:
                    look(each)
            elif len(str(value)) > 2:  # not the quantity
                found.add(str(value))

        for user in whose:
            look([self.orders[user], self.trails[user], self.shoppers[user].email])
        return found - {"None", "email"}  # the second is a channel, and a parameter that a test tries

    def said_only_of(self, user: User) -> set[str]:
        """Without what the other one's order has as well: the same article, for one."""
        [other] = set(SOMEBODYS) - {user}
        return self.said_of(user) - self.said_of(other)


@pytest.fixture(scope="module")
def doors(cloud: Cloud, anna: Shopper, bela: Shopper) -> Doors:
    shoppers: dict[User, Shopper] = {"Anna": anna, "Bela": bela}
    placed = {name: shopper.place().json()["orderId"] for name, shopper in shoppers.items()}
    orders = {name: shopper.ended(placed[name]) for name, shopper in shoppers.items()}
    trails = {
        name: wait_for("trail", partial(shopper.trail, placed[name]), lambda trail: len(trail) == 3)
        for name, shopper in shoppers.items()
    }
    return Doors({"Anna": anna.http, "Bela": bela.http, "nobody": cloud.api(None)}, orders, trails, shoppers)


# --- one order --------------------------------------------------------------------------------------------------------

ONE_ORDER: dict[str, tuple[int, int, int]] = {
    # whose       Anna Bela nobody
    "Anna's": (200, 404, 401),
    "Bela's": (404, 200, 401),
    "unknown": (404, 404, 401),
    "none": (404, 404, 404),  # the gateway has no such route
    **dict.fromkeys(
        [
            "a word",
            "a number",
            "a star",
            "Anna's in capitals",
            "Anna's without dashes",
            "Anna's in braces",
            "Anna's as a URN",
            "Anna's and a NUL",
            "Anna's and a blank",
            "Anna's and a line",
            "Anna's and a parameter",
            "Anna's twice",
            "upwards",
            "not UTF-8",
            "a quote",
            "an object",
        ],
        (404, 404, 401),
    ),
}
CELLS = [
    (user, route, whose, status)
    for whose, statuses in ONE_ORDER.items()
    for user, status in zip(USERS, statuses, strict=True)
    for route in ("GET /orders/{}", "GET /orders/{}/events", "POST /orders/{}/cancellation")
]


@pytest.mark.parametrize(
    ("user", "route", "whose", "status"), CELLS, ids=[f"{user}: {whose} {route}" for user, route, whose, _ in CELLS]
)
def test_who_asks_for_whose_order_gets_it_or_learns_nothing(
    doors: Doors, user: User, route: str, whose: str, status: int
) -> None:
    method, _, path = route.partition(" ")
    if status == 200 and method == "POST":
        status = 409  # hers, and too late: it has ended
    answer = doors.http[user].request(method, path.format(doors.id_of(whose)))

    assert answer.status_code == status, answer.text
    if status == 409:
        assert answer.json()["type"] == "urn:order-processing:problem:too-late"
    elif status == 200:
        assert doors.orders[user]["orderId"] in answer.text
        [other] = set(SOMEBODYS) - {user}
        assert told(answer, doors.said_only_of(other)) == set()
    else:
        assert told(answer, doors.said_of(*SOMEBODYS)) == set()


@pytest.mark.parametrize("route", ["GET /orders/{}", "GET /orders/{}/events", "POST /orders/{}/cancellation"])
@pytest.mark.parametrize("user", ["Anna", "Bela"])
def test_somebody_else_s_order_and_one_that_does_not_exist_look_the_same(doors: Doors, user: User, route: str) -> None:
    whose = "Bela's" if user == "Anna" else "Anna's"
    method, _, path = route.partition(" ")
    theirs, unknown, no_id = (
        doors.http[user].request(method, path.format(doors.id_of(x))) for x in (whose, "unknown", "a word")
    )
    assert theirs.content == unknown.content == no_id.content
    assert shown(theirs) == shown(unknown) == shown(no_id)


def told(answer: httpx.Response, words: set[str]) -> set[str]:
    """Those words that the answer has in its body or its headers."""
    everything = answer.text + str(shown(answer))
    return {word for word in words if word in everything}


def shown(answer: httpx.Response) -> dict[str, str]:
    """The headers, without those that differ from answer to answer."""
    return {name: value for name, value in answer.headers.items() if name not in ("date", "apigw-requestid")}


# --- the list ---------------------------------------------------------------------------------------------------------


def everything_of(http: httpx.Client, *, limit: int) -> list[str]:
    """The ids of all orders in the list, page by page."""
    ids, token = [], None
    while True:
        page = http.get("/orders", params={"limit": limit, **({"nextToken": token} if token else {})}).json()
        ids += [order["orderId"] for order in page["orders"]]
        if not (token := page["nextToken"]):
            return ids


def owner(cloud: Cloud, order_id: str) -> str:
    item = cloud.item(order_id)
    assert item
    return str(item["customerId"]["S"])


@pytest.mark.parametrize("user", SOMEBODYS)
def test_a_list_has_the_caller_s_own_orders_only(cloud: Cloud, doors: Doors, user: User) -> None:
    ids = everything_of(doors.http[user], limit=100)
    assert doors.orders[user]["orderId"] in ids
    assert {owner(cloud, order_id) for order_id in ids} == {owner(cloud, doors.orders[user]["orderId"])}


@pytest.mark.parametrize("limit", [1, 7])
def test_small_pages_have_the_caller_s_own_orders_only(doors: Doors, limit: int) -> None:
    placed = {doors.shoppers["Bela"].place().json()["orderId"] for _ in range(2)}
    ids = everything_of(doors.http["Bela"], limit=limit)
    assert placed <= set(ids)
    assert doors.orders["Anna"]["orderId"] not in ids
    assert len(ids) == len(set(ids))


def a_token(doors: Doors, user: User) -> str:
    """A `nextToken` that a user got."""
    doors.shoppers[user].place()  # so that there are two
    return str(doors.http[user].get("/orders", params={"limit": 1}).json()["nextToken"])


@pytest.mark.parametrize(("user", "status"), [("Anna", 200), ("Bela", 422), ("nobody", 401)])
def test_a_place_in_anna_s_list_is_a_place_in_nobody_else_s(doors: Doors, user: User, status: int) -> None:
    answer = doors.http[user].get("/orders", params={"nextToken": a_token(doors, "Anna")})
    assert answer.status_code == status
    if status != 200:
        assert told(answer, doors.said_of("Anna")) == set()


def test_a_place_in_anna_s_list_made_out_to_bela_shows_bela_s_orders_only(cloud: Cloud, doors: Doors) -> None:
    """Bela may know the form of the token, and an order's id and time of Anna's: it is still a place in Bela's list."""
    # given
    bela, order = owner(cloud, doors.orders["Bela"]["orderId"]), doors.orders["Anna"]
    forged = base64.urlsafe_b64encode(json.dumps([bela, order["placedAt"], order["orderId"]]).encode()).decode()

    # when
    answer = doors.http["Bela"].get("/orders", params={"nextToken": forged, "limit": 100})

    # then
    assert answer.status_code == 200
    assert {owner(cloud, each["orderId"]) for each in answer.json()["orders"]} <= {bela}
    assert told(answer, doors.said_only_of("Anna")) == set()


@pytest.mark.parametrize("name", ["customerId", "sub", "email", "orderId", "user"])
def test_a_list_can_not_be_asked_for_in_somebody_else_s_name(doors: Doors, cloud: Cloud, name: str) -> None:
    anna = owner(cloud, doors.orders["Anna"]["orderId"])
    answer = doors.http["Bela"].get("/orders", params={name: anna})
    assert answer.status_code == 422
    assert told(answer, doors.said_of("Anna")) == set()


# --- placing, and what has no owner -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("user", "status"), [("Anna", 201), ("Bela", 201), ("nobody", 401)])
def test_an_order_belongs_to_who_placed_it(cloud: Cloud, doors: Doors, user: User, status: int) -> None:
    answer = doors.http[user].post("/orders", json=an_order())
    assert answer.status_code == status
    if status == 201:
        assert owner(cloud, answer.json()["orderId"]) == owner(cloud, doors.orders[user]["orderId"])


@pytest.mark.parametrize("field", ["orderId", "customerId", "email", "status", "payment", "totalAmount", "unitPrice"])
def test_a_body_can_not_say_whose_order_it_is_nor_what_became_of_it(cloud: Cloud, doors: Doors, field: str) -> None:
    # given
    anna = doors.orders["Anna"]
    before = cloud.item(anna["orderId"])
    body = {**an_order(), field: anna.get(field, owner(cloud, anna["orderId"]))}

    # when
    answer = doors.http["Bela"].post("/orders", json=body)

    # then
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, [field])
    assert cloud.item(anna["orderId"]) == before


@pytest.mark.parametrize("user", USERS)
def test_the_products_are_for_everybody(doors: Doors, user: User) -> None:
    answer = doors.http[user].get("/products")
    assert answer.status_code == 200
    assert told(answer, doors.said_only_of("Anna") | doors.said_only_of("Bela")) == set()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("user", USERS)
def test_no_other_method_reaches_an_order(cloud: Cloud, doors: Doors, user: User, method: str) -> None:
    anna = doors.orders["Anna"]["orderId"]
    before = cloud.item(anna)
    for path in (f"/orders/{anna}", f"/orders/{anna}/events"):
        answer = doors.http[user].request(method, path, json=doors.orders["Bela"])
        assert (answer.status_code, answer.json().keys()) == (404, {"message"}), "the gateway has no such route"
    assert cloud.item(anna) == before


@pytest.mark.parametrize("header", ["x-http-method-override", "x-original-url", "x-rewrite-url", "x-user", "x-sub"])
def test_no_header_changes_who_asks_or_for_what(doors: Doors, header: str) -> None:
    anna = doors.orders["Anna"]["orderId"]
    for value in (f"/orders/{anna}", doors.shoppers["Anna"].email, "DELETE"):
        answer = doors.http["Bela"].get("/orders", params={"limit": 1}, headers={header: value})
        assert answer.status_code == 200
        assert told(answer, doors.said_only_of("Anna")) == set()
