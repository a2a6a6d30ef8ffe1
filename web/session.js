// Who is signed in, and the cart. Both live in this tab alone, and end with it.

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
  if (claims(idToken).exp * 1000 <= Date.now()) {
    throw new SignInNeeded('Your session has ended after an hour. Sign in again: your cart is as you left it.');
  }
  return idToken;
}

/** The e-mail address of who is signed in, or null. */
export function email() {
  const idToken = store.read('idToken');
  return idToken && claims(idToken).email;
}

/** The hash of the last view before the sign-in, to go back to. */
export function place() {
  return store.read('place') ?? '#/';
}

export function keepPlace(hash) {
  store.write('place', hash);
}

/** What is filled in below the cart: `paymentMethod` and `phone`. */
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

export function orderIsPlaced() {
  for (const name of ['attempt', 'cart', 'choices']) sessionStorage.removeItem(name);
}

/** The token's claims. API Gateway checks the signature; the page only reads them. */
function claims(idToken) {
  const payload = idToken.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (character) => character.codePointAt(0))));
}
