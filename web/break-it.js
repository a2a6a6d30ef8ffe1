// The panel that breaks things, on stage `local` only: its server does what `npm run break-it` and `npm run dlq` do.
// An outage has three steps. The state of the gateway and the dead letters say which is next, also after a reload.

import { h } from './dom.js';
import { orderNumber } from './words.js';

const POLL_INTERVAL_MS = 3000; // between two reads of the dead-letter queues

export class BreakIt {
  constructor(element) {
    this.orderId = null;
    this.switched = 0;
    this.letters = [];
    this.turn = Promise.resolve(); // reading the dead letters hides them from other readers for a moment: one request at a time
    this.takeDown = this.#button('Take the gateway down', () => this.#do(this.outage, 'gateway', { state: 'down' }));
    this.bringUp = this.#button('Bring the gateway up', () => this.#do(this.rescued, 'gateway', { state: 'up' }));
    this.redrive = this.#button('Redrive them', () => this.#do(this.rescued, 'redrive', {}));
    this.twice = this.#button('Send OrderPlacedEvent again', () => this.#do(this.repeated, 'send-twice', { orderId: this.orderId }));
    this.state = h('p', {}, 'Loading …');
    this.order = h('p', {}, h('a', { href: '#/' }, 'Order something'), ', or open an order that is waiting.');
    this.deadLetters = h('ul.dead-letters');
    [this.outage, this.rescued, this.repeated] = [said(), said(), said()];
    this.problem = h('p.error', { role: 'alert', hidden: true });
    this.steps = [
      step('Take the payment gateway down', 'No card can be charged then.', this.state, this.takeDown, this.outage),
      step('Order, and watch it fail', 'Three attempts fail. Then the event is a dead letter: kept in a queue, so that it isn\'t lost.', this.order, this.deadLetters),
      step('Repair, and redrive', 'Redriving sends the event to its function again.', this.bringUp, ' ', this.redrive, this.rescued),
    ];
    this.repetition = h('section', { hidden: true }, h('h3', {}, 'The same event, twice'),
      h('p', {}, 'AWS delivers an event at least once. See what a duplicate does.'), this.twice, this.repeated);
    this.panel = h('details', { open: matchMedia('(min-width: 60rem)').matches },
      h('summary', {}, h('h2', { id: 'break-it-title' }, 'Break it')),
      h('p.hint', {}, 'Only on this machine. Break something, and see that nothing is lost.'),
      h('ol.outage', { 'aria-label': 'An outage in three steps' }, this.steps), this.problem, this.repetition);
    element.replaceChildren(this.panel);
    element.hidden = false;
    this.#show();
    this.#watch();
  }

  /** Set the order that the customer looks at, or null. */
  about(orderId) {
    if (orderId !== this.orderId) this.repeated.textContent = '';
    this.orderId = orderId;
    this.#show();
  }

  async inbox(email) {
    return (await this.#request(`inbox?${new URLSearchParams({ email })}`)).messages;
  }

  /** The operator's view of an order: failed attempts, dead letters, and when it is due. */
  rescue(orderId) {
    return this.#request(`rescue?${new URLSearchParams({ orderId })}`);
  }

  /** The step that comes next: an outage begins, has no dead letter yet, or is to be healed. */
  get #current() {
    if (this.letters.length) return 2;
    return this.isDown ? 1 : 0;
  }

  #show() {
    const isKnown = this.isDown !== undefined;
    if (isKnown) this.state.textContent = this.isDown ? '✗ It is down: no card can be charged or refunded.' : '✓ It is up.';
    this.takeDown.disabled = this.busy || !isKnown || this.isDown;
    this.bringUp.disabled = this.busy || !this.isDown;
    this.redrive.disabled = this.busy || this.isDown || !this.letters.length;
    this.bringUp.hidden = this.redrive.hidden = !this.isDown && !this.letters.length;
    this.order.hidden = !this.isDown || this.letters.length > 0;
    this.deadLetters.hidden = !this.letters.length;
    this.deadLetters.replaceChildren(...this.letters.map(deadLetter));
    this.twice.disabled = this.busy;
    this.repetition.hidden = !this.orderId;
    this.steps.forEach((element, index) => {
      if (isKnown && index === this.#current) element.setAttribute('aria-current', 'step');
      else element.removeAttribute('aria-current');
    });
  }

  async #watch() {
    for (;;) {
      if (this.panel.open && !document.hidden) await this.#inTurn(() => this.#poll());
      await new Promise((resume) => setTimeout(resume, POLL_INTERVAL_MS));
    }
  }

  async #poll() {
    try {
      const before = this.switched;
      const { gateway, deadLetters } = await this.#request('state');
      if (before === this.switched) this.#switched(gateway); // else it has been switched since the request
      this.letters = deadLetters;
      this.#show();
      this.#trouble('');
    } catch (error) {
      this.#trouble(error.message);
    }
  }

  #switched(gateway) {
    this.switched += 1;
    this.isDown = gateway === 'down';
  }

  /** One request after the other: a redrive during a read would find nothing to redrive. */
  #inTurn(request) {
    this.turn = this.turn.then(request);
    return this.turn;
  }

  /** Show the result beside the button, until the next button is used. */
  async #do(place, what, body) {
    this.#trouble('');
    for (const other of [this.outage, this.rescued, this.repeated]) other.textContent = '';
    this.busy = true;
    this.#show();
    const button = document.activeElement;
    await (what === 'redrive' ? this.#inTurn(() => this.#send(place, what, body)) : this.#send(place, what, body));
    this.busy = false;
    this.#show();
    if (document.activeElement === document.body) (button.disabled || button.hidden ? this.panel.firstChild : button).focus();
  }

  async #send(place, what, body) {
    try {
      const done = await this.#request(what, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
      place.textContent = DONE[what](done);
      if (what === 'gateway') this.#switched(done.gateway);
      if (what === 'redrive') await this.#poll();
    } catch (error) {
      this.#trouble(error.message);
    }
  }

  async #request(what, options) {
    const response = await fetch(`break-it/${what}`, { cache: 'no-store', ...options }).catch(() => null);
    if (!response) throw new Error('The launcher does not respond: is npm start still running?');
    const body = await response.json();
    if (!response.ok) throw new Error(body.detail ?? `The launcher returned ${response.status}.`);
    return body;
  }

  #button(words, onclick) {
    return h('button', { type: 'button', disabled: true, onclick }, words);
  }

  #trouble(message) {
    this.problem.textContent = message;
    this.problem.hidden = !message;
  }
}

const DONE = {
  gateway: ({ gateway }) => (gateway === 'down' ? 'Done. Order something now.' : 'It is up again. Redrive the dead letters, or wait: the reconciler publishes their orders\' events again within a minute or two.'),
  'send-twice': () => 'The event is on the bus again.',
  redrive: ({ redriven }) => `${redriven === 1 ? 'One dead letter was' : `${redriven} dead letters were`} redriven. The order continues where it stopped, and its card is charged once.`,
};

function said() {
  return h('p.said', { role: 'status' });
}

function step(title, what, ...parts) {
  return h('li', {}, h('h3', {}, title), h('p.hint', {}, what), ...parts);
}

function deadLetter({ eventType, orderId, consumer, reason }) {
  return h('li', {}, h('strong', {}, eventType), ` of order ${orderNumber(orderId)}; ${consumer.split('-').at(-1)} failed: ${reason}`);
}
