// The cart, and the form that places the order.

import { field, h } from '../dom.js';
import { cart, choices, email, keepChoices, keyFor, LARGEST_QUANTITY, MOST_OF_ONE, putIntoCart, takeRefusal, token } from '../session.js';
import { money, PAYMENT_METHODS } from '../words.js';

export async function cartView({ api, go, cartChanged, again, announce }) {
  const products = new Map((await api.products()).map((product) => [product.sku, product]));
  const lines = Object.entries(cart()).filter(([sku]) => products.has(sku));
  const title = h('h1', { tabindex: -1 }, 'Your cart');
  if (!lines.length) return h('section', {}, title, h('p', {}, 'It is empty. ', h('a', { href: '#/' }, 'Have a look around'), '.'));

  const change = (sku, quantity) => {
    putIntoCart(sku, Math.min(LARGEST_QUANTITY, Math.max(0, quantity)));
    if (quantity > LARGEST_QUANTITY) announce(MOST_OF_ONE);
    cartChanged();
    again(`quantity-${sku}`);
  };
  const total = lines.reduce((sum, [sku, quantity]) => sum + quantity * products.get(sku).unitPrice, 0);
  const { currency } = products.get(lines[0][0]);
  return h('section', {}, title,
    h('table.cart', {},
      h('thead', {}, h('tr', {}, ['Product', 'Quantity', 'Price'].map((name) => h('th', { scope: 'col' }, name)), h('td'))),
      h('tbody', {}, lines.map(([sku, quantity]) => line(products.get(sku), quantity, change))),
      h('tfoot', {}, h('tr', {}, h('th', { scope: 'row', colspan: 2 }, 'Total'), h('td.price', {}, money(total, currency)), h('td')))),
    email() ? checkout(go, lines) : h('p', {}, h('a.button', { href: '#/account' }, 'Sign in to order'), ' Your cart stays as it is.'));
}

function line({ sku, name, unitPrice, currency }, quantity, change) {
  const input = h('input', { id: `quantity-${sku}`, type: 'number', min: 0, max: LARGEST_QUANTITY, value: quantity, 'aria-label': `Quantity of ${name}` });
  input.addEventListener('change', () => {
    const wanted = Number.isNaN(input.valueAsNumber) ? quantity : Math.trunc(input.valueAsNumber); // left empty: the quantity before
    change(sku, wanted);
  });
  const remove = h('button.plain', { type: 'button', onclick: () => change(sku, 0), 'aria-label': `Remove ${name}` }, 'Remove');
  const most = quantity >= LARGEST_QUANTITY && h('small.most', {}, MOST_OF_ONE);
  return h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, input, most), h('td.price', {}, money(quantity * unitPrice, currency)), h('td', {}, remove));
}

function checkout(go, lines) {
  const before = choices();
  const chosen = before.paymentMethod ?? Object.keys(PAYMENT_METHODS)[0];
  const refusal = takeRefusal();
  const problem = h('p.error', { role: 'alert', hidden: !refusal }, refusal);
  const button = h('button.big', { type: 'submit' }, 'Order');
  const methods = Object.entries(PAYMENT_METHODS).map(([method, [name, outcome]]) => h('label.choice', {},
    h('input', { type: 'radio', name: 'paymentMethod', value: method, checked: method === chosen }),
    h('span', {}, h('strong', {}, name), h('small', {}, outcome))));
  const form = h('form.checkout', {},
    h('fieldset', {}, h('legend', {}, 'Pay with a test card; no money is charged'), methods),
    field('Phone number, for a text message (optional)', { id: 'phone', type: 'tel', pattern: '\\+[1-9][0-9]{6,14}', value: before.phone },
      'With the country code, like +4915112345678.'),
    problem, button);
  form.addEventListener('change', () => keepChoices(Object.fromEntries(new FormData(form))));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    token(); // throws where the session has ended: then you come back to this cart
    const { paymentMethod, phone } = Object.fromEntries(new FormData(form));
    keyFor({ items: lines.map(([sku, quantity]) => ({ sku, quantity })), paymentMethod, ...(phone && { phone }) });
    go('#/placing');
  });
  return form;
}
