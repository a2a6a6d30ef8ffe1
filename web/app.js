// Starts the page: reads the configuration, then shows the view that the URL's hash names.

import { Api } from './api.js';
import { BreakIt } from './break-it.js';
import { Choreography } from './choreography.js';
import { Cognito } from './cognito.js';
import { h } from './dom.js';
import { sampleCustomerOffer } from './sample-customer.js';
import { cart, email, keepPlace, place, signOut } from './session.js';
import { accountView } from './views/account.js';
import { cartView } from './views/cart.js';
import { orderView } from './views/order.js';
import { placingView } from './views/placing.js';
import { ordersView } from './views/orders.js';
import { shopView } from './views/shop.js';

const ROUTES = [
  [/^#\/orders\/([^/]+)$/, orderView],
  [/^#\/orders$/, ordersView],
  [/^#\/cart$/, cartView],
  [/^#\/placing$/, placingView],
  [/^#\/account$/, accountView],
  [/^/, shopView],
];

const main = document.getElementById('main');
const notice = document.getElementById('notice');
const spoken = document.body.appendChild(h('p.visually-hidden', { 'aria-live': 'polite' }));
let shown = new AbortController();

async function start() {
  const config = await readConfig();
  const panel = config.breakIt ? new BreakIt(document.getElementById('break-it')) : null;
  const page = {
    api: new Api(config),
    choreography: new Choreography(config.topology),
    cognito: new Cognito(config),
    inboxOf: panel && ((address) => panel.inbox(address)),
    inbox: panel && (() => panel.inbox(email())),
    operatorsView: panel && ((orderId) => panel.rescue(orderId)),
    announce,
    say,
    cartChanged: showHeader,
    orderChanged: ({ orderId }) => panel?.about(orderId),
    go: (hash) => {
      location.hash = hash;
    },
    replace: (hash) => location.replace(hash),
    offerSampleCustomer: async () => (config.breakIt ? sampleCustomerOffer(readConfig, page.signedIn) : null),
    again: (focus) => show(page, focus),
    signedIn: () => {
      showHeader();
      say('');
      page.go(place());
    },
  };
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault(); // the hash is the route
    main.focus();
  });
  window.addEventListener('hashchange', () => show(page));
  window.addEventListener('unhandledrejection', (event) => {
    event.preventDefault();
    complain(event.reason, page);
  });
  await show(page);
}

/** Show the view of the URL; then focus the element whose id is `focus`, else the title. */
async function show(page, focus) {
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  const [pattern, view] = ROUTES.find(([route]) => route.test(location.hash));
  const [, argument] = pattern.exec(location.hash);
  showHeader();
  if (view !== accountView) {
    say('');
    keepPlace(location.hash);
  }
  if (view !== orderView) page.orderChanged({ orderId: null });
  try {
    const element = await view({ ...page, signal }, argument);
    if (signal.aborted) return; // the customer has opened another view meanwhile
    main.replaceChildren(element);
    document.title = `${element.querySelector('h1').textContent} · Brewed by events`;
    (document.getElementById(focus) ?? element.querySelector('h1')).focus({ preventScroll: Boolean(focus) });
  } catch (error) {
    if (!signal.aborted) complain(error, page);
  }
}

async function readConfig() {
  const response = await fetch('config.json', { cache: 'no-store' });
  if (!response.ok) throw new Error(`The configuration can't be read: ${response.status}`);
  return response.json();
}

function complain(error, page) {
  if (error.name === 'SignInNeeded') {
    signOut();
    location.hash = '#/account';
    return say(error.message);
  }
  const retry = h('button', { type: 'button', onclick: () => show(page) }, 'Try again');
  const { title, words } = explained(error);
  main.replaceChildren(h('section.problem', { role: 'alert' }, h('h1', { tabindex: -1 }, title), words, error.status === 404 ? null : retry));
  main.querySelector('h1').focus();
}

function explained({ status, isStopped, message }) {
  if (status === 404) {
    return {
      title: 'There is no such order',
      words: [h('p', {}, 'None of your orders has this number. It may belong to another account, or the link may be incomplete.'),
        h('p.links', {}, h('a', { href: '#/orders' }, 'My orders'), h('a', { href: '#/' }, 'Shop'))],
    };
  }
  return isStopped ? stopped() : { title: "That didn't work", words: [h('p', {}, message)] };
}

function stopped() {
  return {
    title: 'The local stack has stopped',
    words: [h('p', {}, 'The embedded AWS does not respond. Start it again in a terminal:'), h('pre', {}, 'npm start'),
      h('p', {}, 'Your cart is kept in this tab.')],
  };
}

function showHeader() {
  const count = Object.values(cart()).reduce((sum, quantity) => sum + quantity, 0);
  document.getElementById('cart-count').textContent = String(count);
  for (const link of document.querySelectorAll('nav a')) {
    if (link.getAttribute('href') === (location.hash || '#/')) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  const leave = () => {
    signOut();
    showHeader();
    location.hash = '#/';
  };
  const account = email()
    ? [h('span.who', {}, email()), h('button.plain', { type: 'button', onclick: leave }, 'Sign out')]
    : [h('a', { href: '#/account' }, 'Sign in')];
  document.getElementById('account').replaceChildren(...account);
}

/** Show a line above the page, which screen readers read as well. */
function say(text) {
  notice.textContent = text;
}

function announce(text) {
  spoken.textContent = text;
}

start().catch(() => {
  main.replaceChildren(h('section.problem', { role: 'alert' }, h('h1', { tabindex: -1 }, 'The shop is closed'),
    h('p', {}, "Its configuration can't be read. If it runs on your machine, start the stack in a terminal:"), h('pre', {}, 'npm start'),
    h('button', { type: 'button', onclick: () => location.reload() }, 'Try again')));
});
