// The operator's view of an order, as steps: the attempts that failed, the dead letters, and their redrives. The
// customer's API has none of them. On stage `local` the launcher provides them; elsewhere these steps do not exist.

import { titleOf } from './words.js';

const POLL_INTERVAL_MS = 1000; // the launcher looks at logs and queues about as often

/** Steps as in `Choreography.steps`; `kept` is the change in the number of dead letters: 1 or -1. */
export function rescueSteps({ attempts, deadLetters }, choreography) {
  return [...attempts.map((attempt) => failed(attempt, choreography)), ...deadLetters.flatMap((letter) => [kept(letter), ...(letter.goneAt ? [gone(letter)] : [])])];
}

/** The failed attempt of a function, or undefined if the function has continued or got its event again since. */
export function failedAttempt(steps, name) {
  return steps.findLast(({ actor, kept, path, repeatedAt }) => actor === name || repeatedAt?.includes(name) || (kept < 0 && path.at(-1) === name))?.attempt;
}

/** How many dead letters are kept after these steps. */
export function deadLettersAfter(steps) {
  return steps.reduce((sum, { kept: by = 0 }) => sum + by, 0);
}

/** The functions whose last attempt failed, each with that attempt. */
export function failures(steps) {
  const names = [...new Set(steps.filter(({ attempt }) => attempt).map(({ actor }) => actor))];
  return names.map((name) => [name, failedAttempt(steps, name)]).filter(([, attempt]) => attempt);
}

/** Read the operator's view once a second, while the page is visible and `isDue()`. */
export async function watch({ ask, isDue, heard, signal }) {
  while (!signal.aborted) {
    if (!document.hidden && isDue()) {
      const seen = await ask().catch(() => null); // a launcher that doesn't respond: the panel beside the page says so
      if (seen && !signal.aborted) heard(seen);
    }
    await new Promise((resume) => setTimeout(resume, POLL_INTERVAL_MS));
  }
}

function failed(attempt, choreography) {
  const { function: name, eventId, eventType, of, at, reason } = attempt;
  const isLast = attempt.attempt === of;
  return {
    key: `attempt ${attempt.attempt} ${name} ${eventId} ${at}`,
    at,
    actor: name,
    path: choreography.pathTo(name),
    attempt,
    headline: `✗ Attempt ${attempt.attempt} of ${of} failed`,
    title: `${titleOf(name)} fails on ${eventType}`,
    meaning: `${reason}. ${isLast ? 'That was the last attempt.' : 'It will be tried again, with growing pauses.'}`,
    proof: attempt,
  };
}

function kept(letter) {
  const { function: name, eventId, eventType, seenAt } = letter;
  return {
    key: `letter ${name} ${eventId} ${seenAt}`,
    at: seenAt,
    actor: 'deadLetters',
    path: [name, 'deadLetters'],
    kept: 1,
    headline: '✉ Kept as a dead letter',
    title: `${eventType} goes to the dead-letter queue`,
    meaning: `${titleOf(name)} has used up its attempts. The event is kept in a queue, so that nothing is lost, until an operator redrives it.`,
    proof: letter,
  };
}

function gone(letter) {
  const { function: name, eventId, eventType, goneAt, redriven } = letter;
  return {
    key: `gone ${name} ${eventId} ${goneAt}`,
    at: goneAt,
    actor: 'deadLetters',
    path: redriven ? ['deadLetters', name] : ['deadLetters'],
    kept: -1,
    headline: redriven ? '↩ Redriven' : 'The dead letter is gone',
    title: redriven ? `${eventType} goes to ${titleOf(name)} again` : `${eventType} has left the dead-letter queue`,
    meaning: redriven ? 'An operator sent the same event to the function that failed, and to no other.' : 'It was redriven or purged; there is no evidence of which.',
    proof: letter,
  };
}
