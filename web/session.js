// Who is signed in, and the cart. Both live in this tab alone, and end with it.

/** The API's limits. */
export const LARGEST_QUANTITY = 1000; // of one product
export const MOST_LINES = 50; // products in an order
export const MOST_OF_ONE = `An order can have at most ${LARGEST_QUANTITY.toLocaleString('en')} of one product.`;

const store = {
  read: (name) => JSON.parse(sessionStorage.getItem(name)),
  write: (name, value) => sessionStorage.setItem(name, JSON.stringify(value)),
};

/** The session has ended, or there was none: sign in, and continue where you were. */
export class SignInNeeded extends Error {
  name = 'SignInNeeded';
}

export function keepToken(idToken) {
  store.write('idToken', idToken);
}

export function signOut() {
  sessionStorage.removeItem('idToken');
}

/** The ID token. Throws SignInNeeded when there is none, or when it has expired (`exp`). */
export function token() {
  const idToken = store.read('idToken');
  if (!idToken) throw new SignInNeeded('Sign in first.');
  if (hasExpired(idToken)) {
    throw new SignInNeeded('Your session ended after an hour. Sign in again: your cart is as you left it.');
  }
  return idToken;
}

/** The e-mail address of the signed-in customer, or null: an expired token is no session. */
export function email() {
  const idToken = store.read('idToken');
  return idToken && !hasExpired(idToken) ? claims(idToken).email : null;
}

function hasExpired(idToken) {
  return claims(idToken).exp * 1000 <= Date.now();
}

/** The hash of the last view before the sign-in, to go back to. */
export function place() {
  return store.read('place') ?? '#/';
}

export function keepPlace(hash) {
  store.write('place', hash);
}

/** The choices below the cart: `paymentMethod` and `phone`. */
export function choices() {
  return store.read('choices') ?? {};
}

export function keepChoices(chosen) {
  store.write('choices', chosen);
}

/** SKU → quantity. */
export function cart() {
  return store.read('cart') ?? {};
}

/** One more of a product in the cart, or in words why not. */
export function addToCart(sku) {
  const before = cart();
  const refusal = refusalOf(before, sku);
  if (!refusal) putIntoCart(sku, (before[sku] ?? 0) + 1);
  return refusal;
}

/** Why an order does not take one more of a product, in words, or null. */
export function refusalOf(inCart, sku) {
  if ((inCart[sku] ?? 0) >= LARGEST_QUANTITY) return MOST_OF_ONE;
  if (!(sku in inCart) && Object.keys(inCart).length >= MOST_LINES) return `An order can have at most ${MOST_LINES} products.`;
  return null;
}

export function putIntoCart(sku, quantity) {
  const { [sku]: _, ...others } = cart();
  store.write('cart', quantity > 0 ? { ...others, [sku]: quantity } : others);
}

/**
 * The idempotency key of an order that is being placed: the same until it is done, so that a second click or another
 * try after an error is the same order. Another order has another key.
 */
export function keyFor(body) {
  const wanted = JSON.stringify(body);
  const attempt = store.read('attempt');
  if (attempt?.body === wanted) return attempt.key;
  const key = crypto.randomUUID();
  store.write('attempt', { body: wanted, key });
  return key;
}

/** The order that is being placed, or null. */
export function orderInProgress() {
  return store.read('attempt')?.body ? JSON.parse(store.read('attempt').body) : null;
}

/** Take the ordered products out of the cart; products that were added meanwhile stay. */
export function orderIsPlaced({ items }) {
  for (const { sku, quantity } of items) putIntoCart(sku, (cart()[sku] ?? 0) - quantity);
  for (const name of ['attempt', 'choices']) sessionStorage.removeItem(name);
}

/** The first order of this tab plays in slow motion by itself. */
export function keepFirstOrder(orderId) {
  if (!store.read('firstOrder')) store.write('firstOrder', { orderId, played: false });
}

/** Whether the order is the first one and has not played; it counts as played from now on. */
export function takeFirstOrder(orderId) {
  const first = store.read('firstOrder');
  const plays = first?.orderId === orderId && !first.played;
  if (plays) store.write('firstOrder', { orderId, played: true });
  return plays;
}

/** Keep the reason why the order was not placed, for the cart to show. */
export function keepRefusal(message) {
  store.write('refusal', message);
}

/** The refusal for the cart to show, once. */
export function takeRefusal() {
  const message = store.read('refusal');
  sessionStorage.removeItem('refusal');
  return message;
}

/** The token's claims. API Gateway checks the signature; the page only reads them. */
function claims(idToken) {
  const payload = idToken.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (character) => character.codePointAt(0))));
}
