"""Reconciler: every minute ─▶ OrderPlacedEvent or OrderCancelledEvent again, for each order open for too long"""

from handlers.edge import Context
from handlers.wiring import bus, cancel_after, reconcile_after, store
from orders.choreography import reconcile
from orders.config import config
from orders.errors import ReconciliationIncomplete
from orders.observability import count, logger

_RESERVE_MS = 3000
"""With less time left than this, a run starts no order: one that it reconciles should be published as well."""


def handler(_event: object, context: Context) -> None:
    """Reconcile the due orders one by one. An order that fails does not hold up the others; it fails the run's end."""
    overdue = store().overdue()
    count("OrdersOpenOverAnHour", overdue.open)
    count("OrdersUnsettledOverAnHour", overdue.unsettled)
    failed = []
    orders = store().due(limit=config().reconcile_max_orders)
    for done, due in enumerate(orders):
        if context.get_remaining_time_in_millis() < _RESERVE_MS:
            logger.warning("Out of time: %s of %s orders are left to the next run", len(orders) - done, len(orders))
            break
        with logger.append_context_keys(orderId=due.order_id):
            try:
                event = reconcile(due, store(), first_pause=reconcile_after(), cancel_after=cancel_after())
                if event:
                    bus().publish(event)
                    logger.info("Published the order's event", correlationId=event.metadata.correlation_id)
            except Exception as error:  # noqa: BLE001 # logged; fails the run at its end
                logger.exception("%s: %s", type(error).__name__, error)
                failed.append(due.order_id)
    if failed:
        raise ReconciliationIncomplete(f"{len(failed)} orders could not be reconciled, the first is {failed[0]}")
