// One order: what happens to it while it happens, and once more in slow motion.

import { Cancellation } from '../cancellation.js';
import { isComplete, isOver } from '../choreography.js';
import { h } from '../dom.js';
import { Follower } from '../follower.js';
import { watch } from '../rescue.js';
import { takeFirstOrder } from '../session.js';
import { Stage } from '../stage.js';
import { money, orderNumber, PAYMENT_METHODS, STATUSES, time } from '../words.js';

const CALM = window.matchMedia('(prefers-reduced-motion: reduce)');
const WAITING_AFTER_MS = 6000; // without a change: then the page says what the order waits for

export async function orderView({ api, choreography, inbox, operatorsView, announce, signal, orderChanged }, orderId) {
  const cancel = async () => {
    try {
      order = await api.cancel(orderId);
      return order;
    } finally {
      await read(false).catch(() => {}); // where this fails, the next read says so
      follower.soon();
    }
  };
  const view = new OrderView(choreography, announce, signal, cancel);
  let order = null;
  let events = [];
  let rescue = null; // the operator's view
  let shown = '';
  let changedAt = Date.now();

  /** Show what is known now; whether that is news. */
  const show = () => {
    const now = JSON.stringify([order, events, rescue]);
    const changed = now !== shown;
    if (changed) changedAt = Date.now();
    const isStill = Date.now() - changedAt > WAITING_AFTER_MS;
    if (changed || isStill !== view.stage.isStill) view.update(order, events, rescue, isStill);
    shown = now;
    return changed;
  };
  const heard = (event) => {
    if (events.some(({ eventId }) => eventId === event.eventId)) return;
    events = [...events, event].sort((one, other) => Date.parse(one.timestamp) - Date.parse(other.timestamp));
    show();
  };
  /** Read the order, and the events where they are not pushed or one is missing. */
  const read = async (isPushed) => {
    const [freshOrder, freshEvents] = await Promise.all([api.order(orderId), isPushed && isComplete(order, events) ? null : api.events(orderId)]);
    if (signal.aborted || (order?.cancellation && !freshOrder.cancellation)) return { changed: true, over: false }; // the page was left, or knows more already
    order = freshOrder;
    const missed = events.filter(({ eventId }) => freshEvents?.every((fresh) => fresh.eventId !== eventId)); // the audit log lags
    events = freshEvents ? [...freshEvents, ...missed] : events;
    const changed = show();
    view.trouble('');
    orderChanged(order);
    const over = isOver(order) && isComplete(order, events);
    if (over && inbox && !view.hasEmail) view.showEmail(await emailOf(order, inbox));
    return { changed, over };
  };
  const failed = (error) => {
    if (error.name === 'SignInNeeded') {
      view.trouble(error.message, h('a', { href: '#/account' }, 'Sign in'));
      return 'ended';
    }
    view.trouble(`${error.message} What you see is what was known before; this page keeps trying.`);
    return null;
  };
  await read(false);
  const follower = new Follower({ ticket: () => api.ticket(orderId), heard, read, failed, signal });
  follower.start();
  if (operatorsView) watchRescue();
  return view.element;

  /** An order that has ended is looked at again when something more happens to it. */
  function watchRescue() {
    let known = '';
    const what = () => JSON.stringify([order, events]);
    const ask = () => {
      known = what();
      return operatorsView(orderId);
    };
    const heard = (seen) => {
      rescue = seen;
      show();
    };
    watch({ ask, isDue: () => !isOver(order) || known !== what(), heard, signal });
  }
}

async function emailOf(order, inbox) {
  const number = orderNumber(order.orderId);
  return (await inbox()).find(({ id, subject }) => id === order.notification.messageId || subject.includes(number));
}

class OrderView {
  constructor(choreography, announce, signal, cancel) {
    this.announce = announce;
    this.hasEmail = false;
    this.stage = new Stage(choreography, signal);
    this.title = h('h1', { tabindex: -1 });
    this.status = h('p.status');
    this.problem = h('p.error', { role: 'alert', hidden: true });
    this.cancellation = new Cancellation(cancel);
    this.facts = h('dl.facts');
    this.mail = h('section.letter', { 'aria-label': 'The e-mail', hidden: true });
    this.element = h('article.order', {},
      h('div.heading', {}, this.title, this.status, this.cancellation.element), this.problem,
      this.stage.element,
      h('div.columns', {},
        h('section.story', {}, h('h2', {}, 'What happened'), this.stage.timeline.element),
        h('div.receipt', {}, h('section', {}, h('h2', {}, 'The order'), this.facts), this.mail)));
  }

  update(order, events, rescue, isStill) {
    const [sign, word] = STATUSES[order.status];
    this.title.textContent = `Order ${orderNumber(order.orderId)}`;
    this.status.replaceChildren(h(`span.badge.${order.status}`, {}, `${sign} ${word}`));
    this.cancellation.update(order);
    this.facts.replaceChildren(...facts(order));
    const added = this.stage.update(order, events, rescue, isStill);
    if (added.length) this.announce(added.map(({ headline, title }) => `${headline}: ${title}`).join('. '));
    if (isOver(order) && !this.hasEmail) this.showReceipt(order.notification);
    if (this.stage.over && !CALM.matches && takeFirstOrder(order.orderId)) this.stage.replay.playByItself();
  }

  showReceipt(notification) {
    const text = notification.messageId
      ? `You were sent an e-mail on ${time(notification.at)}.`
      : `The e-mail to you was rejected: ${notification.rejection}. The order is complete all the same.`;
    this.mail.replaceChildren(h('h2', {}, '✉ The e-mail'), h('p', {}, text));
    this.mail.hidden = false;
  }

  showEmail(email) {
    if (!email) return;
    this.hasEmail = true;
    this.mail.replaceChildren(h('h2', {}, `✉ ${email.subject}`), h('pre', { tabindex: 0, role: 'region', 'aria-label': 'Its text' }, email.text));
    this.announce(`The e-mail has arrived: ${email.subject}`);
  }

  trouble(message, ...more) {
    if (this.problem.textContent.startsWith(message) && message) return;
    this.problem.hidden = !message;
    this.problem.replaceChildren(message, ' ', ...more);
  }
}

function facts(order) {
  const lines = order.items.map(({ quantity, name, unitPrice }) => h('li', {}, `${quantity} × ${name}, ${money(quantity * unitPrice, order.currency)}`));
  const rows = [
    ['Ordered', h('ul', {}, ...lines)],
    ['Total', money(order.totalAmount, order.currency)],
    ['Placed', time(order.placedAt)],
    ['Paid with', PAYMENT_METHODS[order.paymentMethod]?.[0] ?? order.paymentMethod],
    order.payment && ['Payment', payment(order.payment)],
    order.cancellation && ['Cancelled', time(order.cancellation.at)],
    order.refund && ['Refund', `${money(order.refund.amount, order.refund.currency)}, ${time(order.refund.at)}`],
    order.fulfillment && ['Parcel', `${order.fulfillment.carrier}, ${order.fulfillment.trackingId}`],
  ];
  return rows.filter(Boolean).flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]);
}

function payment({ status, reason }) {
  if (status === 'VOIDED') return 'never charged';
  return status === 'COMPLETED' ? 'charged once' : `not charged: ${reason.replaceAll('_', ' ')}`;
}
