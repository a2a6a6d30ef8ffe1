// One order: what happens to it while it happens, and once more in slow motion.

import { awaited, isComplete, isOver, NAMES, steps, takenUp } from '../choreography.js';
import { h } from '../dom.js';
import { Picture } from '../picture.js';
import { Replay } from '../replay.js';
import { Timeline } from '../timeline.js';
import { money, orderNumber, PAYMENT_METHODS, STATUSES, time } from '../words.js';

const LOOK = 400; // milliseconds between two looks at an order that is open: what happens is to be seen within a second
const QUIET_LOOK = 2000; // and at one that has ended, whose events may still be sent twice, or that nobody looks at
const LONG = 6000; // milliseconds without news after which an order is said to wait

export async function orderView({ api, inbox, announce, signal, orderChanged }, orderId) {
  const view = new OrderView(announce, signal);
  let seen = '';
  let changedAt = Date.now();
  const look = async () => {
    const [order, events] = await Promise.all([api.order(orderId), api.events(orderId)]);
    if (signal.aborted) return;
    const now = JSON.stringify([order, events]);
    if (now !== seen) changedAt = Date.now();
    const waits = !isOver(order) && Date.now() - changedAt > LONG;
    if (now !== seen || waits !== view.isWaiting) view.update(order, events, waits);
    seen = now;
    orderChanged(order);
    if (isOver(order) && isComplete(order, events) && inbox && !view.hasLetter) view.showLetter(await letterOf(order, inbox));
  };
  await look();
  follow(look, view, signal);
  return view.element;
}

/** Look again and again, as long as the page is there. */
async function follow(look, view, signal) {
  while (!signal.aborted) {
    await new Promise((resume) => setTimeout(resume, view.over || document.hidden ? QUIET_LOOK : LOOK));
    if (signal.aborted) return;
    try {
      await look();
      view.trouble('');
    } catch (error) {
      if (error.name === 'SignInNeeded') return view.trouble(error.message, h('a', { href: '#/account' }, 'Sign in'));
      view.trouble(`${error.message} What you see is what was known before; this page keeps asking.`);
    }
  }
}

async function letterOf(order, inbox) {
  const number = orderNumber(order.orderId);
  return (await inbox()).find(({ id, subject }) => id === order.notification.messageId || subject.includes(number));
}

class OrderView {
  constructor(announce, signal) {
    this.announce = announce;
    this.steps = [];
    this.awaited = [];
    this.isWaiting = false;
    this.hasLetter = false;
    this.picture = new Picture(signal);
    this.timeline = new Timeline((index) => this.replay.open(index));
    this.replay = new Replay((_, index) => this.show(index));
    signal.addEventListener('abort', () => this.replay.stop());
    this.title = h('h1', { tabindex: -1 });
    this.status = h('p.status');
    this.problem = h('p.error', { role: 'alert', hidden: true });
    this.waits = h('section.waits', { 'aria-label': 'What is being done', hidden: true });
    this.facts = h('dl.facts');
    this.mail = h('section.letter', { 'aria-label': 'The e-mail', hidden: true });
    this.element = h('article.order', {},
      h('div.heading', {}, this.title, this.status), this.problem, this.waits,
      h('div.columns', {},
        h('section.stage', { 'aria-label': 'The system' }, this.picture.element, this.picture.legend, this.replay.element),
        h('section.story', {}, h('h2', {}, 'What happened'), this.timeline.element),
        h('div.receipt', {}, h('section', {}, h('h2', {}, 'The order'), this.facts), this.mail)));
  }

  update(order, events, waits) {
    const before = new Set(this.steps.map(({ key }) => key));
    this.steps = steps(order, events);
    this.awaited = awaited(order, events);
    this.over = isOver(order) && isComplete(order, events);
    const [sign, word] = STATUSES[order.status];
    this.title.textContent = `Order ${orderNumber(order.orderId)}`;
    this.status.replaceChildren(h(`span.badge.${order.status}`, {}, `${sign} ${word}`));
    this.facts.replaceChildren(...facts(order));
    this.timeline.show(this.steps);
    this.showWaiting(waits, takenUp(events));
    const news = this.steps.filter(({ key }) => !before.has(key));
    if (news.length) this.announce(news.map(({ title }) => title).join('. '));
    this.replay.allow(this.over, this.steps);
    if (isOver(order) && !this.hasLetter) this.showReceipt(order.notification);
    if (!this.replay.isOpen) this.show(null, news);
  }

  /** The moment of a step, or with null how things are; what is new travels. */
  show(index, news = []) {
    this.timeline.mark(index);
    if (index === null) this.picture.show(this.steps, { waiting: this.awaited, settled: this.over, travelling: news });
    else this.picture.show(this.steps.slice(0, index + 1), { travelling: [this.steps[index]] });
  }

  showWaiting(waits, again) {
    this.isWaiting = waits;
    this.waits.hidden = !waits;
    if (!waits) return;
    const names = this.awaited.map((name) => NAMES[name]).join(' and ') || 'its next event';
    const taken = again && h('li.done', {}, `✓ The reconciler has taken the order up again: attempt ${again.attempt}.`);
    const title = `… Your order waits for ${names}`;
    if (this.waits.firstChild?.textContent !== title) this.announce(`${title}. It is stored, and nothing is lost.`);
    this.waits.replaceChildren(
      h('h2', {}, title),
      h('p', {}, 'It is stored, and nothing is lost. This is what the system does about it:'),
      h('ul', {}, taken,
        h('li', {}, 'A function that fails is tried twice more. Then its event is kept as a dead letter, from where an operator sends it on its way again.'),
        h('li', {}, 'A minute or two after the order was placed, then ever more seldom, the reconciler publishes OrderPlacedEvent again. Steps that are done pass the baton on, and the chain goes on where it broke.'),
        h('li', {}, 'Whatever is repeated: the card is charged once.')));
  }

  showReceipt(notification) {
    const text = notification.messageId
      ? `You were sent an e-mail on ${time(notification.at)}.`
      : `The e-mail to you was refused: ${notification.rejection}. The order is complete all the same.`;
    this.mail.replaceChildren(h('h2', {}, '✉ The e-mail'), h('p', {}, text));
    this.mail.hidden = false;
  }

  showLetter(letter) {
    if (!letter) return;
    this.hasLetter = true;
    this.mail.replaceChildren(h('h2', {}, `✉ ${letter.subject}`), h('pre', { tabindex: 0, role: 'region', 'aria-label': 'Its text' }, letter.text));
    this.announce(`The e-mail has come: ${letter.subject}`);
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
    order.payment && ['Payment', order.payment.status === 'COMPLETED' ? 'charged once' : `not charged: ${order.payment.reason.replaceAll('_', ' ')}`],
    order.fulfillment && ['Parcel', `${order.fulfillment.carrier}, ${order.fulfillment.trackingId}`],
  ];
  return rows.filter(Boolean).flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]);
}
