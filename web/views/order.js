// One order: what happens to it while it happens, and once more in slow motion.

import { awaited, isComplete, isOver, NAMES, steps } from '../choreography.js';
import { h } from '../dom.js';
import { Picture } from '../picture.js';
import { after, money, orderNumber, PAYMENT_METHODS, STATUSES, time } from '../words.js';

const LOOK = 300; // milliseconds between two looks at an order that moves
const QUIET_LOOK = 2000; // and at one that waits
const LONG = 5000; // milliseconds without news after which an order is said to wait
const STEP = 1800; // milliseconds of a step in slow motion

export async function orderView({ api, inbox, announce, signal, orderChanged }, orderId) {
  const picture = new Picture();
  const view = new OrderView(picture, announce, signal);
  let seen = '';
  let changedAt = Date.now();
  const look = async () => {
    const [order, events] = [await api.order(orderId), await api.events(orderId)];
    const news = JSON.stringify([order, events]);
    if (news !== seen) changedAt = Date.now();
    const waits = !isOver(order) && Date.now() - changedAt > LONG;
    if (news !== seen || waits) view.update(order, events, waits);
    if (news !== seen) orderChanged(order);
    seen = news;
    if (isOver(order) && inbox && !view.letter) view.showLetter(await letterOf(order, inbox));
    return isOver(order) && isComplete(order, events);
  };
  await look();
  follow(look, () => Date.now() - changedAt < 4 * LONG, view, signal);
  return view.element;
}

/** Look again and again, as long as the page is there: an order that has ended may be sent an event twice. */
async function follow(look, moves, view, signal) {
  while (!signal.aborted) {
    await new Promise((resume) => setTimeout(resume, moves() ? LOOK : QUIET_LOOK));
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
  constructor(picture, announce, signal) {
    this.picture = picture;
    this.announce = announce;
    this.steps = [];
    this.letter = null;
    this.status = h('p.status');
    this.facts = h('dl.facts');
    this.waits = h('div.waits', { role: 'status', hidden: true });
    this.problem = h('p.error', { role: 'alert', hidden: true });
    this.list = h('ol.timeline');
    this.mail = h('section.letter', { 'aria-label': 'The e-mail', hidden: true });
    this.replay = new Replay(picture, () => this.show());
    signal.addEventListener('abort', () => this.replay.stop());
    this.title = h('h1', { tabindex: -1 });
    this.element = h('article.order', {},
      h('div.heading', {}, this.title, this.status), this.problem, this.waits,
      h('section.stage', { 'aria-label': 'The system' }, picture.element, this.replay.element),
      h('div.columns', {},
        h('section', {}, h('h2', {}, 'What happened'), this.list),
        h('section', {}, h('h2', {}, 'The order'), this.facts, this.mail)));
  }

  update(order, events, waits) {
    const before = this.steps.length;
    this.order = order;
    this.steps = steps(order, events);
    this.awaited = awaited(order, events);
    this.title.textContent = `Order ${orderNumber(order.orderId)}`;
    const [sign, word] = STATUSES[order.status];
    this.status.replaceChildren(h(`span.badge.${order.status}`, {}, `${sign} ${word}`));
    this.facts.replaceChildren(...facts(order));
    this.list.replaceChildren(...this.steps.map((step, index) => row(step, index, () => this.replay.open(this.steps, index))));
    this.showWaiting(waits, events);
    if (this.steps.length > before) this.announce(this.steps.slice(before).map(({ title }) => title).join('. '));
    this.replay.allow(isOver(order), this.steps);
    if (isOver(order) && !this.letter) this.showReceipt(order.notification);
    this.show();
  }

  /** As things are; a replay that is open keeps the picture. */
  show() {
    if (!this.replay.isOpen) this.picture.show(this.steps, this.awaited);
  }

  showWaiting(waits, events) {
    this.waits.hidden = !waits;
    if (!waits || this.waits.dataset.for === String(this.awaited)) return;
    this.waits.dataset.for = String(this.awaited);
    const names = this.awaited.map((name) => NAMES[name]).join(' and ') || 'the audit log';
    this.waits.replaceChildren(
      h('h2', {}, `⏳ Your order waits for ${names}`),
      h('p', {}, 'It is stored, and nothing is lost. This is what the system does about it:'),
      h('ul', {},
        h('li', {}, 'A function that failed is tried twice more. Then its event is kept in the dead-letter queue, from where an operator sends it on its way again.'),
        h('li', {}, 'About a minute after the order was placed, and ever more seldom after that, the reconciler publishes OrderPlacedEvent again. Each step that was done already passes the baton on, so that the chain goes on where it broke.'),
        h('li', {}, 'Whatever is repeated: the card is charged once, under the order’s own idempotency key.')));
    if (events.length) this.announce(`Your order waits for ${names}.`);
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
    this.letter = letter;
    this.mail.replaceChildren(h('h2', {}, `✉ ${letter.subject}`), h('pre', {}, letter.text));
    this.announce(`The e-mail has come: ${letter.subject}`);
  }

  trouble(message, ...more) {
    this.problem.hidden = !message;
    this.problem.replaceChildren(message, ' ', ...more);
  }
}

/** Slow motion: one step after the other, with the event's JSON. */
class Replay {
  constructor(picture, close) {
    this.picture = picture;
    this.close = close;
    this.isOpen = false;
    this.steps = [];
    this.start = h('button', { type: 'button', hidden: true, onclick: () => this.open(this.steps, 0, true) }, '▶ Replay in slow motion');
    this.play = h('button', { type: 'button', onclick: () => (this.timer ? this.stop() : this.run()) }, '▶ Play');
    this.where = h('strong', { 'aria-live': 'polite' });
    this.meaning = h('p');
    this.proof = h('pre', { tabindex: 0, 'aria-label': 'What proves this step, as JSON' });
    this.panel = h('div.replay', { hidden: true, role: 'group', 'aria-label': 'Slow motion' },
      h('div.buttons', {},
        h('button', { type: 'button', onclick: () => this.go(this.index - 1) }, '← Back'),
        this.play,
        h('button', { type: 'button', onclick: () => this.go(this.index + 1) }, 'On →'),
        h('button.plain', { type: 'button', onclick: () => this.leave() }, 'Close')),
      this.where, this.meaning, this.proof);
    this.element = h('div', {}, this.start, this.panel);
  }

  /** A replay is of what is over. */
  allow(over, steps) {
    this.steps = steps;
    this.start.hidden = !over || this.isOpen;
  }

  open(steps, index, playing = false) {
    this.steps = steps;
    this.isOpen = true;
    this.start.hidden = true;
    this.panel.hidden = false;
    this.go(index);
    if (playing) {
      this.run();
      this.play.focus();
    }
  }

  run() {
    if (this.index === this.steps.length - 1) this.show(0);
    this.timer = setInterval(() => {
      this.show(this.index + 1);
      if (this.index === this.steps.length - 1) this.stop();
    }, STEP);
    this.play.textContent = '❚❚ Pause';
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = '▶ Play';
  }

  go(index) {
    this.stop();
    this.show(index);
  }

  show(index) {
    this.index = Math.max(0, Math.min(index, this.steps.length - 1));
    const step = this.steps[this.index];
    this.where.textContent = `Step ${this.index + 1} of ${this.steps.length}, ${after(step.after)}: ${step.title}`;
    this.meaning.textContent = step.meaning;
    this.proof.textContent = JSON.stringify(step.proof, null, 2);
    this.picture.show(this.steps.slice(0, this.index + 1));
  }

  leave() {
    this.stop();
    this.isOpen = false;
    this.panel.hidden = true;
    this.start.hidden = false;
    this.start.focus();
    this.close();
  }
}

function row(step, index, open) {
  return h(step.again ? 'li.again' : 'li', { 'data-key': step.key },
    h('button.step', { type: 'button', onclick: open, title: 'Look at this step' },
      h('span.number', {}, String(index + 1)),
      h('span.after', {}, after(step.after)),
      h('span.title', {}, step.again ? `↻ ${step.title}` : step.title)),
    h('p', {}, step.meaning));
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
