// The button that cancels an order, while that is still possible, and the outcome of a cancellation in words.

import { ApiError } from './api.js';
import { h } from './dom.js';
import { money } from './words.js';

export class Cancellation {
  /** `cancel` resolves to the order in the API's response. If it rejects, the page has read the order again, if it could. */
  constructor(cancel) {
    this.cancel = cancel;
    this.isAsking = this.isPending = this.isTooLate = this.isUncertain = false;
    this.start = h('button.quiet', { type: 'button', onclick: () => this.#ask() }, 'Cancel the order');
    this.keep = h('button.quiet', { type: 'button', onclick: () => this.#keep() }, 'Keep the order');
    this.confirm = h('button', { type: 'button', onclick: () => this.#confirmed() }, 'Yes, cancel it');
    const onkeydown = ({ key }) => key === 'Escape' && this.#keep();
    this.question = h('div.buttons', { role: 'group', 'aria-label': 'Cancel this order?', tabindex: -1, hidden: true, onkeydown },
      h('span', {}, 'Cancel this order?'), this.keep, this.confirm); // the second click of a double click must not confirm
    this.result = h('p', { role: 'status' });
    this.element = h('section.cancellation', { 'aria-label': 'Cancelling', tabindex: -1 }, this.start, this.question, this.result);
  }

  /** Show the order as it is now. A customer who is about to cancel it is shown that this is no longer possible. */
  update(order) {
    const isAboutTo = this.isUncertain || (this.isPossible && (this.isAsking || this.element.contains(document.activeElement)));
    this.order = order;
    this.isPossible = !this.isTooLate && isPossible(order);
    if (order.cancellation) this.#say(outcome(order));
    else if (!this.isPossible && !this.isPending && isAboutTo) this.#tooLate(whatCameFirst(order));
    if (!this.isPossible) this.isAsking = false;
    this.#showButtons();
  }

  #showButtons() {
    const focused = document.activeElement;
    this.start.hidden = !this.isPossible || this.isAsking;
    this.question.hidden = !this.isAsking;
    this.keep.disabled = this.confirm.disabled = this.isPending;
    if (this.element.contains(focused) && !isUsable(focused)) this.#focus();
  }

  /** The focus stays here when its button goes away. On the question itself a key that is held down does nothing. */
  #focus() {
    (this.isAsking ? this.question : this.start.hidden ? this.element : this.start).focus();
  }

  #ask() {
    this.isAsking = true;
    this.#say('');
    this.#showButtons();
  }

  #keep() {
    if (this.isPending) return;
    this.isAsking = false;
    this.#showButtons();
  }

  async #confirmed() {
    this.isPending = true;
    this.#say('The order is being cancelled …');
    this.#showButtons();
    try {
      const order = await this.cancel();
      if (!this.order.cancellation) this.update(order); // else the page shows a later state already
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!this.order.cancellation) this.#refused(error);
    } finally {
      this.isPending = this.isAsking = false;
      this.#showButtons();
    }
  }

  /** Without a response, the order may be cancelled all the same. */
  #refused({ status, message }) {
    if (status === 409) this.#tooLate(message);
    else if (!this.isPossible) this.#tooLate(whatCameFirst(this.order));
    else if (status > 0 && status < 500) this.#say(`The order is not cancelled. ${message}`);
    else this.#say(`It is not certain that the order is cancelled. ${message}`, { isUncertain: true });
  }

  #tooLate(reason) {
    this.isTooLate = true;
    this.isPossible = false;
    this.#say(`It is too late to cancel this order: ${reason}.`);
  }

  #say(words, { isUncertain = false } = {}) {
    this.isUncertain = isUncertain;
    if (this.result.textContent !== words) this.result.textContent = words; // said once by a screen reader
  }
}

function isUsable(element) {
  return !element.disabled && !element.closest('[hidden]');
}

/** As the API decides: nothing is shipped, the payment has not failed, and the order is not cancelled yet. */
export function isPossible({ cancellation, fulfillment, payment }) {
  return !cancellation && !fulfillment && payment?.status !== 'FAILED';
}

function whatCameFirst({ fulfillment }) {
  return fulfillment ? 'the order was handed to the carrier' : 'the payment failed';
}

function outcome({ payment, refund }) {
  if (refund) return `The order is cancelled. ${money(refund.amount, refund.currency)} was refunded to your card.`;
  if (payment?.status === 'VOIDED') return 'The order is cancelled. Your card was not charged, and will not be.';
  return 'The order is cancelled. If your card was charged, the full amount will be refunded.';
}
