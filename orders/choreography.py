"""Every step of an order's life, top to bottom. No step calls another: each event leads to the next step.

    place_order ─▶ OrderPlacedEvent ─▶ take_payment ─▶ PaymentCompletedEvent ─▶ fulfill ─▶ FulfillmentCompletedEvent
                                                    └▶ PaymentFailedEvent
    cancel_order ─▶ OrderCancelledEvent ─▶ settle ─▶ PaymentRefundedEvent, where the card was charged

    update_status    changes the order's status after payment, fulfilment, cancellation and refund
    notify_customer  notifies the customer when the order was shipped, its payment failed or it was cancelled
    record_event     adds every event to the audit log
    reconcile        republishes an order that has been open for too long, and cancels one at its deadline

Events arrive at least once and in any order. So each step first stores its result by a conditional write, which only
the first writer wins, and then returns the event *built from what is stored*: a step that runs again, after a crash
between the two or for any other reason, returns the same event. Each step verifies its event against the order, which
is the truth, and returns an event of its own only while the order is open.

A cancellation may come at any moment before the shipment. The order decides which of the two comes first: each is a
write that requires the absence of the other. The payment provider decides whether there is money to refund: it refunds
a charge, and where there is none it voids the payment, so that a charge that is still under way can't succeed later.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, NamedTuple
from uuid import UUID, uuid4, uuid5

from orders import clock
from orders.errors import (
    ClaimedByAnother,
    GatewayContradictsOrder,
    IdempotencyKeyReused,
    MalformedEvent,
    MalformedOrder,
    MessageRejected,
    OrderNotFound,
    TooLateToCancel,
    UnknownProduct,
)
from orders.events import (
    FinalEvent,
    FulfillmentCompletedEvent,
    OrderCancelledEvent,
    OrderPlacedEvent,
    PaymentCompletedEvent,
    PaymentFailedEvent,
    PaymentRefundedEvent,
    StatusEvent,
    new_id,
)
from orders.message import message
from orders.model import (
    Cancellation,
    CancellationReason,
    Channel,
    Customer,
    Fulfillment,
    Order,
    OrderRequest,
    Payment,
    Receipt,
    Refund,
    VoidedPayment,
)
from orders.observability import count, logger, seconds
from orders.ports import (
    AuditEntry,
    AuditLog,
    Declined,
    Due,
    Notifier,
    OrderStore,
    PaymentGateway,
    Refunded,
    Voided,
    WriteResult,
)

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
        count("OrdersPlaced", message="Placed the order", orderId=order_id)
    elif not placed.order.matches(request):
        raise IdempotencyKeyReused("this Idempotency-Key belongs to another order; use a new key for a new order")
    return placed


def cancel_order(
    order_id: str, customer_id: str, store: OrderStore, *, request_id: str, due_in: timedelta
) -> WriteResult:
    """Cancel the customer's order. `applied` is False when an earlier request cancelled it.

    After `due_in` the reconciler republishes the cancellation, if the order is still open. Raises OrderNotFound, also
    where the order is another customer's, and TooLateToCancel, whose text says what came first.
    """
    order, applied = _cancel(
        order_id, customer_id, store, reason="customer_request", request_id=request_id, due_in=due_in
    )
    if order.customer_id != customer_id:
        raise OrderNotFound(order_id)
    if order.fulfillment:
        raise TooLateToCancel("the order was handed to the carrier; you can return the parcel")
    if not order.cancellation:
        raise TooLateToCancel("the payment failed; nothing was charged and nothing will be shipped")
    return WriteResult(order, applied)


def _cancel(
    order_id: str,
    customer_id: str,
    store: OrderStore,
    *,
    reason: CancellationReason,
    request_id: str,
    due_in: timedelta,
) -> WriteResult:
    now = clock.now()
    due_at = clock.timestamp(now + due_in)
    cancellation = Cancellation(
        event_id=new_id(), occurred_at=clock.timestamp(now), reason=reason, request_id=request_id
    )
    order, applied = store.cancel(order_id, customer_id, cancellation, due_at=due_at)
    if not applied and order.customer_id == customer_id and order.can_be_cancelled:
        # Only the time was refused: this machine's clock runs behind the one of the machine that placed the order.
        later = cancellation.model_copy(update={"occurred_at": clock.just_after(order.placed_at)})
        order, applied = store.cancel(order_id, customer_id, later, due_at=due_at)
    if applied:
        correlation_id = order.correlation_id or order_id
        count(
            "OrdersCancelled",
            message="The order is cancelled",
            orderId=order_id,
            correlationId=correlation_id,
            reason=reason,
        )
    return WriteResult(order, applied)


# --- PaymentProcessing ------------------------------------------------------------------------------------------------


def take_payment(
    placed: OrderPlacedEvent, store: OrderStore, gateway: PaymentGateway
) -> PaymentCompletedEvent | PaymentFailedEvent | PaymentRefundedEvent | None:
    """Charge the stored amount once, however often the event arrives; settle an order that is cancelled.

    None when the order is closed, or cancelled and voided. Raises GatewayUnavailable, OrderNotFound,
    EventContradictsOrder, GatewayContradictsOrder.
    """
    order = store.get(placed.order_id)
    order.verify(placed)
    if order.is_open and not order.payment and not order.cancellation:
        order = _charge(order, placed, store, gateway)
    if order.cancellation:
        return _settle(order, store, gateway)
    return order.payment_event() if order.is_open else None


def _charge(order: Order, placed: OrderPlacedEvent, store: OrderStore, gateway: PaymentGateway) -> Order:
    """The order after the charge: with the payment, or cancelled meanwhile."""
    charge = gateway.charge(
        order.payment_method,
        order.total_amount,
        order.currency,
        idempotency_key=order.order_id,
        reference=order.order_id,
    )
    if isinstance(charge, Voided):
        order = store.get(order.order_id)
        if not order.cancellation:
            raise GatewayContradictsOrder(f"order {order.order_id}: the payment is voided, the order is not cancelled")
        return order
    declined = charge.reason if isinstance(charge, Declined) else None
    payment = Payment(
        payment_id=charge.payment_id,
        status="FAILED" if declined else "COMPLETED",
        reason=declined,
        event_id=new_id(),
        occurred_at=clock.just_after(placed.metadata.occurred_at),
        causation_id=placed.metadata.event_id,
    )
    order = store.record_payment(order, payment)
    if order.payment == payment:
        count(
            "OrdersDeclined" if declined else "OrdersPaid",
            message=f"The payment is {payment.status}",
            paymentId=payment.payment_id,
            reason=payment.reason,
        )
    return order


def settle(cancelled: OrderCancelledEvent, store: OrderStore, gateway: PaymentGateway) -> PaymentRefundedEvent | None:
    """Refund the charge of a cancelled order, once, or make sure that nothing will ever be charged.

    None when nothing was charged, or when the order is closed. Raises GatewayUnavailable, OrderNotFound,
    EventContradictsOrder, GatewayContradictsOrder.
    """
    order = store.get(cancelled.order_id)
    order.verify(cancelled)
    return _settle(order, store, gateway)


def _settle(order: Order, store: OrderStore, gateway: PaymentGateway) -> PaymentRefundedEvent | None:
    if order.is_open and order.is_unsettled:
        outcome = gateway.cancel(idempotency_key=order.order_id, reference=order.order_id)
        match outcome:
            case Refunded():
                order = _record_refund(order, outcome, store)
            case Voided():
                order = _record_void(order, store)
    return order.refunded_event() if order.is_open and order.refund else None


def _record_refund(order: Order, refunded: Refunded, store: OrderStore) -> Order:
    """Store the refund and, where the response to the charge was lost, the payment with it."""
    cancellation = order.cancellation
    assert cancellation, f"order {order.order_id} is not cancelled"
    payment = order.payment or Payment(
        payment_id=refunded.payment_id,
        status="COMPLETED",
        event_id=new_id(),
        occurred_at=clock.just_after(order.placed_at),
        causation_id=order.status_history[0].event_id if order.status_history else cancellation.event_id,
    )
    if not isinstance(payment, Payment) or payment.payment_id != refunded.payment_id:
        raise GatewayContradictsOrder(f"order {order.order_id}: {refunded} is not a refund of the stored {payment!r}")
    refund = Refund(
        refund_id=refunded.refund_id,
        amount=order.total_amount,
        currency=order.currency,
        event_id=new_id(),
        occurred_at=clock.just_after(max(cancellation.occurred_at, payment.occurred_at)),
        causation_id=cancellation.event_id,
    )
    order, applied = store.record_refund(order, payment, refund)
    if not applied:
        return _record_refund(order, refunded, store)  # another invocation has stored the payment, which never changes
    if order.refund == refund:
        count(
            "PaymentsRefunded",
            message="The payment is refunded",
            paymentId=payment.payment_id,
            refundId=refund.refund_id,
        )
    return order


def _record_void(order: Order, store: OrderStore) -> Order:
    cancellation = order.cancellation
    assert cancellation, f"order {order.order_id} is not cancelled"
    voided = VoidedPayment(occurred_at=clock.just_after(cancellation.occurred_at), causation_id=cancellation.event_id)
    order, applied = store.record_void(order, voided)
    if not applied:
        raise GatewayContradictsOrder(f"order {order.order_id}: nothing was charged, but it has {order.payment!r}")
    logger.info("The payment is voided")
    _close_if_ended(order, store)
    return order


# --- Fulfillment ------------------------------------------------------------------------------------------------------


def fulfill(paid: PaymentCompletedEvent, store: OrderStore) -> FulfillmentCompletedEvent | None:
    """Make the order ready to ship, with a tracking id, once; None when the order is closed or cancelled.

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
        count("OrdersFulfilled", message="The order is ready to ship", trackingId=fulfillment.tracking_id)
    return order.fulfillment_event() if order.is_open and order.fulfillment else None


# --- OrderStatusUpdater -----------------------------------------------------------------------------------------------


def update_status(event: StatusEvent, store: OrderStore) -> None:
    """Change the status as the state machine allows; a late or repeated event changes nothing.

    Raises OrderNotFound, EventContradictsOrder.
    """
    order, changed = store.advance(event)
    if changed:
        if order.is_final and not order.cancellation:
            taken = (clock.now() - clock.moment(order.placed_at)).total_seconds()
            seconds("SecondsToFinalStatus", taken, message=f"The order is {order.status}")
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
            count("CustomersNotified", message="The email was sent", messageId=message_id)
        else:
            logger.info("The sms was sent", messageId=message_id)
        receipt = Receipt(channel=channel, at=clock.timestamp(clock.now()), message_id=message_id)
    return store.record_receipt(order, receipt)


def _close_if_ended(order: Order, store: OrderStore) -> None:
    """Close the order if it has ended. Status, notification and void are separate writes: the last one closes it."""
    if order.due_at and not order.is_open:
        store.close(order)


# --- AuditLogger ------------------------------------------------------------------------------------------------------


def record_event(envelope: Mapping[str, object], log: AuditLog) -> bool:
    """Add an EventBridge event to the audit log once, whether a model accepts it or not; False for a repetition.

    Raises MalformedEvent for payloads that EventBridge never delivers.
    """
    return log.add(audit_entry(envelope))


def audit_entry(envelope: Mapping[str, object]) -> AuditEntry:
    """The entry for an EventBridge event. Raises MalformedEvent for payloads that EventBridge never delivers."""
    time, detail = _required_text(envelope, "time"), envelope.get("detail")
    metadata, data = _map(detail, "metadata"), _map(detail, "data")
    occurred_at, attempt = metadata.get("occurredAt"), metadata.get("attempt")
    return AuditEntry(
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
    if not text or any("\ud800" <= character <= "\udfff" for character in text):  # a lone surrogate
        raise MalformedEvent(f"{name} is missing or not text: EventBridge delivers no such event")
    return text


# --- Reconciler -------------------------------------------------------------------------------------------------------


class Republication(NamedTuple):
    """What `reconcile` returns: an event to publish, and when its order is due next."""

    event: OrderPlacedEvent | OrderCancelledEvent
    due: Due


def reconcile(
    due: Due,
    order: Order | MalformedOrder | OrderNotFound,
    store: OrderStore,
    *,
    first_pause: timedelta,
    cancel_after: timedelta | None,
) -> Republication | None:
    """Return the event that restarts a due order: each step finds its result stored and publishes the next event.

    For a cancelled order that is its OrderCancelledEvent. An order that has been open for `cancel_after` is cancelled
    first, if that is still possible; with None, never. The step returns None when the order has ended, which closes it,
    or when it has changed since it was read: another run reconciles it, or its customer has cancelled it. The pauses
    double, up to six hours, and never end. A pause is cut short at each moment at which the order becomes late: an hour
    after it was placed, an hour after it was cancelled, and at `cancel_after`. Raises OrderNotFound, and
    MalformedOrder, after which the order is due again after the longest pause.
    """
    now = clock.now()
    if isinstance(order, MalformedOrder):
        store.reschedule(due, clock.timestamp(now + LONGEST_PAUSE))  # else it would always be the first one due
    if not isinstance(order, Order):
        raise order
    placed_at = clock.moment(order.placed_at)
    moments = [placed_at + HOUR]
    late: Literal["open", "unsettled"] | None = "open" if now >= placed_at + HOUR else None
    if order.cancellation and order.is_unsettled:
        moments.append(clock.moment(order.cancellation.occurred_at) + HOUR)
        late = "unsettled" if now >= moments[-1] else late
    elif cancel_after and order.is_open and order.can_be_cancelled:
        moments.append(placed_at + cancel_after)
        if now >= moments[-1]:
            cancelled, applied = _cancel(
                order.order_id, order.customer_id, store, reason="timed_out", request_id=new_id(), due_in=first_pause
            )
            if applied:
                return _republication(cancelled)
    pause = min(first_pause * 2 ** min(order.attempt, 16), LONGEST_PAUSE)
    next_due = min([now + pause, *(moment for moment in moments if moment > now)])
    order, applied = store.reconcile(due, next_due=clock.timestamp(next_due), late=late)
    if not applied:
        return None
    if not order.is_open:
        store.close(order)
        return None
    return _republication(order)


def _republication(order: Order) -> Republication:
    event = order.cancelled_event() if order.cancellation else order.placed_event()
    assert order.due_at, f"order {order.order_id} is not listed among the open ones"
    return Republication(event, Due(order.due_at, order.order_id))


def retry_soon(unpublished: Republication, store: OrderStore, *, first_pause: timedelta) -> None:
    """Let an order whose event could not be published be due again after the first pause, like a new order.

    Otherwise its pauses would grow during an outage of the bus, and it would wait for as long again afterwards.
    """
    store.reschedule(unpublished.due, clock.timestamp(clock.now() + first_pause))
