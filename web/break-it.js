// The panel that breaks things, on stage `local` only: its server does what `npm run break-it` and `npm run dlq` do.

import { h } from './dom.js';
import { orderNumber } from './words.js';

const LOOK = 3000; // milliseconds between two looks at the dead-letter queues

export class BreakIt {
  constructor(element, announce) {
    this.element = element;
    this.announce = announce;
    this.orderId = null;
    this.gateway = h('button', { type: 'button', onclick: () => this.#do('gateway', { state: this.down ? 'up' : 'down' }) });
    this.twice = h('button', { type: 'button', onclick: () => this.#do('send-twice', { orderId: this.orderId }) }, 'Send OrderPlacedEvent twice');
    this.redrive = h('button', { type: 'button', onclick: () => this.#do('redrive', {}) }, 'Redrive them');
    this.state = h('p', { role: 'status' });
    this.letters = h('ul.letters');
    this.problem = h('p.error', { role: 'alert', hidden: true });
    element.replaceChildren(h('details', { open: matchMedia('(min-width: 60rem)').matches },
      h('summary', {}, h('h2', { id: 'break-it-title' }, 'Break it')),
      h('p.hint', {}, 'Only on this machine. Take something away, and see that nothing is lost.'),
      h('h3', {}, 'The payment gateway'), this.state, this.gateway,
      h('h3', {}, 'The same event, twice'), this.twiceHint = h('p'), this.twice,
      h('h3', {}, 'Dead letters'), this.letters, this.redrive, this.problem));
    element.hidden = false;
    this.about(null);
    this.#watch();
  }

  /** Which order the customer looks at. */
  about(orderId) {
    this.orderId = orderId;
    this.twice.disabled = !orderId;
    this.twiceHint.textContent = orderId ? `Of order ${orderNumber(orderId)}: see what a duplicate starts.` : 'Open one of your orders first.';
  }

  async inbox(email) {
    return (await this.#ask(`inbox?${new URLSearchParams({ email })}`)).messages;
  }

  async #watch() {
    for (;;) {
      await this.#look();
      await new Promise((resume) => setTimeout(resume, LOOK));
    }
  }

  async #look() {
    try {
      this.#show(await this.#ask('state'));
      this.#trouble('');
    } catch (error) {
      this.#trouble(error.message);
    }
  }

  #show({ gateway, deadLetters }) {
    this.down = gateway === 'down';
    this.state.textContent = this.down ? '✗ It is down: no card can be charged.' : '✓ It is up.';
    this.gateway.textContent = this.down ? 'Bring the gateway up' : 'Take the gateway down';
    this.redrive.disabled = deadLetters.length === 0;
    const nothing = h('li', {}, 'None: every event found its consumer.');
    this.letters.replaceChildren(...(deadLetters.length ? deadLetters.map(letter) : [nothing]));
  }

  async #do(what, body) {
    try {
      const answer = await this.#ask(what, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
      this.announce(DONE[what](answer));
    } catch (error) {
      return this.#trouble(error.message);
    }
    await this.#look();
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
  gateway: ({ gateway }) => (gateway === 'down' ? 'The payment gateway is down. Order something now.' : 'The payment gateway is up again.'),
  'send-twice': () => 'The event is on the bus once more.',
  redrive: ({ redriven }) => (redriven === 1 ? 'One dead letter is on its way again.' : `${redriven} dead letters are on their way again.`),
};

function letter({ eventType, orderId, consumer, reason }) {
  return h('li', {}, h('strong', {}, eventType), ` of order ${orderNumber(orderId)}, which ${consumer} failed on: ${reason}`);
}
