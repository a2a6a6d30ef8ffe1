// The panel that breaks things, on stage `local` only: its server does what `npm run break-it` and `npm run dlq` do.

import { h } from './dom.js';
import { orderNumber } from './words.js';

const POLL_INTERVAL_MS = 3000; // between two reads of the dead-letter queues

export class BreakIt {
  constructor(element) {
    this.orderId = null;
    this.switched = 0;
    this.said = h('p.said', { role: 'status' });
    this.turn = Promise.resolve(); // reading the dead letters hides them from other readers for a moment: one request at a time
    this.gateway = h('button', { disabled: true, type: 'button', onclick: () => this.#do('gateway', { state: this.down ? 'up' : 'down' }) }, 'Take the gateway down');
    this.twice = h('button', { type: 'button', onclick: () => this.#do('send-twice', { orderId: this.orderId }) }, 'Send OrderPlacedEvent again');
    this.redrive = h('button', { disabled: true, type: 'button', onclick: () => this.#do('redrive', {}) }, 'Redrive them');
    this.state = h('p', {}, 'Loading …');
    this.deadLetters = h('ul.dead-letters', {}, h('li', {}, 'Loading …'));
    this.problem = h('p.error', { role: 'alert', hidden: true });
    this.panel = h('details', { open: matchMedia('(min-width: 60rem)').matches },
      h('summary', {}, h('h2', { id: 'break-it-title' }, 'Break it')),
      h('p.hint', {}, 'Only on this machine. Break something, and see that nothing is lost.'),
      h('h3', {}, 'The payment gateway'), this.state, this.gateway,
      h('h3', {}, 'The same event, twice'), this.twiceHint = h('p'), this.twice,
      h('h3', {}, 'Dead letters'), this.deadLetters, this.redrive, this.said, this.problem);
    element.replaceChildren(this.panel);
    element.hidden = false;
    this.about(null);
    this.#watch();
  }

  /** Set the order that the customer looks at, or null. */
  about(orderId) {
    this.orderId = orderId;
    this.#enable();
    this.twiceHint.textContent = orderId ? `Of order ${orderNumber(orderId)}: see what a duplicate does.` : 'Open one of your orders first.';
  }

  async inbox(email) {
    return (await this.#request(`inbox?${new URLSearchParams({ email })}`)).messages;
  }

  /** What the launcher has seen of an order: failed attempts, dead letters, and when it is due. */
  rescue(orderId) {
    return this.#request(`rescue?${new URLSearchParams({ orderId })}`);
  }

  #enable() {
    this.gateway.disabled = this.busy || this.down === undefined;
    this.twice.disabled = this.busy || !this.orderId;
    this.redrive.disabled = this.busy || !this.count;
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
      if (before === this.switched) this.#showGateway(gateway); // else it has been switched since the request
      this.#showDeadLetters(deadLetters);
      this.#trouble('');
    } catch (error) {
      this.#trouble(error.message);
    }
  }

  #showGateway(gateway) {
    this.switched += 1;
    this.down = gateway === 'down';
    this.state.textContent = this.down ? '✗ It is down: no card can be charged or refunded.' : '✓ It is up.';
    this.gateway.textContent = this.down ? 'Bring the gateway up' : 'Take the gateway down';
    this.#enable();
  }

  #showDeadLetters(deadLetters) {
    this.count = deadLetters.length;
    this.#enable();
    const nothing = h('li', {}, 'None.');
    this.deadLetters.replaceChildren(...(deadLetters.length ? deadLetters.map(deadLetter) : [nothing]));
  }

  /** One request after the other: a redrive during a read would find nothing to redrive. */
  #inTurn(request) {
    this.turn = this.turn.then(request);
    return this.turn;
  }

  async #do(what, body) {
    this.#trouble('');
    this.busy = true;
    this.#enable();
    const button = document.activeElement;
    await (what === 'redrive' ? this.#inTurn(() => this.#send(what, body)) : this.#send(what, body));
    this.busy = false;
    this.#enable();
    if (document.activeElement === document.body) (button.disabled ? this.panel.firstChild : button).focus();
  }

  async #send(what, body) {
    try {
      const done = await this.#request(what, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
      this.said.textContent = DONE[what](done);
      if (what === 'gateway') this.#showGateway(done.gateway);
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

  #trouble(message) {
    this.problem.textContent = message;
    this.problem.hidden = !message;
  }
}

const DONE = {
  gateway: ({ gateway }) => (gateway === 'down' ? 'The payment gateway is down. Order something now.' : 'The payment gateway is up again. Redrive what failed meanwhile, or wait: the reconciler publishes its event again within a minute or two.'),
  'send-twice': () => 'The event is on the bus again.',
  redrive: ({ redriven }) => (redriven === 1 ? 'One dead letter was redriven.' : `${redriven} dead letters were redriven.`),
};

function deadLetter({ eventType, orderId, consumer, reason }) {
  return h('li', {}, h('strong', {}, eventType), ` of order ${orderNumber(orderId)}; ${consumer.split('-').at(-1)} failed: ${reason}`);
}
