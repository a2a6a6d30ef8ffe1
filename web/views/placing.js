// An order on its way to the API: the order's page at once, as a skeleton, until there is an order to show.

import { h } from '../dom.js';
import { keepFirstOrder, keepPlace, keepRefusal, keyFor, orderInProgress, orderIsPlaced } from '../session.js';

export async function placingView({ api, cartChanged, signal, replace }) {
  const wanted = orderInProgress();
  if (wanted) place(wanted);
  else replace('#/cart');
  return h('article.order', { 'aria-busy': 'true' },
    h('h1', { tabindex: -1 }, 'Placing your order …'),
    h('p', {}, 'The order is being stored. Then its first event is published, and everything else follows from that.'),
    h('div.skeleton.large'), h('div.skeleton'), h('div.skeleton'));

  /** The key is kept with the order: a reload, or a second click, is the same order. */
  async function place(body) {
    let next = '#/cart';
    try {
      const { orderId } = await api.place(body, keyFor(body));
      orderIsPlaced(body);
      keepFirstOrder(orderId);
      cartChanged();
      next = `#/orders/${orderId}`;
    } catch (error) {
      if (error.name === 'SignInNeeded' && !signal.aborted) {
        keepPlace('#/cart');
        throw error;
      }
      keepRefusal(error.message);
    }
    if (!signal.aborted) replace(next); // Back leads to the cart, and not to here
  }
}
