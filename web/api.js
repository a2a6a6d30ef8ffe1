// The HTTP API. Its errors are problems (RFC 9457), shown in its own words; API Gateway's own errors have no more than a message.

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
    return (await this.#request('/products', {})).products;
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

  async #request(path, options) {
    let response;
    try {
      response = await fetch(this.url + path, { ...options, cache: 'no-store' });
    } catch {
      throw new ApiError(0, "The API can't be reached. Nothing is lost: try again when it is back.");
    }
    const body = await response.json().catch(() => ({}));
    if (response.ok) return body;
    if (response.status === 401) throw new SignInNeeded('Sign in again: the API no longer accepts your session.');
    throw new ApiError(response.status, message(response.status, body));
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
