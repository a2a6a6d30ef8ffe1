// The panel that breaks things, on stage `local` only: its server does what `npm run break-it` and `npm run dlq` do.

import { h } from './dom.js';
import { orderNumber } from './words.js';

const LOOK = 3000; // milliseconds between two looks at the dead-letter queues

export class BreakIt {
  constructor(element) {
    this.orderId = null;
    this.switched = 0;
    this.said = h('p.said', { role: 'status' });
    this.turn = Promise.resolve(); // a look at the dead letters hides them from others meanwhile: one request at a time
    this.gateway = h('button', { disabled: true, type: 'button', onclick: () => this.#do('gateway', { state: this.down ? 'up' : 'down' }) }, 'Take the gateway down');
    this.twice = h('button', { type: 'button', onclick: () => this.#do('send-twice', { orderId: this.orderId }) }, 'Send OrderPlacedEvent again');
    this.redrive = h('button', { disabled: true, type: 'button', onclick: () => this.#do('redrive', {}) }, 'Redrive them');
    this.state = h('p', {}, 'Asking …');
    this.letters = h('ul.dead-letters', {}, h('li', {}, 'Asking …'));
    this.problem = h('p.error', { role: 'alert', hidden: true });
    this.panel = h('details', { open: matchMedia('(min-width: 60rem)').matches },
      h('summary', {}, h('h2', { id: 'break-it-title' }, 'Break it')),
      h('p.hint', {}, 'Only on this machine. Take something away, and see that nothing is lost.'),
      h('h3', {}, 'The payment gateway'), this.state, this.gateway,
      h('h3', {}, 'The same event, twice'), this.twiceHint = h('p'), this.twice,
      h('h3', {}, 'Dead letters'), this.letters, this.redrive, this.said, this.problem);
    element.replaceChildren(this.panel);
    element.hidden = false;
    this.about(null);
    this.#watch();
  }

  /** Which order the customer looks at. */
  about(orderId) {
    this.orderId = orderId;
    this.#enable();
    this.twiceHint.textContent = orderId ? `Of order ${orderNumber(orderId)}: see what a duplicate starts.` : 'Open one of your orders first.';
  }

  async inbox(email) {
    return (await this.#ask(`inbox?${new URLSearchParams({ email })}`)).messages;
  }

  #enable() {
    this.gateway.disabled = this.busy || this.down === undefined;
    this.twice.disabled = this.busy || !this.orderId;
    this.redrive.disabled = this.busy || !this.count;
  }

  async #watch() {
    for (;;) {
      if (this.panel.open && !document.hidden) await this.#inTurn(() => this.#look());
      await new Promise((resume) => setTimeout(resume, LOOK));
    }
  }

  async #look() {
    try {
      const before = this.switched;
      const { gateway, deadLetters } = await this.#ask('state');
      if (before === this.switched) this.#showGateway(gateway); // else it was switched meanwhile
      this.#showLetters(deadLetters);
      this.#trouble('');
    } catch (error) {
      this.#trouble(error.message);
    }
  }

  #showGateway(gateway) {
    this.switched += 1;
    this.down = gateway === 'down';
    this.state.textContent = this.down ? '✗ It is down: no card can be charged.' : '✓ It is up.';
    this.gateway.textContent = this.down ? 'Bring the gateway up' : 'Take the gateway down';
    this.#enable();
  }

  #showLetters(deadLetters) {
    this.count = deadLetters.length;
    this.#enable();
    const nothing = h('li', {}, 'None.');
    this.letters.replaceChildren(...(deadLetters.length ? deadLetters.map(letter) : [nothing]));
  }

  /** One after the other: a redrive beside a look would find nothing to redrive. */
  #inTurn(ask) {
    this.turn = this.turn.then(ask);
    return this.turn;
  }

  async #do(what, body) {
    this.#trouble('');
    this.busy = true;
    this.#enable();
    const button = document.activeElement;
    await (what === 'redrive' ? this.#inTurn(() => this.#tell(what, body)) : this.#tell(what, body));
    this.busy = false;
    this.#enable();
    if (document.activeElement === document.body) (button.disabled ? this.panel.firstChild : button).focus();
  }

  async #tell(what, body) {
    try {
      const answer = await this.#ask(what, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
      this.said.textContent = DONE[what](answer);
      if (what === 'gateway') this.#showGateway(answer.gateway);
      if (what === 'redrive') await this.#look();
    } catch (error) {
      this.#trouble(error.message);
    }
  }

  async #ask(what, request) {
    const response = await fetch(`break-it/${what}`, { cache: 'no-store', ...request }).catch(() => null);
    if (!response) throw new Error('The launcher does not answer: is npm start still running?');
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail ?? `The launcher answered with ${response.status}.`);
    return answer;
  }

  #trouble(message) {
    this.problem.textContent = message;
    this.problem.hidden = !message;
  }
}

const DONE = {
  gateway: ({ gateway }) => (gateway === 'down' ? 'The payment gateway is down. Order something now.' : 'The payment gateway is up again. Redrive what failed meanwhile, or wait: the reconciler takes the order up within a minute or two.'),
  'send-twice': () => 'The event is on the bus once more.',
  redrive: ({ redriven }) => (redriven === 1 ? 'One dead letter is on its way again.' : `${redriven} dead letters are on their way again.`),
};

function letter({ eventType, orderId, consumer, reason }) {
  return h('li', {}, h('strong', {}, eventType), ` of order ${orderNumber(orderId)}, which ${consumer.split('-').at(-1)} failed on: ${reason}`);
}
