"""OrderService: the HTTP API. POST /orders ─▶ OrderPlacedEvent; the other routes read."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from handlers.http import Fault, Problem, Response, answer, json_body, validation_failed
from handlers.identity import customer, customer_id
from handlers.paging import next_token, page
from handlers.wiring import audit_log, bus, reconcile_after, store
from orders.catalogue import PRODUCTS
from orders.choreography import place_order
from orders.errors import IdempotencyKeyReused, OrderNotFound, PublishFailed, UnknownProduct
from orders.events import is_id
from orders.model import Order, OrderRequest
from orders.observability import count, logger

Request = Mapping[str, Any]

EVENT_FIELDS: Mapping[str, type] = {
    **dict.fromkeys(("eventId", "eventType", "timestamp", "source"), str),
    **dict.fromkeys(("domainEventId", "correlationId", "causationId"), str),
    "attempt": int,
}
"""What the API shows of an entry of the audit log, beside its data: null where there is none of this type."""


def handler(request: Request, _context: Any) -> Response:
    """Answer one request; what nobody expected is logged here and answered with a bare 500."""
    with logger.append_context_keys(correlationId=request["requestContext"]["requestId"], route=request["routeKey"]):
        try:
            response = ROUTES[request["routeKey"]](request)
        except Problem as problem:
            logger.info("Refused: %s", problem)
            response = problem.response()
        except Exception as error:
            logger.exception("%s: %s", type(error).__name__, error)
            response = Problem(500, "internal", "something went wrong on our side; try again later").response()
        return response


def list_products(_request: Request) -> Response:
    return answer(200, {"products": [product.model_dump(by_alias=True) for product in PRODUCTS.values()]})


def create_order(request: Request) -> Response:
    """Write the order, then publish it. An order that could not be published is kept: the reconciler publishes it."""
    caller = customer(request)
    key = _idempotency_key(request)
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
        raise Problem(422, "idempotency-key-reused", str(error)) from error
    except UnknownProduct as error:
        raise validation_failed([_unknown_product(position) for position in error.positions]) from error
    location = f"/orders/{order.order_id}"
    if not is_new:
        return answer(200, order.public(), location=location, idempotency_replayed="true")
    with logger.append_context_keys(orderId=order.order_id):
        try:
            bus().publish(order.placed_event())
            logger.info("Placed the order")
        except PublishFailed as error:
            logger.exception("Placed the order, but its event was not taken; the reconciler will publish it: %s", error)
    return answer(201, order.public(), location=location)


def get_order(request: Request) -> Response:
    return answer(200, _own_order(request).public())


def list_orders(request: Request) -> Response:
    caller = customer_id(request)
    limit, start = page(request, caller)
    found = store().of_customer(caller, limit=limit, start=start)
    for error in found.unreadable:
        count("OrdersUnreadable")
        logger.error("An order is left out of its customer's list: %s", error)
    orders = [order.public() for order in found.orders]
    return answer(200, {"orders": orders, "nextToken": next_token(found.position, caller)})


def list_events(request: Request) -> Response:
    """The order's audit trail: what happened, told by the events themselves."""
    trail = audit_log().trail(_own_order(request).order_id)
    return answer(200, {"events": [_event(entry) for entry in trail]})


ROUTES: Mapping[str, Callable[[Request], Response]] = {
    "GET /products": list_products,
    "POST /orders": create_order,
    "GET /orders": list_orders,
    "GET /orders/{orderId}": get_order,
    "GET /orders/{orderId}/events": list_events,
}


def _own_order(request: Request) -> Order:
    """The order in the path. Raises Problem 404, also where it is somebody else's: that it exists is theirs to know."""
    caller, order_id = customer_id(request), request["pathParameters"]["orderId"]
    not_found = Problem(404, "order-not-found", "you have no such order; GET /orders lists yours")
    if not is_id(order_id):
        raise not_found
    try:
        order = store().get(order_id)
    except OrderNotFound:
        raise not_found from None
    if order.customer_id != caller:
        raise not_found
    return order


def _idempotency_key(request: Request) -> str | None:
    key: str | None = request["headers"].get("idempotency-key")
    if key is not None and not re.fullmatch(r"[ -~]{1,255}", key):
        raise Problem(400, "bad-idempotency-key", "Idempotency-Key takes 1 to 255 printable ASCII characters")
    return key


def _unknown_product(position: int) -> Fault:
    message = "there is no such product; GET /products lists them"
    return Fault(("items", position, "sku"), message, f"items.{position}.sku")


def _event(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as the API shows it. One that is not the audit logger's shows what can be read of it."""
    fields = {name: value if type(value := entry.get(name)) is kind else None for name, kind in EVENT_FIELDS.items()}
    detail = entry.get("detail")
    data = detail.get("data") if isinstance(detail, dict) else None
    try:
        json.dumps(data)
    except TypeError:
        data = None  # sets and bytes, which no event has
    return {**fields, "data": data}
