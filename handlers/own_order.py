"""The order in a request's path, for the customer whose order it is and for nobody else."""

from handlers.http import Problem, Request
from handlers.identity import customer_id
from handlers.wiring import store
from orders.errors import OrderNotFound
from orders.events import is_id
from orders.model import Order


def own_order(request: Request) -> Order:
    """The order in the path. Raises Problem 404, also for another customer's order: only they may know of it."""
    caller = customer_id(request)
    try:
        order = store().get(order_id(request))
    except OrderNotFound:
        raise not_found() from None
    if order.customer_id != caller:
        raise not_found()
    return order


def order_id(request: Request) -> str:
    """The order's id in the path. Raises Problem 404 for text that can't be an id."""
    in_path = request["pathParameters"]["orderId"]
    if not is_id(in_path):
        raise not_found()
    return in_path


def not_found() -> Problem:
    """404, whether the order does not exist or is another customer's."""
    return Problem("order-not-found", "you have no such order; GET /orders lists yours")
