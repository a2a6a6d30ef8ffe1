"""The sample orders of `npm start`: one for each way in which an order can end, watched until it has ended."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from local import timeline
from local.inbox import inbox
from operations.customer import Customer

_SECONDS = 60
_PAUSE = 0.1  # between two looks at an order


class Sample(NamedTuple):
    """An order to place, and the status in which it has to end."""

    title: str
    payment_method: str
    quantities: Mapping[str, int]
    ends_as: str


SAMPLES = (
    Sample("A card that is good", "tok_visa", {"GRINDER": 1, "COFFEE-1KG": 2}, "FULFILLED"),
    Sample("A card that is declined", "tok_declined", {"KETTLE": 1}, "PAYMENT_FAILED"),
    Sample("Not enough money", "tok_insufficient_funds", {"MUG": 4}, "PAYMENT_FAILED"),
)


def place(console: Console, customer: Customer) -> bool:
    """Place all samples, one after the other, and show what happens; whether each ended as it should."""
    results = [_watch(console, customer, sample) for sample in SAMPLES]
    return all(results)


def _watch(console: Console, customer: Customer, sample: Sample) -> bool:
    items = [{"sku": sku, "quantity": quantity} for sku, quantity in sample.quantities.items()]
    order = customer.post("/orders", {"items": items, "paymentMethod": sample.payment_method})
    path = f"/orders/{order['orderId']}"
    events: list[dict[str, Any]] = []
    deadline = time.monotonic() + _SECONDS
    with Live(console=console, auto_refresh=False) as live:
        while True:
            events, order = customer.get(f"{path}/events")["events"], customer.get(path)
            live.update(Group(_headline(sample, order), timeline.table(order, events), ""), refresh=True)
            over = timeline.is_over(order, events)
            if over or time.monotonic() > deadline:
                break
            time.sleep(_PAUSE)
    if not over:
        console.print(f"[red]After {_SECONDS} s: {timeline.missing(order, events)}.[/]")
        return False
    if order["status"] != sample.ends_as or "messageId" not in order["notification"]:
        console.print(f"[red]It should be {sample.ends_as}, with its e-mail sent.[/]")
        return False
    return True


def _headline(sample: Sample, order: Mapping[str, Any]) -> Text:
    what = ", ".join(f"{item['quantity']} × {item['name']}" for item in order["items"])
    number = order["orderId"][:8].upper()
    return Text.assemble((sample.title, "bold"), (f"\n{what}; {timeline.money(order)}; order {number}", "dim"))


def show_inbox(console: Console, endpoint_url: str, customer: Customer) -> None:
    """The e-mails that the samples' customer got: the subject, and the first line after the greeting."""
    console.print(f"[bold]E-mails[/] to {customer.email}")
    for message in inbox(endpoint_url, customer.email):
        console.print(f"✉ [bold]{message['Subject']}[/]")
        console.print(f"  {message['BodyText'].splitlines()[2]}", style="dim")
