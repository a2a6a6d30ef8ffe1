"""The sample orders of `npm start`: one for each outcome, watched until it has ended."""

import time
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from local.emulator.state import LocalError
from local.terminal.timeline import OrderView, is_over, missing
from operations.customer import ShopAccount

ORDER_TIMEOUT_SECONDS = 60
"""How long an order may take: under a second, or several while its functions start for the first time."""

_POLL_INTERVAL_SECONDS = 0.1


class Sample(NamedTuple):
    """An order to place, and the status in which it should end."""

    title: str
    payment_method: str
    quantities: Mapping[str, int]
    ends_as: str
    is_cancelled: bool = False
    """Whether it is cancelled as soon as it is paid. No event reaches Fulfillment meanwhile, which might be faster."""


SAMPLES = (
    Sample("an approved card", "tok_visa", {"GRINDER": 1, "COFFEE-1KG": 2}, "FULFILLED"),
    Sample("a declined card", "tok_declined", {"KETTLE": 1}, "PAYMENT_FAILED"),
    Sample("not enough money", "tok_insufficient_funds", {"MUG": 4}, "PAYMENT_FAILED"),
    Sample(
        "a change of mind while Fulfillment's rule is disabled",
        "tok_visa",
        {"FILTERS-100": 3},
        "REFUNDED",
        is_cancelled=True,
    ),
)


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Around a call to the stack: raises LocalError when the call fails."""
    try:
        yield
    except (BotoCoreError, ClientError, OSError) as error:
        raise LocalError(f"{what} failed: {error}") from error


def place(sample: Sample, customer: ShopAccount) -> Mapping[str, Any]:
    """Place the order through the API, and return it. Raises LocalError."""
    items = [{"sku": sku, "quantity": quantity} for sku, quantity in sample.quantities.items()]
    with calling("POST /orders"):
        order: Mapping[str, Any] = customer.post("/orders", {"items": items, "paymentMethod": sample.payment_method})
    return order


def follow(
    sample: Sample, order: Mapping[str, Any], customer: ShopAccount, seconds: float = ORDER_TIMEOUT_SECONDS
) -> Iterator[OrderView]:
    """Yield the order and its events, again and again until it has ended or the time is up. Raises LocalError.

    An order that is to be cancelled is cancelled as soon as it is paid.
    """
    path, is_to_be_cancelled = f"/orders/{order['orderId']}", sample.is_cancelled
    deadline = time.monotonic() + seconds
    evidence = OrderView(order, [])
    yield evidence
    while not is_over(*evidence) and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL_SECONDS)
        # The order first: the events that its statuses name are then in the trail, and lines come in the order of time.
        with calling(f"GET {path}"):
            evidence = OrderView(customer.get(path), customer.get(f"{path}/events")["events"])
        yield evidence
        if is_to_be_cancelled and evidence.order["status"] == "PAID":
            with calling(f"POST {path}/cancellation"):
                customer.post(f"{path}/cancellation")
            is_to_be_cancelled = False


def shortcoming(
    sample: Sample, evidence: OrderView, messages: Container[str], seconds: float = ORDER_TIMEOUT_SECONDS
) -> str | None:
    """Why the order did not end as expected; None if its status is the expected one and its e-mail was sent.

    `messages` are the ids of the e-mails that SES has sent.
    """
    order = evidence.order
    if not is_over(*evidence):
        return f"not done after {seconds:.0f} s: {missing(*evidence)}"
    if order["status"] != sample.ends_as:
        return f"ended as {order['status']}, not as {sample.ends_as}"
    if (message_id := order["notification"].get("messageId")) is None:
        return f"its e-mail was rejected: {order['notification'].get('rejection')}"
    if message_id not in messages:
        return f"SES does not know its e-mail, {message_id}"
    return None
