// The button that cancels an order, as long as that can still work, and in words what became of a cancellation.

import { ApiError } from './api.js';
import { h } from './dom.js';
import { money } from './words.js';

export class Cancellation {
  /** `cancel` asks the API and resolves when the page shows the order as it is then. */
  constructor(cancel) {
    this.cancel = cancel;
    this.start = h('button.quiet', { type: 'button', onclick: () => this.#ask() }, 'Cancel the order');
    this.confirm = h('button', { type: 'button', onclick: () => this.#confirmed() }, 'Yes, cancel it');
    this.keep = h('button.quiet', { type: 'button', onclick: () => this.#keep() }, 'Keep the order');
    this.question = h('div.buttons', { role: 'group', 'aria-label': 'Cancel this order?', hidden: true },
      h('span', {}, 'Cancel this order?'), this.confirm, this.keep);
    this.result = h('p', { role: 'status' });
    this.element = h('section.cancellation', { 'aria-label': 'Cancelling' }, this.start, this.question, this.result);
    this.isAsking = false;
  }

  update(order) {
    this.isPossible = isPossible(order);
    if (!this.isPossible) this.isAsking = false;
    this.#showButtons();
    if (order.cancellation) this.#say(outcome(order));
  }

  #showButtons() {
    this.start.hidden = !this.isPossible || this.isAsking;
    this.question.hidden = !this.isAsking;
  }

  #ask() {
    this.isAsking = true;
    this.#say('');
    this.#showButtons();
    this.confirm.focus();
  }

  #keep() {
    this.isAsking = false;
    this.#showButtons();
    this.start.focus();
  }

  async #confirmed() {
    this.confirm.disabled = this.keep.disabled = true;
    try {
      await this.cancel();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#say(error.status === 409 ? `It is too late to cancel this order: ${error.message}.` : `The order is not cancelled. ${error.message}`);
    } finally {
      this.confirm.disabled = this.keep.disabled = false;
      this.isAsking = false;
      this.#showButtons();
    }
  }

  #say(words) {
    if (this.result.textContent !== words) this.result.textContent = words; // said once by a screen reader
  }
}

/** As the API sees it: nothing is shipped yet, and the payment has not failed. */
function isPossible({ status, cancellation, fulfillment, payment }) {
  return ['PLACED', 'PAID'].includes(status) && !cancellation && !fulfillment && payment?.status !== 'FAILED';
}

function outcome({ payment, refund }) {
  if (refund) return `The order is cancelled. Your card got ${money(refund.amount, refund.currency)} back.`;
  if (payment?.status === 'VOIDED') return 'The order is cancelled. Your card was not charged, and will not be.';
  return 'The order is cancelled. If your card was charged, the full amount will be refunded.';
}
