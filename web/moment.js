// The sentence above the picture: the step that it shows, or the event that the order is waiting for.

import { h } from './dom.js';
import { deadLettersAfter, failures } from './rescue.js';
import { titleOf, when } from './words.js';

export class Moment {
  constructor(signal) {
    this.headline = h('h2.headline');
    this.small = h('small');
    this.meaning = h('p.meaning');
    this.facts = h('ul.facts-now');
    this.countdown = h('li', { hidden: true });
    this.element = h('div.moment', { role: 'group', 'aria-label': 'This moment' }, h('div', {}, this.headline, ' ', this.small), this.meaning, this.facts);
    const clock = setInterval(() => this.#count(), 1000);
    signal.addEventListener('abort', () => clearInterval(clock));
  }

  /** Screen readers read this in slow motion only: live steps are announced. */
  set isRead(isRead) {
    this.element.setAttribute('aria-live', isRead ? 'polite' : 'off');
  }

  step(steps, index) {
    const step = steps[index];
    this.#say(step.headline, [`Step ${index + 1} of ${steps.length}`, when(step), step.title].filter(Boolean).join(' · '), step.meaning);
  }

  /** `republished` is the reconciler's last event for the order; `dueAt` when it looks next, where that is known. */
  waiting(names, steps, republished, dueAt) {
    const kept = deadLettersAfter(steps);
    this.#say(`… Your order is waiting for ${names.map(titleOf).join(' and ') || 'its next event'}`, '', 'The order is stored, and nothing is lost.',
      ...failures(steps).map(([name, { attempt, of, reason }]) => `✗ ${titleOf(name)}, attempt ${attempt} of ${of}: ${reason.replace(/^\w+: /, '')}`),
      kept ? `✉ ${kept === 1 ? 'One dead letter is kept' : `${kept} dead letters are kept`}, to be redriven.` : null,
      republished ? `↻ The reconciler has published the order's event again: attempt ${republished.attempt}.` : null);
    this.dueAt = dueAt;
    this.#count();
  }

  #say(headline, small, meaning, ...facts) {
    this.dueAt = null;
    this.headline.textContent = headline;
    this.small.textContent = small;
    this.meaning.textContent = meaning;
    this.countdown.hidden = true;
    this.facts.replaceChildren(...facts.filter(Boolean).map((fact) => h('li', {}, fact)), this.countdown);
  }

  #count() {
    this.countdown.hidden = !this.dueAt;
    if (this.dueAt) this.countdown.textContent = due(Date.parse(this.dueAt) - Date.now());
  }
}

function due(milliseconds) {
  if (milliseconds <= 0) return '↻ The reconciler is due to publish its event again: it runs once a minute.';
  const seconds = Math.ceil(milliseconds / 1000);
  return `↻ The reconciler publishes its event again in ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}, or up to a minute later.`;
}
