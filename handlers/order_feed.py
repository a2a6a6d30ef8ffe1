"""OrderFeed: each event of an order ─▶ the pages that watch it, through a WebSocket

A page asks for a ticket (POST /orders/{orderId}/ticket), and opens its connection with it ($connect).
"""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, cast

from pydantic.alias_generators import to_camel

from handlers.edge import Context, Envelope, logged
from handlers.http import GatewayResponse, Request, Routes, respond, respond_by
from handlers.own_order import own_order
from handlers.responses import EventResponse, TicketResponse
from handlers.wiring import feed, socket_url, sockets
from orders import clock
from orders.choreography import audit_entry
from orders.events import is_id
from orders.feed import connect, issue_ticket, push
from orders.observability import logger


class SocketContext(TypedDict):
    """What API Gateway says about a WebSocket."""

    routeKey: str
    connectionId: str


class SocketRequest(TypedDict):
    """API Gateway's event for a WebSocket, as far as we use it. Only `$connect` has headers and a query string."""

    requestContext: SocketContext
    headers: NotRequired[Mapping[str, str]]
    queryStringParameters: NotRequired[Mapping[str, str] | None]


def handler(event: Any, context: Context) -> Any:
    """Call the function of the event's trigger: each trigger's events have their own shape."""
    if not isinstance(event, dict) or "requestContext" not in event:
        return send_event(event, context)
    if "routeKey" in event:
        return respond_by(ROUTES, cast(Request, event))
    request = cast(SocketRequest, event)
    return SOCKET_ROUTES[request["requestContext"]["routeKey"]](request)


def create_ticket(request: Request) -> GatewayResponse:
    """201: a ticket for the caller's order in the path. It opens a connection for the page that asks, and no other."""
    ticket = issue_ticket(own_order(request).order_id, request["headers"].get("origin"), feed())
    url = f"{socket_url()}?ticket={ticket.secret}"
    body = TicketResponse(ticket=ticket.secret, expires_at=clock.timestamp(ticket.expires_at), url=url)
    return respond(201, body)


def open_connection(request: SocketRequest) -> dict[str, int]:
    """200 opens the connection, 403 refuses it: the ticket is unknown, used, expired or another page's."""
    headers = {name.lower(): value for name, value in request.get("headers", {}).items()}
    secret = (request.get("queryStringParameters") or {}).get("ticket", "")
    order_id = connect(secret, headers.get("origin"), request["requestContext"]["connectionId"], feed())
    if not order_id:
        logger.info("Refused: the ticket opens no connection")
        return {"statusCode": 403}
    return {"statusCode": 200}


def close_connection(request: SocketRequest) -> dict[str, int]:
    """The page has left, or API Gateway has closed the connection."""
    feed().forget(request["requestContext"]["connectionId"])
    return {"statusCode": 200}


def send_event(envelope: Envelope, context: Context) -> None:
    """Send an event to its order's pages, as `GET /orders/{orderId}/events` would show it."""
    with logged(envelope, context):
        entry = audit_entry(envelope)
        if entry.order_id and is_id(entry.order_id):  # anything else has no page
            shown = EventResponse.model_validate({to_camel(name): value for name, value in entry._asdict().items()})
            push(entry.order_id, shown.model_dump_json(), feed(), sockets())


ROUTES: Routes = {"POST /orders/{orderId}/ticket": create_ticket}
SOCKET_ROUTES = {"$connect": open_connection, "$disconnect": close_connection}
"""A WebSocket API's route → its function."""
