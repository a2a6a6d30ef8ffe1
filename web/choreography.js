// What happened to an order, step by step, told by evidence alone: the order and its events as the API has them.
// Nothing here is guessed: a step without a row in the audit log or an entry in the order's history does not exist.

const PUBLISHERS = {
  'order-processing.orders': 'orderService',
  'order-processing.payment': 'payment',
  'order-processing.fulfillment': 'fulfillment',
};

/** Who reacts to which event, as the rules on the bus have it; the audit logger reacts to each. */
const CONSUMERS = {
  OrderPlacedEvent: ['payment'],
  PaymentCompletedEvent: ['fulfillment', 'updater'],
  PaymentFailedEvent: ['updater', 'notification'],
  FulfillmentCompletedEvent: ['updater', 'notification'],
};

const MEANINGS = {
  OrderPlacedEvent: 'The order is in the table, and everybody who listens is told. The customer has the answer already.',
  PaymentCompletedEvent: 'The card was charged, once: the charge is stored on the order before anybody is told.',
  PaymentFailedEvent: 'The card was refused. That is a result like any other, not an error.',
  FulfillmentCompletedEvent: 'The parcel has its tracking number.',
};

const FINAL = ['FULFILLED', 'PAYMENT_FAILED'];

/**
 * The steps, in the order of time: `at` and `after` (milliseconds since the order was placed), `actor` and `path` (names of
 * the picture's nodes), `title`, `meaning`, and the `event` or part of the order that proves the step.
 */
export function steps(order, events) {
  const placedAt = Date.parse(order.placedAt);
  return [...placed(order), ...published(order, events), ...moved(order, events), ...told(order, events)]
    .sort((one, other) => Date.parse(one.at) - Date.parse(other.at))
    .map((step) => ({ ...step, after: Date.parse(step.at) - placedAt, hop: hop(step, events) }));
}

/** How long after the event that led to it: its type, and milliseconds. */
function hop({ at, cause }, events) {
  const led = cause && events.find(({ domainEventId }) => domainEventId === cause);
  return led ? { from: led.eventType, milliseconds: Date.parse(at) - Date.parse(led.timestamp) } : null;
}

function placed(order) {
  return [{
    key: 'placed',
    at: order.placedAt,
    actor: 'orderService',
    path: ['customer', 'api', 'orderService', 'orders'],
    title: 'OrderService writes the order: PLACED',
    meaning: 'The gateway has checked who is asking. The prices come from the catalogue, never from the browser.',
    proof: { statusHistory: order.statusHistory.slice(0, 1) },
  }];
}

function published(order, events) {
  const seen = new Set();
  return events.map((event) => {
    const attempt = event.attempt ?? 1;
    const takenUp = !event.causationId && attempt > 1;
    const repeated = seen.has(event.domainEventId);
    seen.add(event.domainEventId);
    const publisher = takenUp ? 'reconciler' : PUBLISHERS[event.source];
    const stored = { payment: order.payment, fulfillment: order.fulfillment }[publisher];
    return {
      key: event.eventId,
      at: event.timestamp,
      timeless: takenUp || repeated,
      cause: event.causationId,
      actor: repeated && !takenUp ? 'bus' : publisher,
      path: [...way(event, publisher, takenUp, repeated, stored), 'bus', 'auditLogger', 'auditLog'],
      title: title(event, publisher, takenUp, repeated),
      meaning: again(event, attempt, takenUp, repeated) ?? MEANINGS[event.eventType],
      again: takenUp || repeated,
      proof: event,
    };
  });
}

/** From where to the bus: what a step stores on the order first is on the order. */
function way(event, publisher, takenUp, repeated, stored) {
  if (takenUp) return [publisher];
  if (repeated) return [];
  return [...(event.causationId ? ['bus'] : []), publisher, ...(stored ? ['orders', publisher] : [])];
}

function title({ eventType }, publisher, takenUp, repeated) {
  if (takenUp) return `Reconciler publishes ${eventType} again`;
  return repeated ? `${eventType} comes once more` : `${NAMES[publisher]} publishes ${eventType}`;
}

function again(event, attempt, takenUp, repeated) {
  if (takenUp) return `The order was open for too long, so the reconciler tells of it once more: attempt ${attempt}. Whoever has done their part passes the baton on. It keeps the time of the first.`;
  if (repeated) return 'The same fact, told again: its domainEventId and its time are those of the first. What was done is not done twice.';
  return null;
}

function moved(order, events) {
  const names = new Map(events.map((event) => [event.domainEventId, event.eventType]));
  return order.statusHistory.slice(1).filter(({ eventId }) => names.has(eventId)).map((change) => ({
    key: `status ${change.status}`,
    at: change.at,
    actor: 'updater',
    path: ['bus', 'updater', 'orders'],
    cause: change.eventId,
    title: `OrderStatusUpdater moves the status: ${change.status}`,
    meaning: `It heard ${names.get(change.eventId)}, and the order bears it out.`,
    proof: { statusHistory: [change] },
  }));
}

function told({ notification }, events) {
  if (!notification) return [];
  const outcome = events.find(({ eventType }) => CONSUMERS[eventType]?.includes('notification'));
  if (!outcome) return [];
  return [{
    key: 'told',
    at: notification.at,
    actor: 'notification',
    path: ['bus', 'topic', 'queue', 'notification', 'mail'],
    cause: outcome.domainEventId,
    title: notification.messageId ? 'Notification sends the e-mail' : 'Notification records that the e-mail was refused',
    meaning: `It heard ${outcome.eventType} through a topic and a queue, where a burst of mails can wait.`,
    proof: { notification },
  }];
}

/** The nodes that should have reacted by now, and of which there is no sign yet. None when the order has ended. */
export function awaited(order, events) {
  if (isOver(order)) return [];
  const names = events.flatMap((event) => (CONSUMERS[event.eventType] ?? []).filter((name) => !reacted(name, event, order, events)));
  return [...new Set(names)];
}

function reacted(name, event, order, events) {
  if (name === 'notification') return Boolean(order.notification);
  if (name === 'updater') return FINAL.includes(order.status) || order.statusHistory.some(({ eventId }) => eventId === event.domainEventId);
  return events.some(({ causationId }) => causationId === event.domainEventId);
}

/** Whether the status is final and the customer was told. */
export function isOver(order) {
  return FINAL.includes(order.status) && Boolean(order.notification);
}

/** The event that shows that the order was taken up again, if one does. */
export function takenUp(events) {
  return events.findLast(({ causationId, attempt }) => !causationId && attempt > 1);
}

/** Whether the audit log, which lags a little, has the events that led here. */
export function isComplete(order, events) {
  const logged = new Set(events.map(({ domainEventId }) => domainEventId));
  const causes = events.map(({ causationId }) => causationId).filter(Boolean);
  return [...order.statusHistory.map(({ eventId }) => eventId), ...causes].every((eventId) => logged.has(eventId));
}

export const NAMES = {
  customer: 'Customer',
  api: 'API Gateway',
  orderService: 'OrderService',
  orders: 'Orders',
  bus: 'EventBridge',
  payment: 'PaymentProcessing',
  fulfillment: 'Fulfillment',
  updater: 'OrderStatusUpdater',
  topic: 'SNS topic',
  queue: 'SQS queue',
  notification: 'Notification',
  mail: 'E-mail (SES)',
  auditLogger: 'AuditLogger',
  auditLog: 'AuditLog',
  reconciler: 'Reconciler',
  deadLetters: 'Dead letters',
};
