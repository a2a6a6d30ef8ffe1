// What happened to an order, step by step, by evidence alone: the order and its events as the API has them.
// Nothing here is guessed: a step without a row in the audit log or an entry in the order's history does not exist.

import { rescueSteps } from './rescue.js';
import { STATUSES, titleOf } from './words.js';

/** An event in two words, and its meaning to a customer. An unknown event is described by its consumers. */
const EVENTS = {
  OrderPlacedEvent: ['Order placed', 'The order is stored, and its event is on the bus. The customer already has the response.'],
  PaymentCompletedEvent: ['Payment taken', 'The card was charged, once: the charge is stored on the order before the event is published.'],
  PaymentFailedEvent: ['Payment declined', 'The bank declined the card. That is a result like any other, not an error.'],
  FulfillmentCompletedEvent: ['Parcel packed', 'The parcel has its tracking number.'],
  OrderCancelledEvent: ['Order cancelled', 'The order will not be shipped: a cancellation or a fulfilment is stored on it, never both.'],
  PaymentRefundedEvent: ['Money refunded', 'The whole charge was refunded, once: the refund is stored on the order before the event is published.'],
};

const TIMED_OUT = 'The order was open for so long that the reconciler cancelled it. It will not be shipped.';

const FINAL = ['FULFILLED', 'PAYMENT_FAILED', 'REFUNDED'];

/** Who does what, from the topology in config.json: `functions`, `consumers` of each event, `publishers` of each source. */
export class Choreography {
  /** Three functions leave evidence other than an event: rows of AuditLog, the order's status, and its notification. */
  auditLogger = 'auditLogger';
  feed = 'orderFeed'; // which sends each event to this page
  statusUpdater = 'orderStatusUpdater';
  notifier = 'notification';

  constructor({ functions, consumers, publishers }) {
    this.functions = functions;
    this.consumers = consumers;
    this.publishers = publishers;
    this.entrance = Object.keys(functions).find((name) => functions[name].kind === 'api');
  }

  /**
   * The steps, in the order of time: `at` and `after` (milliseconds since the order was placed), `actor` and `path` (names
   * of the picture's nodes), `branches` (paths on which an event reaches others), `headline`, `title`, `meaning`, and the
   * event or part of the order that is its `proof`. `rescue` is the operator's view, where there is one.
   */
  steps(order, events, rescue = null) {
    const placedAt = Date.parse(order.placedAt);
    return [this.#placed(order), ...this.#published(order, inTurn(events, rescue?.logged), rescue?.logged), ...this.#moved(order, events), ...this.#voided(order, events), ...this.#notified(order, events),
      ...(rescue ? rescueSteps(rescue, this) : [])]
      .sort((one, other) => Date.parse(one.at) - Date.parse(other.at))
      .map((step) => ({ ...step, after: Date.parse(step.at) - placedAt, hop: hop(step, events) }));
  }

  /** The consumers that should have reacted by now and have not yet. None when the order has ended. */
  awaited(order, events) {
    if (isOver(order)) return [];
    const names = events.flatMap((event) => this.#consumersOf(event).filter((name) => !this.#reacted(name, event, order, events)));
    return [...new Set(names)];
  }

  #placed(order) {
    return {
      key: 'placed',
      at: order.placedAt,
      actor: this.entrance,
      path: ['customer', 'api', this.entrance, 'orders'],
      headline: 'Order stored',
      title: `${titleOf(this.entrance)} writes the order: PLACED`,
      meaning: 'API Gateway has checked the token. The prices come from the catalogue, never from the browser.',
      proof: { statusHistory: order.statusHistory.slice(0, 1) },
    };
  }

  #published(order, events, logged = {}) {
    const seen = new Set();
    return events.map((event) => {
      const repeated = seen.has(event.domainEventId);
      seen.add(event.domainEventId);
      const timedOut = isTimedOut(event) && !repeated;
      const republished = isReconcilers(event) && !timedOut;
      const publisher = this.#publisherOf(event, isReconcilers(event));
      const known = publisher && (republished || !repeated);
      const again = republished || repeated;
      const [headline, meaning] = EVENTS[event.eventType] ?? [event.eventType, this.#described(event)];
      const repeatedAt = again ? this.#consumersOf(event) : [];
      return {
        key: event.eventId,
        at: (again && logged[event.eventId]) || event.timestamp,
        timeless: again && !logged[event.eventId],
        cause: event.causationId,
        actor: known ? publisher : 'bus',
        path: [...(known ? this.#pathToTheBus(event, publisher, order) : []), 'bus', this.auditLogger, 'auditLog'],
        branches: [...(this.functions[this.feed] ? [['bus', this.feed, 'customer']] : []), ...repeatedAt.map((name) => this.pathTo(name))],
        repeatedAt,
        headline: republished ? `${headline}, published again` : repeated ? `Duplicate: ${headline.toLowerCase()}` : headline,
        title: title(event, publisher, republished, repeated),
        meaning: repetition(event, republished, repeated, order) ?? (timedOut ? TIMED_OUT : meaning),
        again,
        proof: event,
      };
    });
  }

  /** Of the publishers of a source, the scheduled one republishes the others' events, and cancels by itself. */
  #publisherOf({ source }, scheduled) {
    return this.publishers[source]?.find((name) => (this.functions[name].kind === 'schedule') === scheduled);
  }

  /** A step stores its result on the order first, under the last part of its source: `payment`, `fulfillment`. */
  #pathToTheBus({ causationId, source, eventType }, publisher, order) {
    if (this.functions[publisher].kind === 'schedule') return [publisher];
    if (eventType === 'OrderCancelledEvent') return ['customer', 'api', publisher, 'orders', publisher];
    const stored = Object.hasOwn(order, source.split('.').at(-1));
    return [...(causationId ? this.pathTo(publisher) : [publisher]), ...(stored ? ['orders', publisher] : [])];
  }

  /** From the bus to a consumer. */
  pathTo(consumer) {
    const isQueued = this.functions[consumer].kind === 'queue';
    return ['bus', ...(isQueued ? [`${consumer}Topic`, `${consumer}Queue`] : []), consumer];
  }

  #described(event) {
    const names = this.#consumersOf(event).map(titleOf);
    return names.length ? `Its consumers: ${names.join(', ')}.` : 'No function but the audit logger consumes it.';
  }

  /** AuditLogger and OrderFeed consume each event, and the page gets it from them, so neither is ever awaited. */
  #consumersOf({ eventType }) {
    return (this.consumers[eventType] ?? []).filter((name) => name !== this.auditLogger && name !== this.feed);
  }

  #moved(order, events) {
    const names = new Map(events.map((event) => [event.domainEventId, event.eventType]));
    return order.statusHistory.slice(1).filter(({ eventId }) => names.has(eventId)).map((change) => ({
      key: `status ${change.status}`,
      at: change.at,
      actor: this.statusUpdater,
      path: [...this.pathTo(this.statusUpdater), 'orders'],
      cause: change.eventId,
      headline: `Status: ${STATUSES[change.status]?.[1] ?? change.status}`,
      title: `${titleOf(this.statusUpdater)} updates the status: ${change.status}`,
      meaning: `It consumed ${names.get(change.eventId)}, which matches what is stored on the order.`,
      proof: { statusHistory: [change] },
    }));
  }

  /** A void has no event, and the API shows no time for it: the step follows its cause. */
  #voided({ payment }, events) {
    const cancelled = events.find(({ eventType }) => eventType === 'OrderCancelledEvent');
    const [name] = this.publishers['order-processing.payment'] ?? [];
    if (!isVoided({ payment }) || !cancelled || !name) return [];
    return [{
      key: 'voided',
      at: cancelled.timestamp,
      timeless: true,
      actor: name,
      path: [...this.pathTo(name), 'orders'],
      cause: cancelled.domainEventId,
      headline: 'Payment voided',
      title: `${titleOf(name)} voids the payment`,
      meaning: 'The card was not charged, and a charge that is under way can no longer succeed. There is nothing to refund, so no event is published.',
      proof: { payment },
    }];
  }

  #notified({ notification }, events) {
    const outcome = events.find((event) => this.#consumersOf(event).includes(this.notifier));
    if (!notification || !outcome) return [];
    return [{
      key: 'notified',
      at: notification.at,
      actor: this.notifier,
      path: [...this.pathTo(this.notifier), 'mail'],
      cause: outcome.domainEventId,
      headline: notification.messageId ? 'E-mail sent' : 'E-mail rejected',
      title: notification.messageId ? 'Notification sends the e-mail' : 'Notification records that the e-mail was rejected',
      meaning: `It consumed ${outcome.eventType} from a queue behind a topic, where a burst of messages can wait.`,
      proof: { notification },
    }];
  }

  /** A consumer that publishes nothing and changes nothing that the API shows can't be waited for. */
  #reacted(name, event, order, events) {
    if (name === this.notifier) return Boolean(order.notification);
    if (name === this.statusUpdater) {
      const overtaken = isFinal(order) || (order.cancellation && event.eventType === 'PaymentCompletedEvent');
      return overtaken || order.statusHistory.some(({ eventId }) => eventId === event.domainEventId);
    }
    const publishes = Object.values(this.publishers).some((names) => names.includes(name));
    if (order.cancellation && publishes) return event.eventType === 'PaymentCompletedEvent' || isSettled(order, events); // nothing is shipped
    return !publishes || events.some(({ causationId }) => causationId === event.domainEventId);
  }
}

/** A repeated event has the time of the first. Only the operator's view says which came first, by event id (`logged`). */
function inTurn(events, logged = {}) {
  const times = events.map(({ eventId, timestamp }) => [Date.parse(timestamp), Date.parse(logged[eventId]) || Infinity]); // an unknown one is the newest
  const order = events.map((_, index) => index).sort((one, other) => times[one][0] - times[other][0] || Math.sign(times[one][1] - times[other][1]) || 0);
  return order.map((index) => events[index]);
}

/** The type of the event that led to the step, and the milliseconds since. */
function hop({ at, cause }, events) {
  const led = cause && events.find(({ domainEventId }) => domainEventId === cause);
  return led ? { from: led.eventType, milliseconds: Date.parse(at) - Date.parse(led.timestamp) } : null;
}

function title({ eventType, source }, publisher, republished, repeated) {
  if (repeated && !republished) return `${eventType} arrives again`;
  return `${publisher ? titleOf(publisher) : `An unknown publisher, ${source},`} publishes ${eventType}${republished ? ' again' : ''}`;
}

function repetition({ attempt }, republished, repeated, order) {
  if (republished) return `The order was open for too long, so the reconciler publishes its event again: attempt ${attempt}. Each step that is done publishes its stored result again. The event keeps its first time.`;
  if (repeated) return `Nothing happened twice: ${charged(order)}. It has the domainEventId and the time of the first one.`;
  return null;
}

function charged({ payment, refund }) {
  if (refund) return 'the card was charged once, and refunded once';
  return payment?.status === 'COMPLETED' ? 'the card was charged once' : 'nothing is charged';
}

/** Whether the status is final and the customer was notified. */
export function isOver(order) {
  return isFinal(order) && Boolean(order.notification);
}

function isFinal({ status, payment }) {
  return FINAL.includes(status) || (status === 'CANCELLED' && isVoided({ payment }));
}

function isVoided({ payment }) {
  return payment?.status === 'VOIDED';
}

/** Whether a cancelled order's payment is voided, or refunded and the event of that published. */
function isSettled(order, events) {
  return isVoided(order) || events.some(({ eventType }) => eventType === 'PaymentRefundedEvent');
}

/** Whether the reconciler published the event: no other event led to it, and the order was open for too long. */
function isReconcilers(event) {
  return !event.causationId && (event.attempt > 1 || isTimedOut(event));
}

function isTimedOut({ data }) {
  return data?.reason === 'timed_out';
}

/** The event that shows that the reconciler has published again for the order, if there is one. */
export function republished(events) {
  const isFirst = (event) => event === events.find(({ domainEventId }) => domainEventId === event.domainEventId);
  return events.findLast((event) => isReconcilers(event) && !(isTimedOut(event) && isFirst(event)));
}

/** Whether the audit log, which lags a little, has the events that led here. */
export function isComplete(order, events) {
  const logged = new Set(events.map(({ domainEventId }) => domainEventId));
  const causes = events.map(({ causationId }) => causationId).filter(Boolean);
  return [...order.statusHistory.map(({ eventId }) => eventId), ...causes].every((eventId) => logged.has(eventId));
}
