// "Continue as Ada", on stage `local` only: the sample customer of npm start, whose sample orders are there.

import { h } from './dom.js';
import { email, keepPlace, keepToken, place } from './session.js';

/** The button, or null if there is no such customer or somebody is signed in. npm start adds her after its samples. */
export async function sampleCustomerOffer(readConfig, signedIn) {
  if (email()) return null;
  const { sampleCustomer } = await readConfig().catch(() => ({})); // the stack has stopped: the page says so elsewhere
  if (!sampleCustomer) return null;
  const { name, url } = sampleCustomer;
  const problem = h('span.error', { role: 'alert' });
  const signIn = async () => {
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }).catch(() => null);
    if (!response?.ok) {
      problem.textContent = 'That did not work. Is npm start still running?';
      return;
    }
    keepToken((await response.json()).idToken);
    if (['', '#/'].includes(place())) keepPlace('#/orders');
    signedIn();
  };
  return h('p.sample-customer', {},
    h('button.quiet', { type: 'button', onclick: signIn }, `Continue as ${name}`),
    h('small', {}, 'The sample customer, with orders to look at. Only on this machine, without a password.'), problem);
}
