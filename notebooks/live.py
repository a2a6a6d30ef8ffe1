"""The evidence that the live canvas shows, and the work of its buttons. The widget itself is in `canvas`."""

import atexit
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple, Protocol

from handlers.responses import EventResponse
from local.watching.view import Views
from local.watching.watch import watch
from operations.outage import gateway, switch_gateway, without_events_for
from operations.repetition import UnknownOrder, publish_again
from operations.replay import replay_order
from operations.stack import Stack
from tools import flow, topology

Evidence = dict[str, Any]
"""`order`, `events` and `rescue` as the storefront's page has them: the last is the operator's view."""

Sentences = Generator[str, None, None]
"""The work of a button, which yields its messages. If it is closed early, it enables again what it has disabled."""

_DELAY_SECONDS = 15
_DELAY_ON_AWS_SECONDS = 60
"""On AWS a disabled rule still matches events for some seconds."""


def deployed_flow(stack: Stack) -> dict[str, Any]:
    """Return the flow of events, without the storefront's functions where the storefront isn't deployed."""
    described = flow.described()
    if "WebSocketUrl" not in stack.outputs:
        described["functions"] = {name: described["functions"][name] for name in topology.always_deployed()}
    return described


def reader_of(stack: Stack) -> Callable[[str], Evidence]:
    """Return a function that reads an order's evidence by the order's id, and raises UnknownOrder.

    Failed attempts and dead letters are read on stage `local` only, as in the storefront.
    """
    views = Views(stack)

    def read(order_id: str) -> Evidence:
        if (view := views.of(order_id)) is None:
            raise UnknownOrder(f"no order {order_id} is stored")
        events = [EventResponse.model_validate(row).model_dump(mode="json") for row in view.trail]
        rescue = watch(stack).rescue(order_id) if stack.stage == "local" else None
        return {"order": dict(view.order), "events": events, "rescue": rescue}

    return read


class Canvas(Protocol):
    """The canvas whose button was pressed. The reader may choose another order while the action runs."""

    order_id: str


class Button(NamedTuple):
    label: str
    press: Callable[[Stack, Canvas], Sentences]


def _duplicate(stack: Stack, canvas: Canvas) -> Sentences:
    event_id = publish_again(stack, canvas.order_id)
    yield f"OrderPlacedEvent is on the bus again, as {event_id[:8]}. Its consumers get it twice."


def _delay(stack: Stack, canvas: Canvas) -> Sentences:
    with without_events_for(stack, "fulfillment"):
        for seconds in range(_DELAY_SECONDS if stack.stage == "local" else _DELAY_ON_AWS_SECONDS, 0, -1):
            yield f"Fulfillment gets no event for {seconds} s. Send a duplicate, or place an order and show it here."
            time.sleep(1)
    replayed = len(list(replay_order(stack, canvas.order_id)))
    yield f"The rule is enabled again, and the order's events were replayed: {replayed} deliveries."


def _gateway_down(stack: Stack, _: Canvas) -> Sentences:
    atexit.register(switch_gateway, stack, "up")  # the next notebook may be on the same stack
    switch_gateway(stack, "down")
    yield f"The payment gateway is {gateway(stack)}. Place an order and show it here: its payment fails."


def _gateway_up(stack: Stack, _: Canvas) -> Sentences:
    switch_gateway(stack, "up")
    atexit.unregister(switch_gateway)
    yield f"The payment gateway is {gateway(stack)}. Replay the events of a waiting order, or wait for the Reconciler."


def _replay(stack: Stack, canvas: Canvas) -> Sentences:
    yield "Replaying …"
    events = [delivery.event_type for delivery in replay_order(stack, canvas.order_id)]
    yield f"{len(events)} deliveries of {', '.join(dict.fromkeys(events))}. AuditLogger's rule excludes replays."


BUTTONS: Mapping[str, Button] = {
    "duplicate": Button("Send a duplicate", _duplicate),
    "delay": Button("Delay an event", _delay),
    "down": Button("Gateway down", _gateway_down),
    "up": Button("Gateway up", _gateway_up),
    "replay": Button("Replay its events", _replay),
}
