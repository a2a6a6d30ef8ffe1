// The HTTP API. Its errors are problems (RFC 9457), shown as they are; API Gateway's own errors have only a message.

import { SignInNeeded, token } from './session.js';

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class Api {
  constructor(config) {
    this.url = config.apiUrl;
    this.isLocal = config.stage === 'local';
  }

  /** The catalogue, or the last known one if the API does not respond, so that the cart stays readable. */
  async products() {
    try {
      this.known = (await this.#request('/products', {})).products;
    } catch (error) {
      if (!this.known) throw error;
    }
    return this.known;
  }

  /** The order; the same one for the same key. */
  place(body, key) {
    return this.#request('/orders', {
      method: 'POST',
      headers: { ...signedIn(), 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
  }

  /** The order, which is cancelled, now or by an earlier request. */
  cancel(orderId) {
    return this.#request(`/orders/${orderId}/cancellation`, { method: 'POST', headers: signedIn() });
  }

  orders(nextToken) {
    const query = nextToken ? `?${new URLSearchParams({ nextToken })}` : '';
    return this.#request(`/orders${query}`, { headers: signedIn() });
  }

  order(orderId) {
    return this.#request(`/orders/${orderId}`, { headers: signedIn() });
  }

  async events(orderId) {
    return (await this.#request(`/orders/${orderId}/events`, { headers: signedIn() })).events;
  }

  /** A ticket that opens one WebSocket for the order's events. */
  async ticket(orderId) {
    return this.#request(`/orders/${orderId}/ticket`, { method: 'POST', headers: signedIn() });
  }

  async #request(path, options) {
    let response;
    try {
      response = await fetch(this.url + path, { ...options, cache: 'no-store' });
    } catch {
      throw this.#unreachable(0);
    }
    const body = await response.json().catch(() => ({}));
    if (response.ok) return body;
    if (response.status === 401) throw new SignInNeeded('Sign in again: the API no longer accepts your session.');
    if (this.isLocal && response.status === 502) throw this.#unreachable(502);
    throw new ApiError(response.status, message(response.status, body));
  }

  /** On this machine the page's server responds with 502 if the embedded AWS has ended. */
  #unreachable(status) {
    const words = this.isLocal
      ? 'The local stack does not respond. Is npm start running? Your cart is kept: try again when it is back.'
      : "The API can't be reached. Nothing is lost: try again when it is back.";
    return Object.assign(new ApiError(status, words), { isStopped: this.isLocal });
  }
}

function signedIn() {
  return { authorization: `Bearer ${token()}` };
}

function message(status, { detail, errors }) {
  if (errors) return errors.map(({ loc, msg }) => `${loc.join(' ')}: ${msg}`).join('; ');
  if (status === 429) return 'Too many requests at once. Try again in a moment.';
  if (status >= 500) return 'The API has a problem. Nothing is lost: try again in a moment.';
  return detail ?? `The API returned ${status}.`;
}
