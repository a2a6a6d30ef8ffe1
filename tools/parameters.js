'use strict';

// The valid values of serverless.yml's parameters, and the one place that reads them. An invalid value is refused with one
// line, before anything is done. The bounds are AWS's, unless a comment gives another reason.

const { refuse } = require('./refusal.js');

const MOST = 2 ** 31 - 1; // of AWS's integers

/** `read` returns the value in the form that the template needs, or undefined. */
const matching = (pattern, takes) => ({ takes, read: (text) => (pattern.test(text) ? text : undefined) });

const oneOf = (...values) => ({
  values,
  takes: `one of ${values.join(', ')}`,
  read: (text) => (values.includes(text) ? text : undefined),
});

const whole = (least, most, unit) => ({
  least,
  most,
  takes: `a whole number ${most === MOST ? `of at least ${least}` : `from ${least} to ${most}`} (${unit})`,
  read: (text) => (/^(0|[1-9]\d*)$/.test(text) && Number(text) >= least && Number(text) <= most ? text : undefined),
});

const boolean = { takes: 'true or false', read: (text) => /^(true|false)$/i.exec(text)?.[0].toLowerCase() };

const address = matching(
  /^([\w.%+'-]+@([A-Za-z0-9-]+\.)+[A-Za-z]{2,})?$/,
  'a bare address, like orders@example.com: ASCII, with no name before it'
);

const PARAMETERS = {
  // One text for SES's identity, the role's ses:FromAddress and the function's variable: a display name would be part of
  // all three. Empty in serverless.yml: a deploy requires it.
  senderEmail: address,
  verifySender: boolean,
  alarmEmail: address,
  monthlyBudgetUsd: whole(0, MOST, 'US dollars; 0 for no budget'),
  retainData: boolean,
  // CloudWatch's list, without 1096, which osls does not know.
  logRetentionInDays: oneOf(
    ...['1', '3', '5', '7', '14', '30', '60', '90', '120', '150', '180', '365', '400', '545', '731', '1827', '2192'],
    ...['2557', '2922', '3288', '3653']
  ),
  logLevel: oneOf('DEBUG', 'INFO', 'WARN', 'ERROR'), // not FATAL, which silences errors, nor TRACE, on which Powertools fails
  lambdaLogLevel: oneOf('DEBUG', 'INFO', 'WARN'),
  archiveRetentionInDays: whole(0, MOST, 'days; 0 keeps the events for good'),
  throttleRate: whole(1, MOST, 'requests per second'), // 0 would shut the API
  throttleBurst: whole(1, MOST, 'requests at once'),
  reconcileAfterSeconds: whole(1, 3600, 'seconds'), // only a reconciled order counts for the alarm of an hour
  reconcileConcurrency: whole(1, 64, 'threads'), // a run's processor is busy with fewer
  cancelAfterHours: whole(0, 8760, 'hours; 0 for never'), // a year: nobody waits longer for a parcel
  notificationAttempts: whole(1, 1000, 'attempts'),
  notificationConcurrency: whole(2, 1000, 'invocations at once'),
  smsCountryPrefixes: matching(
    /^(\+[1-9]\d{0,3}(,\+[1-9]\d{0,3})*)?$/,
    'a list of country prefixes, like +49,+43, or empty for no text messages'
  ),
  paymentGateway: oneOf('up', 'down'),
  storefront: boolean,
};

/**
 * Every parameter of a stage, as text: from the command line (`given`, each `name=value`), else from `params` of
 * serverless.yml, for the stage or for all. osls itself uses the last of two and ignores unknown names.
 */
function readParameters(given, params, stage) {
  const values = {};
  for (const section of ['default', stage]) {
    for (const [name, value] of Object.entries(params[section] ?? {})) {
      values[name] = read(name, value, `serverless.yml, params.${section}.${name}`);
    }
  }
  const named = new Set();
  for (const item of given) {
    const [, name, value] = /^([^=]+)=([^]+)$/.exec(item ?? '') ?? refuse(`--param ${item ?? ''}: write --param name=value.`);
    if (named.has(name)) refuse(`--param ${name} is given twice: give it once.`);
    named.add(name);
    values[name] = read(name, value, `--param ${name}`);
  }
  if (isGiven(values.monthlyBudgetUsd) && !isGiven(values.alarmEmail)) {
    refuse('monthlyBudgetUsd needs an address to notify: --param alarmEmail=you@example.com');
  }
  return values;
}

/** Whether a value is set: neither empty nor 0. `${given:name}` of serverless.yml. */
function isGiven(value) {
  return value !== undefined && value !== '' && value !== '0';
}

function read(name, value, where) {
  if (!Object.hasOwn(PARAMETERS, name)) {
    refuse(`${where}: there is no such parameter.${suggestion(name)} There are ${Object.keys(PARAMETERS).join(', ')}.`);
  }
  const { takes, read: readText } = PARAMETERS[name];
  return readText(String(value)) ?? refuse(`${where}: ${JSON.stringify(value)} is not ${takes}.`);
}

/** The nearest name, if it is near enough: the typed text is its beginning, or at most a third of it differs. */
function suggestion(unknown) {
  const typed = unknown.toLowerCase();
  const isBegun = (name) => typed.length >= 5 && name.toLowerCase().startsWith(typed);
  const apart = (name) => (isBegun(name) ? 0 : distance(name.toLowerCase(), typed));
  const [nearest] = Object.keys(PARAMETERS).sort((one, other) => apart(one) - apart(other));
  return apart(nearest) <= unknown.length / 3 ? ` Did you mean ${nearest}?` : '';
}

/** The edit distance: how many characters to insert, delete or replace to turn one text into the other. */
function distance(one, other) {
  let row = [...Array(other.length + 1).keys()];
  for (const [done, letter] of [...one].entries()) {
    const next = [done + 1];
    for (const [at, wanted] of [...other].entries()) {
      next.push(Math.min(row[at] + (letter !== wanted), row[at + 1] + 1, next[at] + 1));
    }
    row = next;
  }
  return row.at(-1);
}

/** The words of a command line, each `name=value` of a parameter with the value as it was read: `True` is `true`. */
function asRead(words, values) {
  return words.map((word, at) => {
    const flag = word.startsWith('--param=') ? '--param=' : '';
    if (!flag && words[at - 1] !== '--param') return word;
    const [name] = word.slice(flag.length).split('=');
    return `${flag}${name}=${values[name]}`;
  });
}

module.exports = { PARAMETERS, readParameters, isGiven, asRead };
