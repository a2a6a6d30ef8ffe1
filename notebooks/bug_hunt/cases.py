"""The bugs of the hunt: twelve of the simulator's seeded bugs that a handful of orders brings to light.

Reading on spoils the hunt.
"""

from random import Random
from typing import NamedTuple

from verification.simulation.bugs import BUGS, Bug


class Case(NamedTuple):
    """A seeded bug as a case to solve."""

    level: int
    bug: Bug
    function: str
    """The function that is to blame."""
    kind: str
    """What it does wrong, in the words of `evidence.KINDS`."""
    hints: tuple[str, str, str]


def _case(level: int, name: str, function: str, kind: str, *hints: str) -> Case:
    [bug] = [each for each in BUGS if each.name == name]
    first, second, third = hints
    return Case(level, bug, function, kind, (first, second, third))


CASES = (
    _case(
        1,
        "the old status is not checked",
        "OrderStatusUpdater",
        "sets a status back",
        "Compare each order's status with its parcel and its e-mail: do they say the same?",
        "Read `statusHistory` of the orders in Orders from left to right.",
        "One order was shipped and is `PAID`. Only one function writes the status.",
    ),
    _case(
        1,
        "a customer is notified again",
        "Notification",
        "notifies the customer twice",
        "Every table looks right. What does the customer receive that no table shows?",
        "Count what each function *did* for an order: its log has a line for each effect.",
        "Look for `The email was sent` in Notification's log, order by order.",
    ),
    _case(
        1,
        "the last fulfilment wins",
        "Fulfillment",
        "replaces a stored result",
        "The statuses are right. Compare what the events announced with what is stored.",
        "An event is built from what its step stored. Which attribute of Orders differs from its event in AuditLog?",
        "Compare the tracking id in `FulfillmentCompletedEvent` with the one in Orders.",
    ),
    _case(
        1,
        "a payment names the wrong cause",
        "PaymentProcessing",
        "names a wrong cause",
        "Every order ended well. Draw one with `tour.tree`: does it look like one from notebook 8?",
        "Each `causationId` should be the `domainEventId` of another row of the order. Is it, where a row has one?",
        "The first row whose cause is missing was published by the function to blame: look at its `source`.",
    ),
    _case(
        2,
        "each attempt has an idempotency key of its own",
        "PaymentProcessing",
        "charges twice",
        "The orders look right. The provider has a ledger of its own: does it agree?",
        "Look for *all* rows of GatewayLedger whose `reference` is the order's id, whatever their key.",
        "Look at the order whose payment could not be stored at first: how often did money move, and under which keys?",
    ),
    _case(
        2,
        "an order is shipped although it is not paid",
        "Fulfillment",
        "believes an event that contradicts the order",
        "An event either changes its order correctly or ends in the dead-letter queue. Which event did neither?",
        "Besides AuditLogger, the forged event has two consumers. Which of them has a dead letter, and which has none?",
        "Look at the declined order: is there a parcel?",
    ),
    _case(
        2,
        "an error is logged and swallowed",
        "PaymentProcessing",
        "swallows its errors",
        "One order is still `PLACED`. Where did its event go?",
        "A failed event is tried three times and then kept in the dead-letter queue. Is that what you see?",
        "Count PaymentProcessing's errors for the order in its log. Nobody retries an invocation that succeeded.",
    ),
    _case(
        2,
        "an order is cancelled after it was shipped",
        "OrderService",
        "cancels what is shipped",
        "An API's response is a promise. Compare each response with what is stored.",
        "Look at the order whose cancellation was refused, attribute by attribute.",
        "A refused write leaves the order as it was. Is there a `cancellation`?",
    ),
    _case(
        3,
        "an order is shipped after it was cancelled",
        "Fulfillment",
        "ships what is cancelled",
        "An order is either shipped or cancelled. Is that so?",
        "Look at the order of the race. Which of the two results did it have first?",
        "Compare `occurredAt` of `cancellation` and `fulfillment`. The second write should have been refused.",
    ),
    _case(
        3,
        "an order is closed when its status is final",
        "OrderStatusUpdater",
        "closes an order too early",
        "One customer was never notified, although the Reconciler ran. Did it see the order?",
        "The Reconciler finds an order by its `dueAt`. Which orders still have one, and which should?",
        "A function closed the order before its e-mail was sent. Which function wrote to the order last?",
    ),
    _case(
        3,
        "the reconciler republishes a cancelled order as placed",
        "Reconciler",
        "republishes the wrong event",
        "One customer got the money back and was never notified. Which event would have notified them?",
        "Look at the rows whose `attempt` is greater than 1: which function published the first of them?",
        "The crash lost one event, and another one was published in its place. Compare the two types.",
    ),
    _case(
        3,
        "the event is not published",
        "Fulfillment",
        "stores its result without publishing it",
        "One customer was never notified, although the Reconciler ran and found the order. How far did the chain get?",
        "Compare the rows of attempt 1 with those of attempt 2. Which event is missing the second time?",
        "Which function publishes the missing event? It should find its stored result, and publish the event again.",
    ),
)


def chosen(level: int, seed: int | None) -> Case:
    """A case of the level; the same seed always chooses the same one."""
    return Random(seed).choice([case for case in CASES if case.level == level])
