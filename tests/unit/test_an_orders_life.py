"""The whole way of an order, as its customer lives it."""

import json
from itertools import pairwise
from uuid import UUID

import pytest

from orders import clock
from orders.events import EVENTS
from tests.conftest import Lines
from tests.shop import ANNA, Shop

PHONE = "+4915112345678"


def test_a_paid_order_is_fulfilled_and_its_customer_told_once(shop: Shop) -> None:
    # given
    placed = shop.place()
    assert (placed.status, placed.body["status"], placed.body["totalAmount"]) == (201, "PLACED", 2800)

    # when
    shop.run()

    # then
    order = shop.order(placed.body["orderId"])
    assert order["status"] == "FULFILLED"
    assert order["payment"]["status"] == "COMPLETED"
    assert "reason" not in order["payment"]
    assert order["fulfillment"]["trackingId"]
    assert order["fulfillment"]["carrier"]
    assert order["notification"]["channel"] == "email"
    assert [change["status"] for change in order["statusHistory"]] == ["PLACED", "PAID", "FULFILLED"]
    assert [mail["Destination"]["ToAddresses"] for mail in shop.emails] == [[ANNA.email]]
    assert shop.texts == []


@pytest.mark.parametrize("method", ["tok_visa", "tok_mastercard"])
def test_a_good_card_is_charged(shop: Shop, method: str) -> None:
    order_id = shop.place(paymentMethod=method).body["orderId"]
    shop.run()
    assert shop.order(order_id)["payment"]["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("method", "reason"), [("tok_declined", "card_declined"), ("tok_insufficient_funds", "insufficient_funds")]
)
def test_a_declined_card_ends_the_order_and_notifies_the_customer(shop: Shop, method: str, reason: str) -> None:
    # given
    order_id = shop.place(paymentMethod=method).body["orderId"]

    # when
    shop.run()

    # then
    order = shop.order(order_id)
    assert order["status"] == "PAYMENT_FAILED"
    assert order["payment"]["status"] == "FAILED"
    assert order["payment"]["reason"] == reason
    assert "fulfillment" not in order
    assert [change["status"] for change in order["statusHistory"]] == ["PLACED", "PAYMENT_FAILED"]
    assert [mail["Destination"]["ToAddresses"] for mail in shop.emails] == [[ANNA.email]]
    assert [event["detail-type"] for event in shop.published] == ["OrderPlacedEvent", "PaymentFailedEvent"]


def test_a_customer_with_a_phone_number_gets_a_text_message_as_well(shop: Shop) -> None:
    shop.place(phone=PHONE)
    shop.run()
    assert [text["PhoneNumber"] for text in shop.texts] == [PHONE]
    assert len(shop.emails) == 1


def test_an_ended_order_is_no_longer_among_the_open_ones(shop: Shop) -> None:
    for method in ("tok_visa", "tok_declined"):
        order_id = shop.place(paymentMethod=method).body["orderId"]
        assert {"openShard", "dueAt"} <= shop.item(order_id).keys()
        shop.run()
        assert not {"openShard", "dueAt"} & shop.item(order_id).keys()


def test_each_event_names_its_cause_and_the_request_that_began_it_all(shop: Shop) -> None:
    # given
    answer = shop.call("POST", "/orders", {"items": [{"sku": "MUG", "quantity": 1}], "paymentMethod": "tok_visa"},
                       request_id="request-1")  # fmt: skip

    # when
    shop.run()

    # then
    metadata = [event["detail"]["metadata"] for event in shop.published]
    assert [each["causationId"] for each in metadata] == [None, metadata[0]["eventId"], metadata[1]["eventId"]]
    assert {each["correlationId"] for each in metadata} == {"request-1"}
    assert all(before["occurredAt"] < after["occurredAt"] for before, after in pairwise(metadata))
    assert all(clock.is_timestamp(each["occurredAt"]) for each in metadata)
    assert all(str(UUID(each["eventId"])) == each["eventId"] for each in metadata)
    assert [(each["version"], each["attempt"]) for each in metadata] == [("1", 1)] * 3
    history = shop.order(answer.body["orderId"])["statusHistory"]
    assert [change["eventId"] for change in history] == [each["eventId"] for each in metadata]


def test_an_event_carries_what_the_contract_says_under_its_source(shop: Shop) -> None:
    # given
    approved, declined = shop.place().body, shop.place(paymentMethod="tok_declined").body

    # when
    shop.run()

    # then
    [placed, _], [paid], [failed], [shipped], [], [] = map(shop.events, EVENTS)
    assert placed["source"] == "order-processing.orders"
    assert placed["detail"]["data"] == {
        "orderId": approved["orderId"],
        "customerId": ANNA.sub,
        "items": [{"sku": "MUG", "name": "Stoneware mug", "quantity": 2, "unitPrice": 1400}],
        "totalAmount": 2800,
        "currency": "EUR",
        "paymentMethod": "tok_visa",
    }
    assert paid["source"] == failed["source"] == "order-processing.payment"
    assert paid["detail"]["data"] == {
        "orderId": approved["orderId"],
        "paymentId": shop.order(approved["orderId"])["payment"]["paymentId"],
        "totalAmount": 2800,
        "currency": "EUR",
    }
    assert failed["detail"]["data"] == {
        "orderId": declined["orderId"],
        "paymentId": shop.order(declined["orderId"])["payment"]["paymentId"],
        "totalAmount": 2800,
        "currency": "EUR",
        "reason": "card_declined",
    }
    assert shipped["source"] == "order-processing.fulfillment"
    assert shipped["detail"]["data"] == {
        "orderId": approved["orderId"],
        **shop.order(approved["orderId"])["fulfillment"],
    }


def test_bus_audit_log_and_logs_know_neither_e_mail_address_nor_phone(shop: Shop, log_lines: Lines) -> None:
    # given
    shop.place(phone=PHONE)
    shop.place(phone=PHONE, paymentMethod="tok_declined")
    shop.wire.fail("ses:SendEmail", "MessageRejected")  # its message may name the address
    shop.wire.fail("sns:Publish", "InvalidParameter")

    # when
    shop.run()

    # then
    seen = json.dumps([shop.published, shop.log_entries(), log_lines()])
    assert ANNA.email not in seen
    assert "anna@" not in seen
    assert PHONE not in seen
    assert PHONE[1:] not in seen


def test_the_audit_log_tells_the_order_s_story_oldest_first(shop: Shop) -> None:
    # given
    order_id = shop.place().body["orderId"]
    shop.place()  # another one, whose events are not in this order's trail

    # when
    shop.run()

    # then
    trail = shop.trail(order_id)
    own = [event for event in shop.published if event["detail"]["data"]["orderId"] == order_id]
    assert [entry["eventType"] for entry in trail] == [
        "OrderPlacedEvent",
        "PaymentCompletedEvent",
        "FulfillmentCompletedEvent",
    ]
    assert trail == [
        {
            "eventId": event["id"],
            "eventType": event["detail-type"],
            "timestamp": event["detail"]["metadata"]["occurredAt"],
            "source": event["source"],
            "domainEventId": event["detail"]["metadata"]["eventId"],
            "correlationId": event["detail"]["metadata"]["correlationId"],
            "causationId": event["detail"]["metadata"]["causationId"],
            "attempt": 1,
            "data": event["detail"]["data"],
        }
        for event in own
    ]


def test_the_bus_meets_orders_of_many_customers_and_mixes_nothing_up(shop: Shop) -> None:
    # given
    methods = ["tok_visa", "tok_declined", "tok_mastercard", "tok_insufficient_funds"] * 3
    ids = [shop.place(paymentMethod=method).body["orderId"] for method in methods]

    # when
    shop.run()

    # then
    ended = [shop.order(order_id)["status"] for order_id in ids]
    assert ended == ["FULFILLED", "PAYMENT_FAILED"] * 6
    assert len(shop.emails) == 12
    assert len({shop.order(order_id)["payment"]["paymentId"] for order_id in ids}) == 12
