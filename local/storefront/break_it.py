"""The panel that breaks things, on stage `local` only: what `npm run break-it` and `npm run dlq` do, for the page."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request

from local.emulator.inbox import messages
from operations.dead_letters import DeadLetter, Undelivered, dead_letters, redrive
from operations.outage import Gateway, gateway, switch_gateway
from operations.repetition import EventRefused, UnknownOrder, publish_again
from operations.stack import Stack

Body = dict[str, Any]

_queues = Lock()
"""Reading the dead letters hides them for a moment: a redrive from another window would find none meanwhile."""


class _Reading(NamedTuple):
    outputs: Mapping[str, str]
    """Of the stack: each request has its own `Stack`."""
    began: float
    letters: Sequence[DeadLetter]


_last: list[_Reading] = []
"""The last reading, for the pages that waited for it."""


def state(stack: Stack, _: Request, __: Body) -> Body:
    kept = _dead_letters(stack)
    return {
        "gateway": gateway(stack),
        "deadLetters": [
            {
                "eventType": letter.event_type,
                "orderId": letter.order_id,
                "consumer": letter.consumer,
                "reason": letter.reason,
            }
            for letter in kept
        ],
    }


def _dead_letters(stack: Stack) -> Sequence[DeadLetter]:
    """The dead letters, by a reading that began after this call did; all that wait share the next reading."""
    asked = time.monotonic()
    with _queues:
        if not (_last and _last[0].outputs == stack.outputs and _last[0].began > asked):
            began = time.monotonic()
            _last[:] = [_Reading(stack.outputs, began, dead_letters(stack))]
        return _last[0].letters


def switch(stack: Stack, _: Request, body: Body) -> Body:
    wanted: dict[object, Gateway] = {"up": "up", "down": "down"}
    if body.get("state") not in ("up", "down"):
        raise HTTPException(422, "state is up or down")
    switch_gateway(stack, wanted[body["state"]])
    return {"gateway": gateway(stack)}


def send_twice(stack: Stack, _: Request, body: Body) -> Body:
    order_id = body.get("orderId")
    if not (isinstance(order_id, str) and order_id):
        raise HTTPException(422, "orderId is the order's id")
    try:
        return {"eventType": "OrderPlacedEvent", "eventId": publish_again(stack, order_id)}
    except UnknownOrder as error:
        raise HTTPException(404, str(error)) from error
    except EventRefused as error:
        raise HTTPException(502, str(error)) from error


def redrive_all(stack: Stack, _: Request, __: Body) -> Body:
    try:
        with _queues:
            return {"redriven": sum(1 for _ in redrive(stack))}
    except Undelivered as error:
        raise HTTPException(502, str(error)) from error


def inbox(stack: Stack, request: Request, _: Body) -> Body:
    """The e-mails to an address, newest first; Cognito's codes are among them."""
    email = request.query_params.get("email")
    if not email or not stack.endpoint_url:
        raise HTTPException(422, "name the address: ?email=ada@example.com")
    sent = messages(stack.endpoint_url, email)
    return {"messages": [_message(each) for each in reversed(sent)]}


def _message(sent: Any) -> Body:
    at = datetime.fromtimestamp(sent["Timestamp"], UTC).isoformat(timespec="milliseconds")
    return {"id": sent["MessageId"], "subject": sent["Subject"], "text": sent["BodyText"], "at": at}
