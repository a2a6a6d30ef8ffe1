"""The message to a customer whose order has ended: the e-mail's subject, text and HTML, and the text message."""

from html import escape
from typing import NamedTuple

from orders.errors import MalformedOrder
from orders.model import Order, Payment
from orders.money import format_money

_REASONS = {
    "card_declined": "Your bank declined the card.",
    "insufficient_funds": "There was not enough money on the card.",
}


class Message(NamedTuple):
    """`subject`, `text` and `html` are the e-mail's, `sms` is the text message's."""

    subject: str
    text: str
    html: str
    sms: str


def message(order: Order) -> Message:
    """The message that says how the order ended. Raises MalformedOrder for one that has not ended."""
    number = order.order_id[:8].upper()
    total = format_money(order.total_amount, order.currency)
    if parcel := order.fulfillment:
        subject = f"Your order {number} is on its way"
        lead = f"Thank you! {parcel.carrier} is delivering your parcel."
        follow_up = f"Your tracking number is {parcel.tracking_id}."
        sms = f"Order {number} is on its way with {parcel.carrier}, tracking number {parcel.tracking_id}."
    elif order.cancellation:
        subject = f"Your order {number} is cancelled"
        lead = "We cancelled your order. Nothing will be shipped."
        follow_up = "If your card was charged, the full amount will be refunded."
        sms = f"Order {number} is cancelled. If your card was charged, the full amount will be refunded."
    elif isinstance(order.payment, Payment) and order.payment.reason:
        subject = f"We could not take the payment for your order {number}"
        lead = f"{_REASONS.get(order.payment.reason, 'The payment was not possible.')} Nothing was charged."
        follow_up = "Your order was not completed. You can order again with another card."
        sms = f"Order {number}: the payment of {total} failed, nothing was charged. Please order again."
    else:
        raise MalformedOrder(f"order {order.order_id} has no fulfilment, cancellation or failed payment to write about")
    return Message(subject, _text(order, lead, follow_up, total), _html(order, subject, lead, follow_up, total), sms)


def _text(order: Order, lead: str, follow_up: str, total: str) -> str:
    rows = [(f"{line.quantity} x {line.name}", _price(order, line.quantity * line.unit_price)) for line in order.items]
    rows.append(("Total", total))
    width = max(len(what) for what, _ in rows)
    table = "\n".join(f"  {what:<{width}}  {price:>14}" for what, price in rows)
    return f"Hello,\n\n{lead}\n\n{table}\n\n{follow_up}\n\nOrder number: {order.order_id}\n"


def _html(order: Order, subject: str, lead: str, follow_up: str, total: str) -> str:
    """One column, inline styles, no images, no fixed colours: every mail program shows it, light and dark."""
    cell = 'style="padding:6px 0;border-bottom:1px solid #8884"'
    price_cell = 'style="padding:6px 0;border-bottom:1px solid #8884;text-align:right;white-space:nowrap"'
    rows = "".join(
        f"<tr><td {cell}>{line.quantity} × {escape(line.name)}</td>"
        f"<td {price_cell}>{_price(order, line.quantity * line.unit_price)}</td></tr>"
        for line in order.items
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(subject)}</title></head>"
        '<body style="font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:34em;padding:1.5em">'
        f'<h1 style="font-size:1.3em">{escape(subject)}</h1><p>{escape(lead)}</p>'
        f'<table role="presentation" style="width:100%;border-collapse:collapse">{rows}'
        f'<tr><td style="padding:6px 0"><strong>Total</strong></td>'
        f'<td style="padding:6px 0;text-align:right;white-space:nowrap"><strong>{total}</strong></td></tr></table>'
        f'<p>{escape(follow_up)}</p><p style="opacity:.7;font-size:.85em">Order number: {order.order_id}</p>'
        "</body></html>"
    )


def _price(order: Order, amount: int) -> str:
    return format_money(amount, order.currency)
