// The products.

import { h } from '../dom.js';
import { cart, putIntoCart } from '../session.js';
import { money } from '../words.js';

export async function shopView({ api, announce, cartChanged }) {
  const products = await api.products();
  return h('section', {},
    h('h1', { tabindex: -1 }, 'Coffee, and everything around it'),
    h('p.lead', {}, 'Put something into the cart and order it. Then watch how the order is paid and shipped and how you are notified, without any function calling another.'),
    h('ul.products', {}, products.map((product) => card(product, () => {
      putIntoCart(product.sku, (cart()[product.sku] ?? 0) + 1);
      cartChanged();
      announce(`${product.name} is in the cart`);
    }))));
}

function card({ sku, name, unitPrice, currency }, add) {
  const picture = h('img', { src: `products/${encodeURIComponent(sku)}.svg`, alt: '', width: 120, height: 90 });
  return h('li.product', {},
    h('div.shelf', {}, picture), h('h2', {}, name), h('p.price', {}, money(unitPrice, currency)),
    h('button', { type: 'button', onclick: add, 'aria-label': `Add ${name} to the cart` }, 'Add to the cart'));
}
