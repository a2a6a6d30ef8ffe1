"""OrderService: the HTTP API. POST /orders ─▶ OrderPlacedEvent; the other routes read."""

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
from orders.choreography import place_order
from orders.errors import IdempotencyKeyReused, OrderNotFound, PublishFailed, UnknownProduct
from orders.events import is_id
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
    with logger.append_context_keys(orderId=order.order_id):
        try:
            bus().publish(order.placed_event())
            logger.info("Placed the order")
        except PublishFailed as error:
            logger.exception("Placed the order, but could not publish it; the reconciler will publish it: %s", error)
    return respond(201, body, {"location": location})


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
}
"""API Gateway's route → its function. Each may raise Problem."""


def _own_order(request: Request) -> Order:
    """The order in the path. Raises Problem 404, also where it is another customer's: only they may know of it."""
    caller, order_id = customer_id(request), request["pathParameters"]["orderId"]
    not_found = Problem("order-not-found", "you have no such order; GET /orders lists yours")
    if not is_id(order_id):
        raise not_found
    try:
        order = store().get(order_id)
    except OrderNotFound:
        raise not_found from None
    if order.customer_id != caller:
        raise not_found
    return order


def _unknown_product(position: int) -> Fault:
    message = "there is no such product; GET /products lists them"
    return Fault(("items", position, "sku"), message, f"items.{position}.sku")
