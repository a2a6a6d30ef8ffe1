"""What a customer lives through, from the sign-up to the e-mail."""

from typing import Any

import pytest

from tests.e2e.cloud import Cloud
from tests.e2e.shopper import Shopper
from tests.e2e.waiting import wait_for


@pytest.fixture(scope="module")
def fulfilled(anna: Shopper) -> Any:
    return anna.ended_order(phone="+4915112345678")


@pytest.mark.parametrize("method", ["tok_visa", "tok_mastercard"])
def test_a_good_card_leads_to_a_parcel(anna: Shopper, method: str) -> None:
    order = anna.ended_order(paymentMethod=method)
    assert order["status"] == "FULFILLED"
    assert order["payment"]["status"] == "COMPLETED"
    assert order["fulfillment"]["trackingId"]
    [letter] = anna.inbox_of(order["orderId"])
    assert order["fulfillment"]["trackingId"] in letter["BodyText"]
    assert order["fulfillment"]["trackingId"] in letter["BodyHtml"]


@pytest.mark.parametrize(
    ("method", "reason"), [("tok_declined", "card_declined"), ("tok_insufficient_funds", "insufficient_funds")]
)
def test_a_declined_card_ends_the_order_and_notifies_the_customer(anna: Shopper, method: str, reason: str) -> None:
    order = anna.ended_order(paymentMethod=method)
    assert order["status"] == "PAYMENT_FAILED"
    assert (order["payment"]["status"], order["payment"]["reason"]) == ("FAILED", reason)
    assert "fulfillment" not in order
    [letter] = anna.inbox_of(order["orderId"])
    assert "Nothing was charged." in letter["BodyText"]


def test_an_order_that_is_cancelled_before_the_charge_is_never_charged(cloud: Cloud, anna: Shopper) -> None:
    order = anna.cancelled_order(is_charged=False)
    assert [change["status"] for change in order["statusHistory"]] == ["PLACED", "CANCELLED"]
    assert order["payment"] == {"status": "VOIDED"}
    [letter] = anna.inbox_of(order["orderId"])
    assert "If your card was charged, the full amount will be refunded." in letter["BodyText"]
    _closed_with(cloud, order, "VOIDED", charges="0", refunds="0")


def test_an_order_that_is_cancelled_after_the_charge_is_refunded(cloud: Cloud, anna: Shopper) -> None:
    order = anna.cancelled_order(is_charged=True)
    assert [change["status"] for change in order["statusHistory"]] in (
        ["PLACED", "PAID", "CANCELLED", "REFUNDED"],
        ["PLACED", "PAID", "REFUNDED"],  # PaymentRefundedEvent may overtake OrderCancelledEvent
    )
    assert (order["refund"]["amount"], order["refund"]["currency"]) == (order["totalAmount"], order["currency"])
    assert "fulfillment" not in order
    assert len(anna.inbox_of(order["orderId"])) == 1
    trail = anna.whole_trail(order["orderId"])
    assert {entry["eventType"] for entry in trail} == {
        "OrderPlacedEvent",
        "PaymentCompletedEvent",
        "OrderCancelledEvent",
        "PaymentRefundedEvent",
    }
    _closed_with(cloud, order, "REFUNDED", charges="1", refunds="1")


def _closed_with(cloud: Cloud, order: Any, state: str, *, charges: str, refunds: str) -> None:
    row = cloud.ledger_row(order["orderId"])
    assert row
    assert (row["state"]["S"], row["charges"]["N"], row["refunds"]["N"]) == (state, charges, refunds)
    wait_for("closed order", lambda: _open_keys(cloud, order["orderId"]), lambda keys: not keys)


def _open_keys(cloud: Cloud, order_id: str) -> set[str]:
    """What the order has of the two keys of `openOrders`."""
    item = cloud.item(order_id)
    assert item
    return {"openShard", "dueAt"} & item.keys()


def test_a_cancellation_that_comes_too_late_is_refused_with_the_reason(anna: Shopper, fulfilled: Any) -> None:
    answer = anna.cancel(fulfilled["orderId"])
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert "handed to the carrier" in answer.json()["detail"]
    assert anna.order(fulfilled["orderId"]) == fulfilled


def test_the_e_mail_comes_once_from_the_shop_s_address(anna: Shopper, fulfilled: Any) -> None:
    [letter] = anna.inbox_of(fulfilled["orderId"])
    assert letter["Source"] == "orders@example.com"
    assert letter["To"] == [anna.email]
    assert letter["MessageId"].startswith(fulfilled["notification"]["messageId"])


def test_a_phone_gets_one_text_message(cloud: Cloud, fulfilled: Any) -> None:
    number = fulfilled["orderId"][:8].upper()

    def texts() -> list[Any]:
        return [text for text in cloud.texts_to("+4915112345678") if number in text["Message"]]

    assert len(wait_for("text message", texts)) == 1


def test_the_audit_trail_is_complete_and_in_order_and_each_event_names_its_cause(anna: Shopper, fulfilled: Any) -> None:
    trail = wait_for("complete trail", lambda: anna.trail(fulfilled["orderId"]), lambda trail: len(trail) == 3)
    assert [entry["eventType"] for entry in trail] == [
        "OrderPlacedEvent",
        "PaymentCompletedEvent",
        "FulfillmentCompletedEvent",
    ]
    assert [entry["source"].removeprefix("order-processing.") for entry in trail] == [
        "orders",
        "payment",
        "fulfillment",
    ]
    assert [entry["causationId"] for entry in trail] == [None, trail[0]["domainEventId"], trail[1]["domainEventId"]]
    assert [entry["timestamp"] for entry in trail] == sorted({entry["timestamp"] for entry in trail})
    assert len({entry["correlationId"] for entry in trail}) == 1
    assert [entry["data"]["orderId"] for entry in trail] == [fulfilled["orderId"]] * 3
    facts = [entry["domainEventId"] for entry in trail]
    changes = [change["eventId"] for change in fulfilled["statusHistory"]]
    assert changes in (facts, [facts[0], facts[2]])  # FulfillmentCompletedEvent may overtake PaymentCompletedEvent


def test_a_closed_order_is_no_longer_among_the_open_ones(cloud: Cloud, fulfilled: Any) -> None:
    item = cloud.item(fulfilled["orderId"])
    assert item
    assert not {"openShard", "dueAt"} & item.keys()


def test_nobody_sees_another_s_orders(anna: Shopper, bela: Shopper, fulfilled: Any) -> None:
    for tail in ("", "/events"):
        answer = bela.http.get(f"/orders/{fulfilled['orderId']}{tail}")
        assert answer.status_code == 404
        assert answer.json() == bela.http.get(f"/orders/00000000-0000-4000-8000-000000000000{tail}").json()
    assert fulfilled["orderId"] in [order["orderId"] for order in anna.http.get("/orders?limit=100").json()["orders"]]
    assert fulfilled["orderId"] not in [order["orderId"] for order in bela.http.get("/orders").json()["orders"]]


def test_orders_are_listed_newest_first_page_by_page(cloud: Cloud) -> None:
    # given
    shopper = Shopper(cloud)
    ids = [shopper.place().json()["orderId"] for _ in range(5)]

    # when
    seen, query = [], {"limit": "2"}
    while True:
        page = shopper.http.get("/orders", params=query).json()
        seen += [order["orderId"] for order in page["orders"]]
        if page["nextToken"] is None:
            break
        query["nextToken"] = page["nextToken"]

    # then
    assert seen == ids[::-1]


def test_an_address_that_is_not_verified_may_not_order(cloud: Cloud) -> None:
    answer = Shopper(cloud, verified=False).place()
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:order-processing:problem:email-not-verified")


def test_a_customer_whose_domain_is_not_ascii_is_notified_at_its_punycode(cloud: Cloud) -> None:
    shopper = Shopper(cloud, domain="straße.example")

    order = shopper.ended_order()

    assert order["notification"].keys() == {"channel", "messageId", "at"}
    letters = cloud.mail_to(shopper.email.replace("straße", "xn--strae-oqa"))
    assert [letter for letter in letters if order["orderId"] in letter["BodyText"]]


def test_everybody_may_see_the_products(cloud: Cloud) -> None:
    answer = cloud.api(token=None).get("/products")
    assert answer.status_code == 200
    assert answer.json()["products"][0].keys() == {"sku", "name", "unitPrice", "currency"}
