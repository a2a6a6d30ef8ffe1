// The HTTP API. Its errors are problems (RFC 9457), told in the words that it uses; what the gateway says itself is short.

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
  }

  async products() {
    return (await this.#ask('/products', {})).products;
  }

  /** The order; the same one for the same key. */
  place(body, key) {
    return this.#ask('/orders', {
      method: 'POST',
      headers: { ...signedIn(), 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
  }

  orders(nextToken) {
    const query = nextToken ? `?${new URLSearchParams({ nextToken })}` : '';
    return this.#ask(`/orders${query}`, { headers: signedIn() });
  }

  order(orderId) {
    return this.#ask(`/orders/${orderId}`, { headers: signedIn() });
  }

  async events(orderId) {
    return (await this.#ask(`/orders/${orderId}/events`, { headers: signedIn() })).events;
  }

  async #ask(path, request) {
    let response;
    try {
      response = await fetch(this.url + path, { ...request, cache: 'no-store' });
    } catch {
      throw new ApiError(0, 'The API can not be reached. Nothing is lost: try again when it is back.');
    }
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    if (response.status === 401) throw new SignInNeeded('Sign in again: the API does not take your session any more.');
    throw new ApiError(response.status, message(response.status, answer));
  }
}

function signedIn() {
  return { authorization: `Bearer ${token()}` };
}

function message(status, { detail, errors }) {
  if (errors) return errors.map(({ loc, msg }) => `${loc.join(' ')}: ${msg}`).join('; ');
  if (status === 429) return 'Too many requests at once. Try again in a moment.';
  if (status >= 500) return 'The API has a problem. Nothing is lost: try again in a moment.';
  return detail ?? `The API answered with ${status}.`;
}
