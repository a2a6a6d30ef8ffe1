// Values in the form that people read.

export const PAYMENT_METHODS = {
  tok_visa: ['Visa', 'Approved: the order is paid, packed and shipped.'],
  tok_mastercard: ['Mastercard', 'Approved as well.'],
  tok_declined: ['A card that the bank declines', 'Declined: the order ends, and you get an e-mail.'],
  tok_insufficient_funds: ['A card without enough money', 'Declined: the order ends, and the e-mail says why.'],
};

export const STATUSES = {
  PLACED: ['…', 'Placed'],
  PAID: ['✓', 'Paid'],
  FULFILLED: ['✓', 'On its way'],
  PAYMENT_FAILED: ['✗', 'Payment failed'],
  CANCELLED: ['✗', 'Cancelled'],
  REFUNDED: ['↩', 'Cancelled and refunded'],
};

/** `€18.90` for 1890 minor units of EUR, as people write it in the page's language; each currency has its own digits. */
export function money(minorUnits, currency, language = globalThis.document?.documentElement.lang ?? 'en') {
  const format = new Intl.NumberFormat(language, { style: 'currency', currency });
  return format.format(minorUnits / 10 ** format.resolvedOptions().maximumFractionDigits);
}

/** The number of an order, as the e-mail has it too. */
export function orderNumber(orderId) {
  return orderId.slice(0, 8).toUpperCase();
}

export function time(timestamp) {
  return new Date(timestamp).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}

/** `OrderService`, as people read the name of the function `orderService`. */
export function titleOf(name) {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** `43 ms`, `4.3 s`. */
export function duration(milliseconds) {
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** `+43 ms`: how long after the order a step happened; `again`, or nothing where no time is known. */
export function when({ after, again, timeless }) {
  if (timeless) return again ? 'again' : '';
  return `+${duration(after)}`;
}
