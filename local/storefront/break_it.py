"""The panel that breaks things, on stage `local` only: `npm run break-it` and `npm run dlq` for the page."""

from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from local.emulator.inbox import messages
from local.watching.watch import watch
from operations.dead_letters import Undelivered
from operations.outage import Gateway, gateway, switch_gateway
from operations.repetition import EventRefused, UnknownOrder, publish_again
from operations.stack import Stack

Body = dict[str, Any]


def state(stack: Stack, _: Request, __: Body) -> Body:
    kept = watch(stack).queues.letters()
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


def switch(stack: Stack, _: Request, body: Body) -> Body:
    wanted: dict[object, Gateway] = {"up": "up", "down": "down"}
    if body.get("state") not in ("up", "down"):
        raise HTTPException(422, "state: must be up or down")
    switch_gateway(stack, wanted[body["state"]])
    return {"gateway": gateway(stack)}


def send_twice(stack: Stack, _: Request, body: Body) -> Body:
    order_id = body.get("orderId")
    if not (isinstance(order_id, str) and order_id):
        raise HTTPException(422, "orderId: name the order's id")
    try:
        return {"eventType": "OrderPlacedEvent", "eventId": publish_again(stack, order_id)}
    except UnknownOrder as error:
        raise HTTPException(404, str(error)) from error
    except EventRefused as error:
        raise HTTPException(502, str(error)) from error


def redrive_all(stack: Stack, _: Request, __: Body) -> Body:
    try:
        return {"redriven": watch(stack).queues.redrive()}
    except Undelivered as error:
        raise HTTPException(502, str(error)) from error


def rescue(stack: Stack, request: Request, _: Body) -> Body:
    """The operator's view of one order: failed attempts, dead letters, and when the reconciler next looks at it."""
    order_id = request.query_params.get("orderId")
    if not order_id:
        raise HTTPException(422, "name the order: ?orderId=…")
    return watch(stack).rescue(order_id)


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
