"""Bugs to put into the code on purpose, one at a time, each against a guarantee of the design.

A simulator that finds nothing proves something only if it would have found it: sensitivity.py plants each of these and
lets the simulator look for it.
"""

from typing import NamedTuple

CHOREOGRAPHY, STORE, MODEL, EVENTS = (
    "orders/choreography.py",
    "orders/aws/store.py",
    "orders/model.py",
    "orders/events.py",
)
EDGE = "handlers/edge.py"


class Bug(NamedTuple):
    """`changes`: text that stands once in the file, and what to put in its place."""

    name: str
    guarantee: str
    file: str
    changes: tuple[tuple[str, str], ...]

    def planted(self, source: str) -> str:
        """The file with the bug in it. Raises LookupError where the code has moved on from under the bug."""
        for right, wrong in self.changes:
            if source.count(right) != 1:
                raise LookupError(f"{self.name}: {self.file} has {source.count(right)} times {right!r}")
            source = source.replace(right, wrong)
        return source


def _bug(name: str, guarantee: str, file: str, *changes: tuple[str, str]) -> Bug:
    return Bug(name, guarantee, file, changes)


BUGS = (
    # --- a condition removed
    _bug(
        "an order is written over by the one with the same id",
        "the same Idempotency-Key gives the same order",
        STORE,
        ('ConditionExpression="attribute_not_exists(orderId)"', 'ConditionExpression="attribute_not_exists(nothing)"'),
    ),
    _bug(
        "the last payment wins",
        "a step's result is stored once, and the first one wins",
        STORE,
        ("SET #payment = if_not_exists(#payment, :payment)", "SET #payment = :payment"),
    ),
    _bug(
        "the last fulfilment wins",
        "a step's result is stored once, and the first one wins",
        STORE,
        ("SET #fulfillment = if_not_exists(#fulfillment, :fulfillment)", "SET #fulfillment = :fulfillment"),
    ),
    _bug(
        "an order is shipped whether it is paid or not",
        "fulfilment requires a stored, approved payment",
        STORE,
        ("            preconditions=paid.preconditions(),\n", "            preconditions={},\n"),
    ),
    _bug(
        "the status moves on any event's word",
        "the status requires the fact that the event tells of",
        STORE,
        (
            '            preconditions=event.preconditions(),\n            values={":to"',
            '            preconditions={},\n            values={":to"',
        ),
    ),
    _bug(
        "the old status is not checked",
        "a final status is never left",
        MODEL,
        ('("PAID", frozenset({"PLACED"}))', '("PAID", frozenset({"PLACED", "PAID", "FULFILLED"}))'),
    ),
    _bug(
        "an order is put back to its first status by a late event",
        "no status is gone through twice",
        MODEL,
        (
            '("FULFILLED", frozenset({"PLACED", "PAID"}))',
            '("FULFILLED", frozenset({"PLACED", "PAID", "FULFILLED"}))',
        ),
    ),
    _bug(
        "fulfilment must wait for the status PAID",
        "FulfillmentCompleted before PaymentCompleted gives FULFILLED",
        MODEL,
        ('("FULFILLED", frozenset({"PLACED", "PAID"}))', '("FULFILLED", frozenset({"PAID"}))'),
    ),
    _bug(
        "a row of the audit log is written again",
        "the audit log is write-once",
        "orders/aws/audit.py",
        ('ConditionExpression="attribute_not_exists(eventId)"', 'ConditionExpression="attribute_not_exists(nothing)"'),
    ),
    _bug(
        "two runs take up one order",
        "compare-and-set on dueAt",
        STORE,
        (
            '+ :one" + move,\n            "#dueAt = :due",',
            '+ :one" + move,\n            "(#dueAt <= :due OR :due < #dueAt)",',
        ),
    ),
    _bug(
        "a closed order is opened again by an index that lags",
        "the reconciler decides on the item and never on the index",
        STORE,
        (
            '+ :one" + move,\n            "#dueAt = :due",',
            '+ :one" + move,\n            "(attribute_not_exists(#dueAt) OR #dueAt = :due)",',
        ),
    ),
    _bug(
        "two runs plan the same due time, and each takes it for its own",
        "an order is taken up by one run at a time",
        STORE,
        ('own=("reconciliationId", own_id),', 'own=("dueAt", next_due),'),
    ),
    # --- telling the customer
    _bug(
        "who was told is told again",
        "Notification sends once per order and outcome",
        STORE,
        ('f"attribute_not_exists({receipt}) AND"', 'f"attribute_exists(#orderId) AND"'),
        (
            'receipt, claim = f"#{_RECEIPT[channel]}", f"#{_CLAIM[channel]}"\n        return self._update(\n'
            "            event.order_id",
            'claim = f"#{_CLAIM[channel]}"\n        return self._update(\n            event.order_id',
        ),
    ),
    _bug(
        "a claim never goes stale",
        "a claim is stale after the function's time-out",
        STORE,
        ('":stale": clock.timestamp(now - stale_after)', '":stale": clock.timestamp(now - stale_after * 100_000)'),
    ),
    _bug(
        "a claim is stale at once",
        "nobody sends while another is sending",
        STORE,
        ('":stale": clock.timestamp(now - stale_after)', '":stale": clock.timestamp(now - stale_after / 100_000)'),
    ),
    _bug(
        "a claim is not given back",
        "the receipt takes the claim's place",
        STORE,
        ("REMOVE {claim}{closing}", "{'REMOVE ' * bool(closing)}{closing[2:]}"),
    ),
    _bug(
        "another's live claim counts as success",
        "another's live claim is a batch item failure, never a success",
        CHOREOGRAPHY,
        (
            "        if order.receipt(channel) is None:\n            raise ClaimedByAnother(",
            "        if order.receipt(channel) is None:\n            logger.info(",
        ),
    ),
    _bug(
        "the message is recorded before it is sent",
        "what is recorded as sent was sent",
        CHOREOGRAPHY,
        (
            "    try:\n        message_id = notifier.send(channel, order, message(order))",
            "    receipt = Receipt(channel=channel, at=clock.timestamp(clock.now()), message_id='1')\n"
            "    store.record_receipt(order, receipt)\n"
            "    try:\n        message_id = notifier.send(channel, order, message(order))",
        ),
    ),
    _bug(
        "the mail client retries by itself",
        "a lost answer of SES is not sent again by the SDK",
        "handlers/wiring.py",
        ('client("sesv2", attempts=1, read_timeout=MAIL_SECONDS)', 'client("sesv2")'),
    ),
    _bug(
        "a throttled e-mail counts as refused for good",
        "only what no retry can cure is given up",
        "orders/aws/notifier.py",
        ("_PERMANENT = {\n", '_PERMANENT = {\n    "ThrottlingException",\n'),
    ),
    _bug(
        "an order is closed when its e-mail is sent",
        "an order is open until its status is final and its customer was told",
        STORE,
        ('if order.is_final and receipt.channel == "email" else', 'if receipt.channel == "email" else'),
    ),
    _bug(
        "an order is closed when its status is final",
        "an order is open until its status is final and its customer was told",
        MODEL,
        ("return not (self.is_final and self.notification)", "return not self.is_final"),
    ),
    _bug(
        "whoever comes second does not close the order",
        "the second of status updater and notification closes the order",
        CHOREOGRAPHY,
        ("    if order.due_at and not order.is_open:\n", "    if order.due_at and not order.is_final:\n"),
    ),
    _bug(
        "one bad message takes its batch with it",
        "partial batch responses",
        "handlers/notification.py",
        (
            'failed = [record["messageId"] for record in batch["Records"] if not _is_notified(record, context)]\n',
            'notified = [_is_notified(record, context) for record in batch["Records"]]\n'
            '    failed = [] if any(notified) else [record["messageId"] for record in batch["Records"]]\n',
        ),
    ),
    _bug(
        "a failed message is not given back",
        "an error is never swallowed",
        "handlers/notification.py",
        ("        return False\n", "        return True\n"),
    ),
    # --- payment
    _bug(
        "each attempt has an idempotency key of its own",
        "at most one charge per order",
        CHOREOGRAPHY,
        ("idempotency_key=order.order_id\n", "idempotency_key=new_id()\n"),
    ),
    _bug(
        "the gateway is asked again where a payment is stored",
        "Payment skips the gateway where a payment is stored",
        CHOREOGRAPHY,
        ("if order.is_open and order.payment is None:", "if order.is_open:"),
    ),
    _bug(
        "a finished order is charged again",
        "a replay of a finished order starts nothing",
        CHOREOGRAPHY,
        ("if order.is_open and order.payment is None:", "if not order.is_open or order.payment is None:"),
    ),
    _bug(
        "the event's amount is charged",
        "Payment charges the order's stored amount",
        CHOREOGRAPHY,
        ("    order.verify(placed)\n", ""),
        (
            "order.payment_method, order.total_amount, order.currency",
            "order.payment_method, placed.data.total_amount, order.currency",
        ),
    ),
    _bug(
        "Payment does not look whether the event is true",
        "an event that contradicts the order raises and changes nothing",
        CHOREOGRAPHY,
        ("    order.verify(placed)\n", ""),
    ),
    _bug(
        "the payment's own result is published, not the stored one",
        "each event is built from what is stored",
        CHOREOGRAPHY,
        (
            "order = store.record_payment(order, payment)\n",
            'order = store.record_payment(order, payment).model_copy(update={"payment": payment})\n',
        ),
    ),
    _bug(
        "a finished order's payment is published again",
        "a step publishes only while the order is open",
        CHOREOGRAPHY,
        (
            "return order.payment_event() if order.is_open else None",
            "return order.payment_event() if order.payment else None",
        ),
    ),
    _bug(
        "the event that placed an order is any event that says so",
        "the order knows when and by which event it was placed",
        EVENTS,
        (
            '            "statusHistory[0].eventId": self.metadata.event_id,\n'
            '            "statusHistory[0].at": self.metadata.occurred_at,\n',
            "",
        ),
    ),
    _bug(
        "the ordered items are not compared",
        "an event that contradicts the order raises and changes nothing",
        EVENTS,
        ('            "items": [line.model_dump(by_alias=True) for line in self.data.items],\n', ""),
    ),
    _bug(
        "a result may be told by any event",
        "the order knows the id, the time and the cause of each of its events",
        EVENTS,
        ('            f"{result}.eventId": self.metadata.event_id,\n', ""),
        ('            f"{result}.occurredAt": self.metadata.occurred_at,\n', ""),
        ('            f"{result}.causationId": self.metadata.causation_id,\n', ""),
    ),
    # --- fulfilment and status
    _bug(
        "a finished order is fulfilled again",
        "a step publishes only while the order is open",
        CHOREOGRAPHY,
        ("return order.fulfillment_event() if order.is_open else None", "return order.fulfillment_event()"),
    ),
    _bug(
        "Fulfillment believes what is not stored",
        "an event that contradicts the order raises and changes nothing",
        CHOREOGRAPHY,
        ("    if not applied:\n        order.verify(paid)\n", "    if not applied:\n        return None\n"),
    ),
    _bug(
        "OrderStatusUpdater believes what is not stored",
        "an event that contradicts the order raises and changes nothing",
        CHOREOGRAPHY,
        ("    else:\n        order.verify(event)\n", ""),
    ),
    # --- events
    _bug(
        "an order's event has a new id each time",
        "one fact has one event id, however often it is published",
        MODEL,
        (
            "self._metadata(placed.event_id, placed.at, None)",
            "self._metadata(self._new_id(), placed.at, None)",
        ),
        (
            "    def _metadata(",
            "    def _new_id(self) -> str:\n        import uuid\n\n        return str(uuid.uuid4())\n\n"
            "    def _metadata(",
        ),
    ),
    _bug(
        "a fact's time is that of its publication",
        "one fact has one time, however often it is published",
        MODEL,
        (
            "self._metadata(payment.event_id, payment.occurred_at, payment.causation_id)",
            "self._metadata(payment.event_id, self._now(), payment.causation_id)",
        ),
        (
            "    def _metadata(",
            "    def _now(self) -> str:\n        from orders import clock\n\n"
            "        return clock.timestamp(clock.now())\n\n    def _metadata(",
        ),
    ),
    _bug(
        "a payment names the wrong cause",
        "causationId is the event that led to this one",
        CHOREOGRAPHY,
        ("            causation_id=placed.metadata.event_id,\n", "            causation_id=new_id(),\n"),
    ),
    _bug(
        "an effect may be older than its cause",
        "occurredAt is always later than its cause's",
        "orders/clock.py",
        ("return timestamp(max(now(), moment(cause) + TICK))", "return timestamp(now())"),
    ),
    _bug(
        "a failed entry of PutEvents is ignored",
        "a partial failure is a failure",
        "orders/aws/bus.py",
        (
            'if response["FailedEntryCount"] == 0:\n                return str(result["EventId"])',
            'if response:\n                return str(result.get("EventId"))',
        ),
    ),
    _bug(
        "the event is not published",
        "a step that succeeds has passed the baton on",
        "handlers/fulfillment.py",
        ("    if completed:\n", "    if completed and completed.metadata.attempt == 1:\n"),
    ),
    _bug(
        "an error is logged and swallowed",
        "Lambda retries what fails, and the dead-letter queue keeps it",
        EDGE,
        (
            '            logger.exception("%s: %s", type(error).__name__, error)\n            raise\n',
            '            logger.exception("%s: %s", type(error).__name__, error)\n',
        ),
    ),
    _bug(
        "the audit log takes the fact's id for the entry's",
        "published entries and audit entries are the same",
        CHOREOGRAPHY,
        (
            'event_id=_required_text(envelope, "id"),',
            'event_id=_text(metadata, "eventId") or _required_text(envelope, "id"),',
        ),
    ),
    # --- the API
    _bug(
        "a key belongs to nobody",
        "the order's id is derived from customer and key",
        CHOREOGRAPHY,
        ("own = uuid5(_KEYED_ORDERS, customer.customer_id)", 'own = uuid5(_KEYED_ORDERS, "customer")'),
    ),
    _bug(
        "a key answers for another order",
        "the same key and another body: 422",
        CHOREOGRAPHY,
        ("    elif not placed.order.matches(request):\n", "    elif not placed.order.items:\n"),
    ),
    _bug(
        "a request does not know its own order again",
        "the SDK's own retry of a write is known as ours",
        STORE,
        ("applied=stored.correlation_id == order.correlation_id)", "applied=False)"),
    ),
    _bug(
        "a timed-out publication fails the request",
        "an order that could not be published is kept: 201",
        "orders/aws/bus.py",
        ("except (BotoCoreError, ClientError) as error:", "except ClientError as error:"),
        ("from botocore.exceptions import BotoCoreError, ClientError", "from botocore.exceptions import ClientError"),
    ),
    _bug(
        "a read that leaves some orders out is taken for whole",
        "unprocessed keys are asked for again",
        STORE,
        ('            wanted = response["UnprocessedKeys"]\n', "            wanted = {}\n"),
    ),
    _bug(
        "a throttled table is asked again without end",
        "a retry of our own is bounded, inside the function's time",
        "orders/aws/backoff.py",
        ("ATTEMPTS = 4\n", "ATTEMPTS = 4_000\n"),
        ("    if attempt < ATTEMPTS:\n", "    if attempt < 4:\n"),
    ),
    # --- the reconciler
    _bug(
        "the reconciler finds nothing",
        "nothing is lost: an order that is open is taken up",
        STORE,
        ('"openShard = :shard AND dueAt <= :now"', '"openShard = :shard AND dueAt < :now AND :shard < :now"'),
    ),
    _bug(
        "some shards are never read",
        "every open order is found",
        STORE,
        ("UUID(order.order_id).int % YOUNG_SHARDS", "UUID(order.order_id).int % (YOUNG_SHARDS + 4)"),
    ),
    _bug(
        "an order that is an hour old is forgotten",
        "the reconciler's pauses grow, without end",
        STORE,
        ("for shard in range(OVER_AN_HOUR + 1)]", "for shard in range(OVER_AN_HOUR)]"),
    ),
    _bug(
        "the reconciler gives up after three attempts",
        "the reconciler's pauses grow, without end",
        CHOREOGRAPHY,
        (
            "    if not order.is_open:\n        store.close(order)\n        return None\n    count(",
            "    if not order.is_open or order.attempt > 3:\n"
            "        store.close(order)\n        return None\n    count(",
        ),
    ),
    _bug(
        "the pauses have no upper limit",
        "the longest pause is six hours",
        CHOREOGRAPHY,
        ("LONGEST_PAUSE = timedelta(hours=6)", "LONGEST_PAUSE = timedelta(days=365)"),
        ("first_pause * 2 ** min(order.attempt, 16)", "first_pause * 50 ** min(order.attempt, 4)"),
    ),
    _bug(
        "an ended order is taken up",
        "the Reconciler closes an order that has both",
        CHOREOGRAPHY,
        ("    if not order.is_open:\n        store.close(order)\n        return None\n    count(", "    count("),
    ),
    _bug(
        "one order that fails holds up the others",
        "each order is taken up by itself",
        "handlers/reconciler.py",
        ("                failed.append(due.order_id)\n", "                break\n"),
    ),
    # --- the operator, and what is deployed
    _bug(
        "a dead letter is deleted before it is delivered",
        "a redrive loses nothing",
        "operations/dead_letters.py",
        (
            "                stack.deliver(letter.target, letter.payload)\n                look.delete(letter)\n",
            "                look.delete(letter)\n                stack.deliver(letter.target, letter.payload)\n",
        ),
    ),
    _bug(
        "no rule brings FulfillmentCompletedEvent to OrderStatusUpdater",
        "every event reaches every step that needs it",
        "serverless.yml",
        (
            "detail-type: [PaymentCompletedEvent, PaymentFailedEvent, FulfillmentCompletedEvent]",
            "detail-type: [PaymentCompletedEvent, PaymentFailedEvent]",
        ),
    ),
    _bug(
        "a message is given up after its first receive",
        "nothing ends in a dead-letter queue without a fault",
        "serverless.yml",
        ("notificationAttempts: 5", "notificationAttempts: 0"),
    ),
)
