"""What the customer reads."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from orders.aws.gateway import DECLINES
from orders.catalogue import PRODUCTS
from orders.errors import MalformedOrder
from orders.message import message
from orders.model import Order
from orders.money import format_money
from tests.shop import Shop

VOID = {"meta", "br", "hr"}


class _Reader(HTMLParser):
    """Notes the text, and each tag that is not closed where it must be."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _mail(shop: Shop, **changes: Any) -> tuple[str, str, str]:
    """Subject, text and HTML of the e-mail that an order leads to."""
    shop.place(**changes)
    shop.run()
    simple = shop.emails[-1]["Content"]["Simple"]
    assert {part["Charset"] for part in (simple["Subject"], *simple["Body"].values())} == {"UTF-8"}
    return simple["Subject"]["Data"], simple["Body"]["Text"]["Data"], simple["Body"]["Html"]["Data"]


ITEMS = [{"sku": "COFFEE-1KG", "quantity": 2}, {"sku": "FILTERS-100", "quantity": 1}]


def test_a_shipped_order_s_message_says_what_is_coming_and_how_to_follow_it(shop: Shop) -> None:
    subject, text, html = _mail(shop, items=ITEMS)
    [order] = shop.orders({}).body["orders"]
    assert subject == f"Your order {order['orderId'][:8].upper()} is on its way"
    for part in (text, html):
        assert order["fulfillment"]["trackingId"] in part
        assert order["fulfillment"]["carrier"] in part
        assert order["orderId"] in part
        for amount in ("37.80 EUR", "6.50 EUR", "44.30 EUR"):
            assert amount in part


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("tok_declined", "Your bank declined the card."),
        ("tok_insufficient_funds", "There was not enough money on the card."),
    ],
)
def test_a_declined_order_s_message_says_why_and_that_nothing_was_charged(shop: Shop, method: str, reason: str) -> None:
    subject, text, html = _mail(shop, paymentMethod=method)
    assert subject.startswith("We could not take the payment for your order ")
    for part in (text, html):
        assert reason in part
        assert "Nothing was charged." in part
        assert "28.00 EUR" in part
        assert "tracking" not in part


def test_every_reason_of_the_gateway_has_words_of_its_own(shop: Shop) -> None:
    leads = {_mail(shop, paymentMethod=method)[1].splitlines()[2] for method, reason in DECLINES.items() if reason}
    assert len(leads) == len({reason for reason in DECLINES.values() if reason})
    assert not any("was not possible" in lead for lead in leads)


def test_the_text_is_a_table_that_stands_straight(shop: Shop) -> None:
    _, text, _ = _mail(shop, items=ITEMS)
    assert text.splitlines()[4:7] == [
        "  2 x Coffee beans, 1 kg              37.80 EUR",
        "  1 x Paper filters, 100 pieces        6.50 EUR",
        "  Total                               44.30 EUR",
    ]


def test_the_html_is_whole_and_loads_nothing(shop: Shop) -> None:
    subject, _, html = _mail(shop, items=ITEMS)
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    assert html.startswith("<!doctype html>")
    assert 'lang="en"' in html
    assert not re.search(r"<(img|script|link|iframe)|https?:|url\(", html)
    assert subject in unescape("".join(reader.text))


def test_names_are_escaped_in_html_and_plain_in_text(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    name = 'Tea <b>& "more"</b>'
    monkeypatch.setitem(PRODUCTS, "MUG", PRODUCTS["MUG"].model_copy(update={"name": name}))
    _, text, html = _mail(shop)
    assert name in text
    assert "<b>" not in html
    assert "Tea &lt;b&gt;&amp; &quot;more&quot;&lt;/b&gt;" in html


def test_what_the_carrier_brings_is_escaped_as_well(shop: Shop) -> None:
    # given
    order_id = shop.place().body["orderId"]
    shop.run()
    item = shop.item(order_id)
    item["fulfillment"] |= {"carrier": "<script>", "trackingId": "<script>"}

    # when
    html = message(Order.model_validate(item)).html

    # then
    assert "<script>" not in html
    assert html.count("&lt;script&gt;") == 2


def test_there_is_no_message_about_an_order_that_has_not_ended(shop: Shop) -> None:
    order_id, placed = shop.placed()
    shop.deliver("paymentProcessing", placed)
    with pytest.raises(MalformedOrder, match=f"order {order_id} has no fulfilment, cancellation or failed payment"):
        message(Order.model_validate(shop.item(order_id)))


@pytest.mark.parametrize(
    ("minor_units", "text"), [(0, "0.00 EUR"), (5, "0.05 EUR"), (100, "1.00 EUR"), (123456789, "1234567.89 EUR")]
)
def test_money_is_written_with_two_decimals(minor_units: int, text: str) -> None:
    assert format_money(minor_units, "EUR") == text
