"""Every step of an order's life, top to bottom. No step calls another: events lead from one to the next.

    place_order ─▶ OrderPlacedEvent ─▶ take_payment ─▶ PaymentCompletedEvent ─▶ fulfill ─▶ FulfillmentCompletedEvent
                                                    └▶ PaymentFailedEvent
    move_status    moves the order's status on what payment and fulfilment tell
    tell_customer  writes to the customer when the order has ended
    keep_record    puts every event into the audit log
    take_up        starts an order anew that has been open for too long

Events arrive at least once and in any order. So each step first stores its result, by a conditional write that the
first one wins, and then returns the event *built from what is stored*: a step that is repeated, after a crash between
the two or for any other reason, returns the same event again. And each checks the event against the order, which is
the truth. Only while the order is open does a step return an event at all.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

from orders import clock
from orders.aws.audit import AuditLog
from orders.aws.dynamodb import LONGEST_PARTITION_KEY, is_key
from orders.aws.mail import Post
from orders.aws.store import Due, OrderStore, Written
from orders.errors import (
    ClaimedByAnother,
    IdempotencyKeyReused,
    MalformedEvent,
    MalformedOrder,
    MessageRejected,
    OrderNotFound,
    UnknownProduct,
)
from orders.events import (
    FulfillmentCompletedEvent,
    OrderPlacedEvent,
    Outcome,
    PaymentCompletedEvent,
    PaymentFailedEvent,
    new_id,
)
from orders.letter import letter
from orders.model import Channel, Customer, Fulfillment, Order, OrderRequest, Payment, Receipt
from orders.observability import count, logger, seconds
from orders.payments import SimulatedGateway

CARRIER = "Northwind Parcel"
HOUR = timedelta(hours=1)
LONGEST_PAUSE = timedelta(hours=6)
_KEYED_ORDERS = UUID("0d2f0a52-6f0e-4a0e-9f43-5d8b6d0c6c1f")


# --- OrderService -----------------------------------------------------------------------------------------------------


def place_order(
    request: OrderRequest,
    customer: Customer,
    store: OrderStore,
    *,
    request_id: str,
    idempotency_key: str | None,
    due_in: timedelta,
) -> Written:
    """Write the order; `applied` is False for the repetition of an earlier request, whose order comes back.

    With a key, the order's id is made of customer and key: the same key can only ever mean the same order.
    Raises IdempotencyKeyReused where the key's order is another one than the request asks for, and UnknownProduct
    where there is no such order and no such product.
    """
    own = uuid5(_KEYED_ORDERS, customer.customer_id)
    order_id = str(uuid4() if idempotency_key is None else uuid5(own, idempotency_key))
    at = clock.timestamp(clock.now())
    try:
        order = Order.place(request, customer, order_id=order_id, request_id=request_id, at=at, event_id=new_id())
    except UnknownProduct as unknown:
        if idempotency_key is None:
            raise
        try:
            placed = Written(store.get(order_id), applied=False)  # placed while the product was sold
        except OrderNotFound:
            raise unknown from None
    else:
        placed = store.put(order, due_in=due_in)
        # The SDK repeats a write whose answer was lost, and finds the order there: if this request wrote it, it is new.
        if placed.applied or placed.order.correlation_id == request_id:
            count("OrdersPlaced")
            return Written(placed.order, applied=True)
    if not placed.order.answers(request):
        raise IdempotencyKeyReused("this Idempotency-Key belongs to another order; take a new key for a new order")
    return placed


# --- PaymentProcessing ------------------------------------------------------------------------------------------------


def take_payment(
    placed: OrderPlacedEvent, store: OrderStore, gateway: SimulatedGateway
) -> PaymentCompletedEvent | PaymentFailedEvent | None:
    """Charge the stored amount once, however often the event arrives; None when the order is closed.

    Raises GatewayUnavailable, OrderNotFound, EventContradictsOrder.
    """
    order = store.get(placed.order_id)
    order.confirm(placed)
    if order.is_open and order.payment is None:
        charge = gateway.charge(
            order.payment_method, order.total_amount, order.currency, idempotency_key=order.order_id
        )
        payment = Payment(
            payment_id=charge.payment_id,
            status="FAILED" if charge.declined else "COMPLETED",
            reason=charge.declined,
            event_id=new_id(),
            occurred_at=clock.just_after(placed.metadata.occurred_at),
            causation_id=placed.metadata.event_id,
        )
        order = store.record_payment(order, payment)
        if order.payment == payment:
            count("OrdersDeclined" if charge.declined else "OrdersPaid")
            logger.info("The payment is %s", payment.status, paymentId=payment.payment_id, reason=payment.reason)
    return order.payment_event() if order.is_open else None


# --- Fulfillment ------------------------------------------------------------------------------------------------------


def fulfill(paid: PaymentCompletedEvent, store: OrderStore) -> FulfillmentCompletedEvent | None:
    """Make the order ready to ship and give it a tracking id, once; None when the order is closed.

    Raises OrderNotFound, and EventContradictsOrder where no such payment is stored.
    """
    fulfillment = Fulfillment(
        tracking_id=f"NW{uuid4().hex[:12].upper()}",
        carrier=CARRIER,
        event_id=new_id(),
        occurred_at=clock.just_after(paid.metadata.occurred_at),
        causation_id=paid.metadata.event_id,
    )
    order, applied = store.record_fulfillment(paid, fulfillment)
    if not applied:
        order.confirm(paid)
    if order.fulfillment == fulfillment:
        count("OrdersFulfilled")
        logger.info("The order is ready to ship", trackingId=fulfillment.tracking_id)
    return order.fulfillment_event() if order.is_open else None


# --- OrderStatusUpdater -----------------------------------------------------------------------------------------------


def move_status(
    event: PaymentCompletedEvent | PaymentFailedEvent | FulfillmentCompletedEvent, store: OrderStore
) -> None:
    """Move the status as the state machine allows; an event that comes late or again moves nothing.

    Raises OrderNotFound, EventContradictsOrder.
    """
    order, moved = store.advance(event)
    if moved:
        logger.info("The order is %s", order.status)
        if order.is_final:
            seconds("SecondsToFinalStatus", (clock.now() - clock.moment(order.placed_at)).total_seconds())
    else:
        order.confirm(event)
    _close_if_ended(order, store)


# --- Notification -----------------------------------------------------------------------------------------------------


def tell_customer(event: Outcome, store: OrderStore, post: Post, *, owner: str, stale_after: timedelta) -> None:
    """Send the e-mail, and a text message where the order has a phone number that we text, once each per order.

    The right to send is claimed before and given back with the receipt: only a crash between sending and recording can
    send again, after the claim is stale. Raises ClaimedByAnother, OrderNotFound, EventContradictsOrder.
    """
    order = _send_once("email", event, store, post, owner=owner, stale_after=stale_after)
    _close_if_ended(order, store)
    if post.texts(order.phone):
        _send_once("sms", event, store, post, owner=owner, stale_after=stale_after)


def _send_once(
    channel: Channel, event: Outcome, store: OrderStore, post: Post, *, owner: str, stale_after: timedelta
) -> Order:
    order, claimed = store.claim(event, channel, owner=owner, stale_after=stale_after)
    if not claimed:
        order.confirm(event)
        if order.receipt(channel) is None:
            raise ClaimedByAnother(f"order {order.order_id}: another invocation is sending the {channel} right now")
        return order
    try:
        message_id = post.send(channel, order, letter(order, event))
    except MessageRejected as rejection:
        count("NotificationsRejected")
        logger.warning("The %s was rejected for good", channel, reason=str(rejection))
        receipt = Receipt(channel=channel, at=clock.timestamp(clock.now()), rejection=str(rejection))
    else:
        if channel == "email":
            count("CustomersNotified")
        logger.info("The %s was sent", channel, messageId=message_id)
        receipt = Receipt(channel=channel, at=clock.timestamp(clock.now()), message_id=message_id)
    return store.record_receipt(order, receipt)


def _close_if_ended(order: Order, store: OrderStore) -> None:
    """Status updater and notification call this after their write: whichever comes second sees the other's."""
    if order.due_at and not order.is_open:
        store.close(order)


# --- AuditLogger ------------------------------------------------------------------------------------------------------


def keep_record(envelope: Mapping[str, Any], log: AuditLog) -> bool:
    """Log an EventBridge event once, whether a model accepts it or not; False where it was logged before.

    Of the detail, what is absent, or can't be a key or a number of DynamoDB's, is left out. Raises MalformedEvent for
    what is no event at all.
    """
    for name in ("id", "time", "detail-type", "source"):
        if _text(envelope.get(name)) is None:
            raise MalformedEvent(f"{name} is missing or no text, so this is no event of EventBridge's")
    detail = envelope.get("detail")
    metadata, data = _map(detail, "metadata"), _map(detail, "data")
    occurred_at = metadata.get("occurredAt")
    entry = {
        "eventId": envelope["id"],
        "timestamp": occurred_at if clock.is_timestamp(occurred_at) else envelope["time"].replace("Z", ".000Z"),
        "eventType": envelope["detail-type"],
        "source": envelope["source"],
        "orderId": _text(data.get("orderId")),
        "domainEventId": _text(metadata.get("eventId")),
        "correlationId": _text(metadata.get("correlationId")),
        "causationId": _text(metadata.get("causationId")),
        "attempt": attempt if type(attempt := metadata.get("attempt")) is int and abs(attempt) < 10**38 else None,
    }
    return log.add({name: value for name, value in entry.items() if value is not None}, detail)


def _map(detail: object, name: str) -> Mapping[str, Any]:
    value = detail.get(name) if isinstance(detail, dict) else None
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    """A string that can be a partition key."""
    return value if is_key(value, LONGEST_PARTITION_KEY) else None


# --- Reconciler -------------------------------------------------------------------------------------------------------


def take_up(due: Due, store: OrderStore, *, first_pause: timedelta) -> OrderPlacedEvent | None:
    """Start an order anew whose time has come: each step finds its result stored and passes the baton on.

    None where the order has ended, and is closed, or where another run took it up. The pauses double, up to six hours,
    without end; one ends when the order has been open for an hour, which moves it to where those are counted. Raises
    MalformedOrder, and looks at that order again after the longest pause.
    """
    now = clock.now()
    try:
        order = store.get(due.order_id)
    except MalformedOrder:
        store.put_off(due, clock.timestamp(now + LONGEST_PAUSE))  # or it would be the first to be due for ever
        raise
    an_hour_old = clock.moment(order.placed_at) + HOUR
    next_due = now + min(first_pause * 2 ** min(order.attempt, 16), LONGEST_PAUSE)
    if now < an_hour_old:
        next_due = min(next_due, an_hour_old)
    own_id = new_id()
    order, taken = store.take_up(
        due, reconciliation_id=own_id, next_due=clock.timestamp(next_due), over_an_hour=now >= an_hour_old
    )
    # The SDK repeats a write whose response was lost, and finds its own id there: then this run took the order up. The
    # due time would not tell: two runs that read an order of 35 minutes both plan its next attempt for the full hour.
    if not taken and order.reconciliation_id != own_id:
        return None
    if not order.is_open:
        store.close(order)
        return None
    count("OrdersReconciled")
    return order.placed_event()
