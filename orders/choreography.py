"""Every step of an order's life, top to bottom. No step calls another: each event leads to the next step.

    place_order ─▶ OrderPlacedEvent ─▶ take_payment ─▶ PaymentCompletedEvent ─▶ fulfill ─▶ FulfillmentCompletedEvent
                                                    └▶ PaymentFailedEvent
    update_status    changes the order's status after payment and fulfilment
    notify_customer  writes to the customer when the order has ended
    record_event     adds every event to the audit log
    reconcile        republishes an order that has been open for too long

Events arrive at least once and in any order. So each step first stores its result by a conditional write, which only
the first writer wins, and then returns the event *built from what is stored*: a step that runs again, after a crash
between the two or for any other reason, returns the same event. Each step verifies its event against the order, which
is the truth, and returns an event of its own only while the order is open.
"""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID, uuid4, uuid5

from orders import clock
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
    FinalEvent,
    FulfillmentCompletedEvent,
    OrderPlacedEvent,
    PaymentCompletedEvent,
    PaymentFailedEvent,
    new_id,
)
from orders.message import message
from orders.model import Channel, Customer, Fulfillment, Order, OrderRequest, Payment, Receipt
from orders.observability import count, logger, seconds
from orders.ports import AuditEntry, AuditLog, Due, Notifier, OrderStore, PaymentGateway, WriteResult

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
) -> WriteResult:
    """Store the order. `applied` is False when an earlier request with the same key stored it.

    With a key, the order's id is derived from customer and key: the same key can only ever mean the same order. After
    `due_in` the reconciler republishes the order, if it is still open. Raises IdempotencyKeyReused when the key's order
    is not what the request asks for, and UnknownProduct when there is no such order and no such product.
    """
    own = uuid5(_KEYED_ORDERS, customer.customer_id)
    order_id = str(uuid4() if idempotency_key is None else uuid5(own, idempotency_key))
    now = clock.now()
    try:
        order = Order.place(
            request,
            customer,
            order_id=order_id,
            request_id=request_id,
            at=clock.timestamp(now),
            due_at=clock.timestamp(now + due_in),
            event_id=new_id(),
        )
    except UnknownProduct as unknown:
        if idempotency_key is None:
            raise
        try:
            placed = WriteResult(store.get(order_id), applied=False)  # placed while the product was sold
        except OrderNotFound:
            raise unknown from None
    else:
        placed = store.put(order)
    if placed.applied:
        count("OrdersPlaced")
    elif not placed.order.matches(request):
        raise IdempotencyKeyReused("this Idempotency-Key belongs to another order; take a new key for a new order")
    return placed


# --- PaymentProcessing ------------------------------------------------------------------------------------------------


def take_payment(
    placed: OrderPlacedEvent, store: OrderStore, gateway: PaymentGateway
) -> PaymentCompletedEvent | PaymentFailedEvent | None:
    """Charge the stored amount once, however often the event arrives; None when the order is closed.

    Raises GatewayUnavailable, OrderNotFound, EventContradictsOrder.
    """
    order = store.get(placed.order_id)
    order.verify(placed)
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
    """Make the order ready to ship, with a tracking id, once; None when the order is closed.

    Raises OrderNotFound, and EventContradictsOrder when the stored payment does not match the event.
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
        order.verify(paid)
    if order.fulfillment == fulfillment:
        count("OrdersFulfilled")
        logger.info("The order is ready to ship", trackingId=fulfillment.tracking_id)
    return order.fulfillment_event() if order.is_open else None


# --- OrderStatusUpdater -----------------------------------------------------------------------------------------------


def update_status(
    event: PaymentCompletedEvent | PaymentFailedEvent | FulfillmentCompletedEvent, store: OrderStore
) -> None:
    """Change the status as the state machine allows; an event that comes late or again changes nothing.

    Raises OrderNotFound, EventContradictsOrder.
    """
    order, changed = store.advance(event)
    if changed:
        logger.info("The order is %s", order.status)
        if order.is_final:
            seconds("SecondsToFinalStatus", (clock.now() - clock.moment(order.placed_at)).total_seconds())
    else:
        order.verify(event)
    _close_if_ended(order, store)


# --- Notification -----------------------------------------------------------------------------------------------------


def notify_customer(
    event: FinalEvent, store: OrderStore, notifier: Notifier, *, owner: str, stale_after: timedelta
) -> None:
    """Send the e-mail and, when the order has a phone number that we text, a text message: each once per order.

    The right to send is claimed first and released with the receipt. So only a crash between sending and recording can
    send again, once the claim is stale. Raises ClaimedByAnother, NotifierUnavailable, OrderNotFound,
    EventContradictsOrder.
    """
    order = _send_once("email", event, store, notifier, owner=owner, stale_after=stale_after)
    _close_if_ended(order, store)
    if notifier.can_text(order.phone):
        _send_once("sms", event, store, notifier, owner=owner, stale_after=stale_after)


def _send_once(
    channel: Channel, event: FinalEvent, store: OrderStore, notifier: Notifier, *, owner: str, stale_after: timedelta
) -> Order:
    order, claimed = store.claim(event, channel, owner=owner, stale_after=stale_after)
    if not claimed:
        order.verify(event)
        if order.receipt(channel) is None:
            raise ClaimedByAnother(f"order {order.order_id}: another invocation is sending the {channel} right now")
        return order
    try:
        message_id = notifier.send(channel, order, message(order))
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
    """Close the order after the write of status updater or notification: the later of the two sees the other's."""
    if order.due_at and not order.is_open:
        store.close(order)


# --- AuditLogger ------------------------------------------------------------------------------------------------------


def record_event(envelope: Mapping[str, object], log: AuditLog) -> bool:
    """Add an EventBridge event to the audit log once, whether a model accepts it or not; False for a repetition.

    Raises MalformedEvent for what EventBridge never delivers.
    """
    time, detail = _required_text(envelope, "time"), envelope.get("detail")
    metadata, data = _map(detail, "metadata"), _map(detail, "data")
    occurred_at, attempt = metadata.get("occurredAt"), metadata.get("attempt")
    return log.add(
        AuditEntry(
            event_id=_required_text(envelope, "id"),
            timestamp=occurred_at if clock.is_timestamp(occurred_at) else time.replace("Z", ".000Z"),
            event_type=_required_text(envelope, "detail-type"),
            source=_required_text(envelope, "source"),
            order_id=_text(data, "orderId"),
            domain_event_id=_text(metadata, "eventId"),
            correlation_id=_text(metadata, "correlationId"),
            causation_id=_text(metadata, "causationId"),
            attempt=attempt if type(attempt) is int else None,
            detail=detail,
        )
    )


def _map(value: object, name: str) -> Mapping[str, object]:
    """The map under a name; an empty one when there is none."""
    member = value.get(name) if isinstance(value, dict) else None
    return member if isinstance(member, dict) else {}


def _text(values: Mapping[str, object], name: str) -> str | None:
    """The text under a name; None when there is none."""
    value = values.get(name)
    return value if isinstance(value, str) else None


def _required_text(envelope: Mapping[str, object], name: str) -> str:
    text = _text(envelope, name)
    if not text:
        raise MalformedEvent(f"{name} is missing or not text: EventBridge delivers no such event")
    return text


# --- Reconciler -------------------------------------------------------------------------------------------------------


def reconcile(due: Due, store: OrderStore, *, first_pause: timedelta) -> OrderPlacedEvent | None:
    """Return the event that starts a due order again: each step finds its result stored and publishes the next event.

    None when the order has ended, which closes it, or when another run reconciles it. The pauses double, up to six
    hours, without end; one of them ends when the order has been open for exactly an hour, so that from then on the
    order is counted. Raises OrderNotFound, and MalformedOrder, after which the order is due again after the longest
    pause.
    """
    now = clock.now()
    try:
        order = store.get(due.order_id)
    except MalformedOrder:
        store.postpone(due, clock.timestamp(now + LONGEST_PAUSE))  # else it would stay the first that is due
        raise
    an_hour_old = clock.moment(order.placed_at) + HOUR
    next_due = now + min(first_pause * 2 ** min(order.attempt, 16), LONGEST_PAUSE)
    if now < an_hour_old:
        next_due = min(next_due, an_hour_old)
    order, applied = store.reconcile(due, next_due=clock.timestamp(next_due), over_an_hour=now >= an_hour_old)
    if not applied:
        return None
    if not order.is_open:
        store.close(order)
        return None
    count("OrdersReconciled")
    return order.placed_event()
