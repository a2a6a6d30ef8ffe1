"""Reconciler: every minute ─▶ OrderPlacedEvent again, for an order that has been open for too long"""

from typing import Any

from handlers.wiring import bus, reconcile_after, store
from orders.choreography import take_up
from orders.config import config
from orders.errors import ReconciliationIncomplete
from orders.observability import count, logger

_RESERVE_MS = 3000
"""A run starts no order with less time than this: an order that is taken up should be published as well."""


def handler(_event: Any, context: Any) -> None:
    """Take up the orders that are due, one by one: what fails for one must not hold up the others."""
    count("OrdersOpenOverAnHour", store().open_over_an_hour())
    failed = []
    orders = store().due(limit=config().reconcile_max_orders)
    for done, due in enumerate(orders):
        if context.get_remaining_time_in_millis() < _RESERVE_MS:
            logger.warning("Out of time: %s of %s orders are left to the next run", len(orders) - done, len(orders))
            break
        with logger.append_context_keys(orderId=due.order_id):
            try:
                placed = take_up(due, store(), first_pause=reconcile_after())
                if placed:
                    bus().publish(placed)
                    logger.info("Took the order up", correlationId=placed.metadata.correlation_id)
            except Exception as error:
                logger.exception("%s: %s", type(error).__name__, error)
                failed.append(due.order_id)
    if failed:
        raise ReconciliationIncomplete(f"{len(failed)} orders could not be taken up, the first is {failed[0]}")
