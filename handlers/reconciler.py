"""Reconciler: every minute ─▶ OrderPlacedEvent or OrderCancelledEvent again, for each order open for too long"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from handlers.edge import Context
from handlers.wiring import bus, cancel_after, reconcile_after, store
from orders.aws.bus import MOST_EVENTS, EventBus
from orders.choreography import Republication, reconcile, retry_soon
from orders.config import config
from orders.errors import PublishFailed, ReconciliationIncomplete
from orders.events import Event
from orders.observability import count, logger
from orders.ports import Due

_ROUND_MS = 65_000
"""With less time left, a run starts no further round: the next run, a minute after this one, continues.

A round takes a fraction of a second, and less than this time even if several of its calls hang.
"""


@dataclass
class _Outcome:
    """The outcome of a batch of due orders."""

    published: list[Event] = field(default_factory=list)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    """The id of each order that could not be reconciled, and why."""
    is_bus_down: bool = False
    """Whether the bus accepted none of the batch's events."""


def handler(_event: object, context: Context) -> None:
    """Reconcile the due orders in rounds, the oldest due first, one batch for each thread.

    An order that fails does not hold up the others: the run raises at its end. If the bus accepts no events, the run
    leaves the other orders as they are, and the first run after the outage finds them due.
    """
    overdue = store().overdue()
    count("OrdersOpenOverAnHour", overdue.open)
    count("OrdersUnsettledOverAnHour", overdue.unsettled)
    failed: list[str] = []
    with ThreadPoolExecutor(config().reconcile_concurrency) as pool:
        due = store().due(pool)
        while batches := list(islice(_batches(due), config().reconcile_concurrency)):
            if context.get_remaining_time_in_millis() < _ROUND_MS:
                logger.warning("Out of time: the next run continues with the orders due since %s", batches[0][0].due_at)
                break
            outcomes = list(pool.map(partial(reconcile_batch, bus()), batches))  # clients are made by one thread
            failed += _report(outcomes)
            if any(outcome.is_bus_down for outcome in outcomes):
                logger.warning("The bus accepts no events: the next run continues with the orders that are due")
                break
    if failed:
        raise ReconciliationIncomplete(f"{len(failed)} orders could not be reconciled, the first is {failed[0]}")


def _batches(due: Iterator[Due]) -> Iterator[Sequence[Due]]:
    """Yield batches of as many due orders as the bus accepts events in one call."""
    while batch := list(islice(due, MOST_EVENTS)):
        yield batch


def reconcile_batch(event_bus: EventBus, batch: Sequence[Due]) -> _Outcome:
    """Read the orders together, reconcile each with its own write, and publish their events together."""
    outcome, republications = _Outcome(), []
    try:
        orders = store().get_all([due.order_id for due in batch])
    except Exception as error:  # noqa: BLE001 # reported with the round
        outcome.failures += [(due.order_id, error) for due in batch]
        return outcome
    for due, order in zip(batch, orders, strict=True):
        try:
            republication = reconcile(due, order, store(), first_pause=reconcile_after(), cancel_after=cancel_after())
        except Exception as error:  # noqa: BLE001 # likewise
            outcome.failures.append((due.order_id, error))
        else:
            republications += [republication] if republication else []
    if republications:
        _publish(event_bus, republications, outcome)
    return outcome


def _publish(event_bus: EventBus, republications: Sequence[Republication], outcome: _Outcome) -> None:
    results = event_bus.publish_all([republication.event for republication in republications])
    for republication, result in zip(republications, results, strict=True):
        if not isinstance(result, PublishFailed):
            outcome.published.append(republication.event)
            continue
        outcome.failures.append((republication.due.order_id, result))
        try:
            retry_soon(republication, store(), first_pause=reconcile_after())
        except Exception as error:  # noqa: BLE001 # likewise; the order is due after its next pause
            outcome.failures.append((republication.due.order_id, error))
    outcome.is_bus_down = not outcome.published


def _report(outcomes: Sequence[_Outcome]) -> list[str]:
    """Log and count the outcomes of a round. Return the ids of the orders that failed."""
    published = [event for outcome in outcomes for event in outcome.published]
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    for event in published:
        logger.info("Published the order's event", orderId=event.order_id, correlationId=event.metadata.correlation_id)
    for order_id, error in failures:
        logger.error("%s: %s", type(error).__name__, error, exc_info=error, orderId=order_id)
    if published:
        count("OrdersReconciled", len(published))
    return list(dict.fromkeys(order_id for order_id, _ in failures))
