// The customer's orders, newest first, a page at a time.

import { h } from '../dom.js';
import { money, orderNumber, STATUSES, time } from '../words.js';

export async function ordersView({ api }) {
  const list = h('ul.orders');
  const more = h('button', { type: 'button' }, 'Older orders');
  let next = null;
  const load = async () => {
    const page = await api.orders(next);
    next = page.nextToken;
    more.hidden = !next;
    list.append(...page.orders.map(row));
  };
  more.addEventListener('click', load);
  await load();
  const nothing = h('p', {}, 'You have no orders yet. ', h('a', { href: '#/' }, 'Order something'), ', and watch what happens.');
  return h('section', {}, h('h1', { tabindex: -1 }, 'My orders'), list.children.length ? list : nothing, more);
}

function row(order) {
  const [sign, word] = STATUSES[order.status];
  const what = order.items.map(({ quantity, name }) => `${quantity} × ${name}`).join(', ');
  return h('li', {}, h('a', { href: `#/orders/${order.orderId}` },
    h('strong', {}, `Order ${orderNumber(order.orderId)}`),
    h(`span.badge.${order.status}`, {}, `${sign} ${word}`),
    h('span.what', {}, what),
    h('span.when', {}, `${money(order.totalAmount, order.currency)} · ${time(order.placedAt)}`)));
}
