"""`@consumer`: the annotation says which events a function accepts, to Lambda and to mypy.

Each `type: ignore` here is an error that mypy must find: `npm run check` fails on one that ignores nothing.
"""

import pytest

from handlers.edge import consumer
from handlers.wiring import gateway, store
from orders.choreography import take_payment
from orders.errors import MalformedEvent
from orders.events import Event, OrderPlacedEvent, PaymentCompletedEvent, PaymentFailedEvent
from tests.shop import Context, Envelope, Shop


@pytest.fixture
def events(shop: Shop) -> dict[str, Envelope]:
    """Detail type → an event of it."""
    for method in ("tok_visa", "tok_declined"):
        shop.place(paymentMethod=method)
    shop.run()
    return {event["detail-type"]: event for event in shop.published}


def test_a_function_of_one_event_gets_that_event_alone(events: dict[str, Envelope]) -> None:
    accepted: list[Event] = []

    @consumer
    def handler(placed: OrderPlacedEvent) -> None:
        accepted.append(placed)

    handler(events.pop("OrderPlacedEvent"), Context())
    assert [type(event) for event in accepted] == [OrderPlacedEvent]
    for event in events.values():
        with pytest.raises(MalformedEvent, match="was delivered to a consumer of OrderPlacedEvent"):
            handler(event, Context())
    assert len(accepted) == 1


def test_a_function_of_a_union_gets_each_of_its_members(events: dict[str, Envelope]) -> None:
    accepted: list[Event] = []

    @consumer
    def handler(event: PaymentCompletedEvent | PaymentFailedEvent) -> None:
        accepted.append(event)

    for name in ("PaymentCompletedEvent", "PaymentFailedEvent"):
        handler(events.pop(name), Context())
    assert [type(event) for event in accepted] == [PaymentCompletedEvent, PaymentFailedEvent]
    for event in events.values():
        with pytest.raises(MalformedEvent, match="a consumer of PaymentCompletedEvent or PaymentFailedEvent"):
            handler(event, Context())


def test_mypy_finds_a_handler_whose_step_takes_another_event(events: dict[str, Envelope]) -> None:
    @consumer
    def handler(paid: PaymentCompletedEvent) -> None:
        take_payment(paid, store(), gateway())  # type: ignore[arg-type]

    with pytest.raises(MalformedEvent):
        handler(events["OrderPlacedEvent"], Context())


def test_mypy_finds_a_handler_of_what_is_no_event(events: dict[str, Envelope]) -> None:
    @consumer  # type: ignore[type-var]
    def handler(number: int) -> None:
        """Accepts no event, so nothing ever calls it."""

    with pytest.raises(AttributeError):
        handler(events["OrderPlacedEvent"], Context())
