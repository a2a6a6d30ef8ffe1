"""OrderService: the HTTP API. The routes that don't publish only read.

POST /orders ─▶ OrderPlacedEvent, POST /orders/{orderId}/cancellation ─▶ OrderCancelledEvent
"""

from collections.abc import Callable, Mapping

from handlers.http import (
    Fault,
    GatewayResponse,
    Problem,
    Request,
    idempotency_key,
    json_body,
    respond,
    validation_failed,
)
from handlers.identity import customer, customer_id
from handlers.paging import next_token, page
from handlers.responses import EventResponse, EventsResponse, OrderResponse, OrdersResponse, ProductsResponse
from handlers.wiring import audit_log, bus, reconcile_after, store
from orders.catalogue import PRODUCTS
from orders.choreography import cancel_order, place_order
from orders.errors import IdempotencyKeyReused, OrderNotFound, PublishFailed, TooLateToCancel, UnknownProduct
from orders.events import Event, is_id
from orders.model import Order, OrderRequest
from orders.observability import count, logger


def handler(request: Request, _context: object) -> GatewayResponse:
    """Respond to one request. An unexpected exception is logged, and its response is a 500 that shows none of it."""
    with logger.append_context_keys(correlationId=request["requestContext"]["requestId"], route=request["routeKey"]):
        try:
            response = ROUTES[request["routeKey"]](request)
        except Problem as problem:
            logger.info("Refused: %s", problem)
            response = problem.response()
        except Exception as error:  # noqa: BLE001 # logged, and the client gets a 500 that says nothing of the inside
            logger.exception("%s: %s", type(error).__name__, error)
            response = Problem("internal", "something went wrong on our side; try again later").response()
        return response


def list_products(_request: Request) -> GatewayResponse:
    """200: what the shop sells."""
    return respond(200, ProductsResponse.model_validate({"products": tuple(PRODUCTS.values())}))


def create_order(request: Request) -> GatewayResponse:
    """Store the order, then publish it: 201. An Idempotency-Key that was used for the same order: 200, no event.

    An order whose event could not be published is kept: the reconciler publishes it.
    """
    caller = customer(request)
    key = idempotency_key(request)
    try:
        order, is_new = place_order(
            json_body(request, OrderRequest),
            caller,
            store(),
            request_id=request["requestContext"]["requestId"],
            idempotency_key=key,
            due_in=reconcile_after(),
        )
    except IdempotencyKeyReused as error:
        raise Problem("idempotency-key-reused", str(error)) from error
    except UnknownProduct as error:
        raise validation_failed([_unknown_product(position) for position in error.positions]) from error
    body, location = OrderResponse.model_validate(order), f"/orders/{order.order_id}"
    if not is_new:
        return respond(200, body, {"location": location, "idempotency-replayed": "true"})
    _publish(order.placed_event())
    return respond(201, body, {"location": location})


def create_cancellation(request: Request) -> GatewayResponse:
    """Cancel the caller's order in the path, then publish that: 202. Cancelled by an earlier request: 200, no event.

    The response does not wait until the payment is settled. There is no body to send, and one that is sent is ignored.
    """
    caller = customer_id(request)
    try:
        order, is_new = cancel_order(
            _order_id(request),
            caller,
            store(),
            request_id=request["requestContext"]["requestId"],
            due_in=reconcile_after(),
        )
    except OrderNotFound:
        raise _not_found() from None
    except TooLateToCancel as error:
        raise Problem("too-late", str(error)) from error
    if is_new:
        _publish(order.cancelled_event())
    return respond(202 if is_new else 200, OrderResponse.model_validate(order))


def get_order(request: Request) -> GatewayResponse:
    """200: the caller's order in the path."""
    return respond(200, OrderResponse.model_validate(_own_order(request)))


def list_orders(request: Request) -> GatewayResponse:
    """200: a page of the caller's orders. One that can't be read is left out, logged and counted."""
    caller = customer_id(request)
    limit, start = page(request, caller)
    found = store().of_customer(caller, limit=limit, start=start)
    for error in found.unreadable:
        count("OrdersUnreadable")
        logger.error("An order is left out of its customer's list: %s", error)
    orders = tuple(OrderResponse.model_validate(order) for order in found.orders)
    return respond(200, OrdersResponse(orders=orders, next_token=next_token(found.position, caller)))


def list_events(request: Request) -> GatewayResponse:
    """200: the audit trail of the caller's order in the path."""
    trail = audit_log().trail(_own_order(request).order_id)
    return respond(200, EventsResponse(events=tuple(map(EventResponse.model_validate, trail))))


ROUTES: Mapping[str, Callable[[Request], GatewayResponse]] = {
    "GET /products": list_products,
    "POST /orders": create_order,
    "GET /orders": list_orders,
    "GET /orders/{orderId}": get_order,
    "GET /orders/{orderId}/events": list_events,
    "POST /orders/{orderId}/cancellation": create_cancellation,
}
"""API Gateway's route → its function. Each may raise Problem."""


def _own_order(request: Request) -> Order:
    """The order in the path. Raises Problem 404, also where it is another customer's: only they may know of it."""
    caller = customer_id(request)
    try:
        order = store().get(_order_id(request))
    except OrderNotFound:
        raise _not_found() from None
    if order.customer_id != caller:
        raise _not_found()
    return order


def _order_id(request: Request) -> str:
    """The order's id in the path. Raises Problem 404 for what can't be one."""
    order_id = request["pathParameters"]["orderId"]
    if not is_id(order_id):
        raise _not_found()
    return order_id


def _not_found() -> Problem:
    return Problem("order-not-found", "you have no such order; GET /orders lists yours")


def _publish(event: Event) -> None:
    """Publish what is stored. Where that fails, the request does not: the reconciler publishes it."""
    try:
        bus().publish(event)
    except PublishFailed as error:
        reason = "%s could not be published; the reconciler will publish it: %s"
        logger.exception(reason, event.detail_type(), error, orderId=event.order_id)


def _unknown_product(position: int) -> Fault:
    message = "there is no such product; GET /products lists them"
    return Fault(("items", position, "sku"), message, f"items.{position}.sku")
