"""Personal data stays on the order and in the e-mail: searched for everywhere else, after everything that can go wrong.

Each order is planted with markers: an e-mail address, a telephone number, a token, an idempotency key, a user agent,
and words in requests that are refused. It is then approved, declined, left by a gateway that is down, refused by SES,
given up by Notification. Each place must have the orders in it that it should, and no marker.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

from tests.e2e.cloud import STACK, Cloud
from tests.e2e.shopper import Shopper, an_order
from tests.e2e.waiting import wait_for
from tools import topology
from verification.tap import tap_of_bus, tap_of_topic


class Traces(NamedTuple):
    """What is left when all is over."""

    http: httpx.Client
    """The API as the customer reaches it."""
    markers: Mapping[str, str]
    orders: Mapping[str, str]
    """How an order ended → its id."""
    places: Mapping[str, str]
    """A place → all that is there, as one text."""


class Carla:
    """Carla, who can be told from everybody else."""

    def __init__(self, cloud: Cloud) -> None:
        self.shopper = Shopper(cloud)
        self.phone = f"+49{uuid4().int % 10**12:012d}"
        self._agent = f"agent-{uuid4().hex}"
        self._key = f"key-{uuid4().hex}"
        self._word = f"word-{uuid4().hex}"
        self._cloud = cloud
        self.shopper.http.headers["user-agent"] = self._agent

    @property
    def markers(self) -> dict[str, str]:
        _, claims, signature = self.shopper.tokens["IdToken"].split(".")
        return {
            "e-mail address": self.shopper.email.partition("@")[0],
            "telephone number": self.phone.removeprefix("+"),
            "token's claims": claims,
            "token's signature": signature,
            "access token": self.shopper.tokens["AccessToken"].rpartition(".")[2],
            "idempotency key": self._key,
            "user agent": self._agent,
            "word of a refused request": self._word,
        }

    def places(self, **changes: Any) -> str:
        """The id of a new order, with everything personal that an order can have."""
        answer = self.shopper.place(key=f"{self._key}-{uuid4()}", phone=self.phone, **changes)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["orderId"])

    def is_refused(self) -> None:
        """With her word in every part of a request that can be wrong."""
        http, word, personal = self.shopper.http, self._word, f"{self.shopper.email} {self.phone}"
        for body in (
            an_order(paymentMethod=word, phone=personal),
            an_order(phone=f"{self.phone}{word}"),
            an_order(items=[{"sku": word, "quantity": personal}]),
            an_order(items=[{"sku": "MUG", "quantity": 1, f"{word} {personal}": 1}]),
            an_order(**{word: personal, personal: word}),
            f"{word} {personal}",
        ):
            assert http.post("/orders", json=body).status_code == 422
        for content, status in ((f'{{"{word}": "{personal}"', 400), (f'"{word} {personal}"'.ljust(70_000), 413)):
            answer = http.post("/orders", content=content, headers={"content-type": "application/json"})
            assert answer.status_code == status
        assert http.post("/orders", content=f"{word} {personal}", headers={"content-type": word}).status_code == 415
        key = {b"idempotency-key": f"{word}{personal}é".encode()}
        assert http.post("/orders", json=an_order(), headers=key).status_code == 400
        for query in ({word: personal}, {"limit": word}, {"nextToken": word}, {"limit": self.phone}):
            assert http.get("/orders", params=query).status_code == 422
        for path in (f"/orders/{word}", f"/orders/{self.shopper.email}", f"/orders/{self.phone}/events"):
            assert http.get(path).status_code == 404
        assert self._cloud.api(self.shopper.tokens["AccessToken"]).get("/orders").status_code == 403


@contextmanager
def in_the_sandbox(cloud: Cloud) -> Iterator[None]:
    """SES refuses every e-mail for good, since nobody has verified the recipient, and names the address."""
    ses, account = cloud.client("sesv2"), {"MailType": "TRANSACTIONAL", "WebsiteURL": "https://example.com"}
    ses.put_account_details(**account, ProductionAccessEnabled=False)
    try:
        yield
    finally:
        ses.put_account_details(**account, ProductionAccessEnabled=True)


@contextmanager
def impatient(cloud: Cloud) -> Iterator[None]:
    """The notification queue gives a message up after one attempt, a second later."""
    sqs, url = cloud.client("sqs"), cloud.stack["NotificationQueueUrl"]
    names = ["VisibilityTimeout", "RedrivePolicy"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    once = {**json.loads(before["RedrivePolicy"]), "maxReceiveCount": 1}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(once)})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


def letters_in(cloud: Cloud, queue: str, order_id: str) -> list[Mapping[str, Any]]:
    return [message for message in cloud.waiting_in(cloud.stack[queue]) if order_id in message["Body"]]


@pytest.fixture(scope="module")
def traces(cloud: Cloud) -> Iterator[Traces]:
    began, carla = datetime.now(UTC) - timedelta(seconds=1), Carla(cloud)
    with (
        tap_of_bus(cloud.client, cloud.stack["EventBusName"]) as bus,
        tap_of_topic(cloud.client, cloud.stack["OrderNotificationTopicArn"]) as topic,
    ):
        orders = {"approved": carla.places(), "declined": carla.places(paymentMethod="tok_declined")}
        carla.is_refused()

        with cloud.environment("orderService", ORDERS_TABLE_NAME="no-such-table"):
            broken = carla.shopper.place(phone=carla.phone)
            assert broken.status_code == 500
        with cloud.environment("orderService", EVENT_BUS_NAME="no-such-bus"):
            orders["not published"] = carla.places()

        with cloud.environment("paymentProcessing", PAYMENT_GATEWAY="down"):
            orders["not charged"] = carla.places()
            orders["not readable"] = carla.places()
            item = cloud.item(orders["not readable"])
            assert item
            cloud.store({**item, "phone": {"L": [item["phone"]]}, "email": {"M": {"address": item["email"]}}})
            for how in ("not charged", "not readable"):
                wait_for("dead letter", partial(letters_in, cloud, "DeadLetterQueueUrl", orders[how]))
        cloud.client("dynamodb").delete_item(
            TableName=cloud.stack["OrdersTableName"], Key={"orderId": {"S": orders["not readable"]}}
        )

        for how in ("approved", "declined"):
            carla.shopper.ended(orders[how])
        wait_for("both text messages", lambda: cloud.texts_to(carla.phone), lambda sent: len(sent) == 2)
        with in_the_sandbox(cloud):
            orders["rejected"] = carla.places(paymentMethod="tok_declined")
            carla.shopper.ended(orders["rejected"])
        with impatient(cloud), cloud.without("ses:SendEmail", "NotificationRole"):
            orders["not told"] = carla.places(paymentMethod="tok_declined")
            wait_for(
                "dead letter of Notification",
                partial(letters_in, cloud, "NotificationDeadLetterQueueUrl", orders["not told"]),
            )

        events = cloud.client("events")
        archive = events.describe_archive(ArchiveName=cloud.stack["EventArchiveName"])
        replay = f"replay-{uuid4()}"
        live = list(bus.events())
        events.start_replay(
            ReplayName=replay,
            EventSourceArn=archive["ArchiveArn"],
            EventStartTime=began,
            EventEndTime=datetime.now(UTC) + timedelta(seconds=1),
            Destination={"Arn": archive["EventSourceArn"]},
        )
        archived = wait_for(
            "replayed events",
            lambda: [event for event in bus.events() if event.get("replay-name") == replay],
            lambda replayed: {event["id"] for event in live} <= {event["id"] for event in replayed},
        )
        told = list(topic.events())

    table = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=cloud.stack["AuditLogTableName"])
    places = {
        "logs": cloud.everything_logged(),
        "bus": live,
        "archive": archived,
        "topic": told,
        "audit log": [item for page in table for item in page["Items"]],
        "dead letters": cloud.waiting_in(cloud.stack["DeadLetterQueueUrl"]),
        "dead letters of Notification": cloud.waiting_in(cloud.stack["NotificationDeadLetterQueueUrl"]),
        "notification queue": cloud.waiting_in(cloud.stack["NotificationQueueUrl"]),
    }
    yield Traces(
        carla.shopper.http, carla.markers, orders, {place: json.dumps(found) for place, found in places.items()}
    )
    for queue in topology.dead_letter_outputs():
        cloud.client("sqs").purge_queue(QueueUrl=cloud.stack[queue])


SEEN_IN: Mapping[str, set[str]] = {
    "logs": {"approved", "declined", "not published", "not charged", "not readable", "rejected", "not told"},
    "bus": {"approved", "declined", "not charged", "not readable", "rejected", "not told"},
    "archive": {"approved", "declined", "not charged", "not readable", "rejected", "not told"},
    "topic": {"approved", "declined", "rejected", "not told"},
    "audit log": {"approved", "declined", "not charged", "not readable", "rejected", "not told"},
    "dead letters": {"not charged", "not readable"},
    "dead letters of Notification": {"not told"},
    "notification queue": set(),
}


@pytest.mark.parametrize("place", SEEN_IN)
def test_each_place_has_the_orders_that_went_through_it(traces: Traces, place: str) -> None:
    """Else there would be nothing to find."""
    assert {how for how in SEEN_IN[place] if traces.orders[how] not in traces.places[place]} == set()


@pytest.mark.parametrize("place", SEEN_IN)
def test_no_place_has_anything_personal(traces: Traces, place: str) -> None:
    found = traces.places[place].lower()
    assert {name for name, marker in traces.markers.items() if marker.lower() in found} == set()


@pytest.mark.parametrize(
    "reason",
    [
        "Refused: ",  # a request
        "AccessDeniedException: ",  # no such table
        "PublishFailed",
        "GatewayUnavailable",
        "MalformedOrder",
        "was rejected for good",
        "NotifierUnavailable",
    ],
)
def test_what_went_wrong_is_in_the_log_all_the_same(traces: Traces, reason: str) -> None:
    assert reason in traces.places["logs"]


def test_the_order_has_address_and_number_and_nothing_else_that_is_personal(cloud: Cloud, traces: Traces) -> None:
    for how in ("approved", "declined", "not charged", "rejected", "not told"):
        item = cloud.item(traces.orders[how])
        personal = {name for name, marker in traces.markers.items() if marker in json.dumps(item)}
        assert personal == {"e-mail address", "telephone number"}, how


def test_the_api_shows_neither(traces: Traces) -> None:
    """Not to their owner either."""
    answers = "".join(
        traces.http.get(path).text
        for order_id in traces.orders.values()
        for path in (f"/orders/{order_id}", f"/orders/{order_id}/events", "/orders?limit=100")
    )
    assert all(traces.orders[how] in answers for how in ("approved", "declined", "rejected", "not told"))
    assert {name for name, marker in traces.markers.items() if marker in answers} == set()


def test_the_e_mail_goes_to_the_address_and_names_it_to_nobody(cloud: Cloud, traces: Traces) -> None:
    item = cloud.item(traces.orders["approved"])
    assert item
    [letter] = [each for each in cloud.mail_to(item["email"]["S"]) if traces.orders["approved"] in each["BodyText"]]
    assert letter["To"] == [item["email"]["S"]]
    written = {name: text for name, text in letter.items() if name not in ("To", "Destination", "Raw")}
    assert traces.markers["telephone number"] not in json.dumps(written, default=str)
    for text in cloud.texts_to(item["phone"]["S"]):
        assert traces.markers["e-mail address"] not in json.dumps(text, default=str)


def test_no_function_s_settings_hold_a_secret(cloud: Cloud) -> None:
    """There is none to hold: rights come with the role."""
    for function in cloud.client("lambda").list_functions()["Functions"]:
        assert function["FunctionName"].startswith(STACK)
        names = set(function["Environment"]["Variables"])
        assert {name for name in names if any(word in name for word in ("SECRET", "PASSWORD", "TOKEN", "KEY"))} == set()
