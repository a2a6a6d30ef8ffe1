// Sign up, confirm the address, sign in, or set a new password.

import { field, h } from '../dom.js';
import { PASSWORD_RULE, weakness } from '../password.js';
import { email, keepToken } from '../session.js';

export async function accountView(page) {
  if (email()) return signedInAlready();
  const offer = await page.offerSampleCustomer();
  return h('section.account', {}, signIn(page), offer);
}

function signedInAlready() {
  return h('section', {}, h('h1', { tabindex: -1 }, 'You are signed in'),
    h('p', {}, `As ${email()}. `, h('a', { href: '#/orders' }, 'My orders'), ' · ', h('a', { href: '#/' }, 'Shop')));
}

function signIn(page, email = '') {
  const { cognito, signedIn } = page;
  return form(page, 'Sign in', 'Sign in', [emailField(email), passwordField('current-password')],
    async ({ email, password }, swap) => {
      try {
        keepToken(await cognito.signIn(email, password));
      } catch (error) {
        if (error.code !== 'UserNotConfirmedException') throw error;
        await cognito.sendCodeAgain(email);
        return swap(confirm(page, email, password));
      }
      signedIn();
    },
    (swap) => [
      link('I am new here', () => swap(signUp(page))),
      link('I forgot my password', () => swap(forgot(page))),
    ]);
}

function signUp(page) {
  return form(page, 'Create an account', 'Create the account',
    [emailField(), passwordField('new-password', PASSWORD_RULE)],
    async ({ email, password }, swap) => {
      await page.cognito.signUp(email, password);
      swap(confirm(page, email, password));
    },
    (swap) => [link('I have an account', () => swap(signIn(page)))]);
}

function confirm(page, email, password) {
  const code = codeField();
  const element = form(page, 'Confirm your address', 'Confirm', [h('p', {}, `We have sent a code to ${email}.`), code],
    async (values, swap) => {
      await page.cognito.confirm(email, values.code);
      try {
        keepToken(await page.cognito.signIn(email, password));
      } catch { // a wrong password, most likely: the address is confirmed all the same
        return swap(signIn(page, email));
      }
      page.signedIn();
    },
    (swap) => [link('Send me another code', async () => {
      await page.cognito.sendCodeAgain(email);
      await offerCode(page, email, code, element, true);
      page.announce('We have sent another code.');
    }), link('Back', () => swap(signIn(page, email)))]);
  offerCode(page, email, code, element);
  return element;
}

function forgot(page) {
  return form(page, 'Set a new password', 'Send me a code', [emailField()],
    async ({ email }, swap) => {
      await page.cognito.forgot(email);
      const code = codeField();
      const element = form(page, 'Set a new password', 'Set the password',
        [h('p', {}, `We have sent a code to ${email}.`), code, passwordField('new-password', PASSWORD_RULE)],
        async (values, swapAgain) => {
          await page.cognito.setPassword(email, values.code, values.password);
          swapAgain(signIn(page, email));
          page.announce('Your password is set. Sign in with it.');
        });
      offerCode(page, email, code, element);
      swap(element);
    },
    (swap) => [link('Back', () => swap(signIn(page)))]);
}

/** On this machine no e-mail is delivered: the page reads the code in the e-mail that the embedded AWS keeps, and fills it in. */
async function offerCode({ inboxOf }, email, code, element, isAnother = false) {
  if (!inboxOf) return;
  const found = (await inboxOf(email)).map(({ text }) => /\b\d{6}\b/.exec(text)?.[0]).find(Boolean);
  if (!found) return;
  element.querySelector('.offer')?.remove();
  const input = code.querySelector('input');
  if (!input.value || isAnother) input.value = found; // else it was typed meanwhile
  code.after(h('p.offer', {}, `Filled in for you: ${found} is the code in the e-mail, which stays on this machine.`));
}

/** A form that sends its values, once at a time, and shows errors; `swap` replaces it with another form. */
function form(page, title, button, fields, send, links = () => []) {
  const problem = h('p.error', { role: 'alert', hidden: true });
  const submit = h('button.big', { type: 'submit' }, button);
  const element = h('form.card', {}, h('h1', { tabindex: -1 }, title), fields, problem, submit);
  const swap = (other) => {
    page.say(''); // the notice is about the form that goes
    element.replaceWith(other);
    (other.querySelector('input:not([value])') ?? other.querySelector('input')).focus();
  };
  element.append(h('p.links', {}, links(swap)));
  element.addEventListener('submit', async (event) => {
    event.preventDefault();
    const newPassword = element.querySelector('[autocomplete="new-password"]');
    const weak = newPassword && weakness(newPassword.value);
    problem.textContent = weak;
    problem.hidden = !weak;
    if (weak) return newPassword.focus();
    submit.disabled = true;
    try {
      await send(Object.fromEntries(new FormData(element)), swap);
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    } finally {
      submit.disabled = false;
    }
  });
  return element;
}

function emailField(value) {
  return field('E-mail address', { id: 'email', type: 'email', autocomplete: 'username', required: true, ...(value && { value }) });
}

function passwordField(autocomplete, hint) {
  return field('Password', { id: 'password', type: 'password', autocomplete, required: true }, hint);
}

function codeField() {
  return field('Code', { id: 'code', inputmode: 'numeric', autocomplete: 'one-time-code', pattern: '[0-9]{6}', required: true }, 'Six digits.');
}

function link(text, onclick) {
  return h('button.plain', { type: 'button', onclick }, text);
}
