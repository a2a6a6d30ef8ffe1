// The introduction and the products.

import { h } from '../dom.js';
import { hero } from '../hero.js';
import { addToCart } from '../session.js';
import { money } from '../words.js';

export async function shopView({ api, announce, cartChanged, offerSampleCustomer }) {
  const [products, offer] = await Promise.all([api.products(), offerSampleCustomer()]);
  return h('section', {},
    h('div.hero', {},
      h('h1', { tabindex: -1 }, 'Coffee, and everything around it'),
      h('p.lead', {}, 'Order something, and watch what happens to it, by events alone: no function calls another.'),
      hero(), offer),
    h('ul.products', {}, products.map((product) => card(product, announce, cartChanged))));
}

function card({ sku, name, unitPrice, currency }, announce, cartChanged) {
  const picture = h('img', { src: `products/${encodeURIComponent(sku)}.svg`, alt: '', width: 120, height: 90 });
  const result = h('p.added');
  const add = () => {
    const refusal = addToCart(sku);
    result.replaceChildren(refusal ?? 'Added ✓', ' · ', h('a', { href: '#/cart' }, 'Go to cart'));
    cartChanged();
    announce(refusal ?? `${name} is in the cart`);
  };
  return h('li.product', {},
    h('div.shelf', {}, picture), h('h2', {}, name), h('p.price', {}, money(unitPrice, currency)),
    h('button', { type: 'button', onclick: add, 'aria-label': `Add ${name} to the cart` }, 'Add to the cart'), result);
}
