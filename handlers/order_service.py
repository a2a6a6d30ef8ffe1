"""OrderService: the HTTP API. Two routes publish an event; the others only read.

POST /orders ─▶ OrderPlacedEvent, POST /orders/{orderId}/cancellation ─▶ OrderCancelledEvent
"""

from handlers.http import (
    Fault,
    GatewayResponse,
    Problem,
    Request,
    Routes,
    idempotency_key,
    json_body,
    respond,
    respond_by,
    validation_failed,
)
from handlers.identity import customer, customer_id
from handlers.own_order import not_found, order_id, own_order
from handlers.paging import next_token, page
from handlers.responses import EventResponse, EventsResponse, OrderResponse, OrdersResponse, ProductsResponse
from handlers.wiring import audit_log, bus, reconcile_after, store
from orders.catalogue import PRODUCTS
from orders.choreography import cancel_order, place_order
from orders.errors import IdempotencyKeyReused, OrderNotFound, PublishFailed, TooLateToCancel, UnknownProduct
from orders.events import Event
from orders.model import OrderRequest
from orders.observability import count, logger


def handler(request: Request, _context: object) -> GatewayResponse:
    return respond_by(ROUTES, request)


def list_products(_request: Request) -> GatewayResponse:
    """200: the shop's products."""
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

    The response does not wait until the payment is settled. The request needs no body; one that is sent is ignored.
    """
    caller = customer_id(request)
    try:
        order, is_new = cancel_order(
            order_id(request),
            caller,
            store(),
            request_id=request["requestContext"]["requestId"],
            due_in=reconcile_after(),
        )
    except OrderNotFound:
        raise not_found() from None
    except TooLateToCancel as error:
        raise Problem("too-late", str(error)) from error
    if is_new:
        _publish(order.cancelled_event())
    return respond(202 if is_new else 200, OrderResponse.model_validate(order))


def get_order(request: Request) -> GatewayResponse:
    """200: the caller's order in the path."""
    return respond(200, OrderResponse.model_validate(own_order(request)))


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
    trail = audit_log().trail(own_order(request).order_id)
    return respond(200, EventsResponse(events=tuple(map(EventResponse.model_validate, trail))))


ROUTES: Routes = {
    "GET /products": list_products,
    "POST /orders": create_order,
    "GET /orders": list_orders,
    "GET /orders/{orderId}": get_order,
    "GET /orders/{orderId}/events": list_events,
    "POST /orders/{orderId}/cancellation": create_cancellation,
}


def _publish(event: Event) -> None:
    """Publish the stored event. If that fails, the request still succeeds: the reconciler publishes the event."""
    try:
        bus().publish(event)
    except PublishFailed as error:
        reason = "%s could not be published; the reconciler will publish it: %s"
        logger.exception(reason, event.detail_type(), error, orderId=event.order_id)


def _unknown_product(position: int) -> Fault:
    message = "there is no such product; GET /products lists them"
    return Fault(("items", position, "sku"), message, f"items.{position}.sku")
