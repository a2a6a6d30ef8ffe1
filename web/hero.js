// The path of an order as a small picture: its steps, and the event that leads from each to the next.

import { h, svg } from './dom.js';

/** Each step has its outline in a square of 24 units, and the event that it publishes. */
export const STEPS = [
  ['You order', 'The order is stored.', 'OrderPlacedEvent', 'M3 4h2l2.5 11h10l2.5-8H6.2M9 19.5h.01M16 19.5h.01'],
  ['Paid', 'The card is charged, once.', 'PaymentCompletedEvent', 'M3 6h18v12H3zM3 10h18M6 15h4'],
  ['Packed', 'The parcel gets its tracking number.', 'FulfillmentCompletedEvent', 'M4 8l8-4 8 4v9l-8 4-8-4zM4 8l8 4 8-4M12 12v9'],
  ['Notified', 'An e-mail is on its way.', null, 'M3 6h18v12H3zM3 7l9 7 9-7'],
];

export function hero() {
  return h('ol.path', { 'aria-label': 'What happens to an order' }, STEPS.map(step));
}

function step([title, what, event, outline]) {
  const sign = svg('svg', { class: 'outline', viewBox: '0 0 24 24', 'aria-hidden': 'true' }, svg('path', { d: outline }));
  return h('li', {}, h('span.stop', {}, sign), h('span', {}, h('strong', {}, title), h('small', {}, what), event && h('code', {}, event)));
}
