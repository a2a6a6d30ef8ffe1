// The steps as a list: a row for each, with its time and how long it took since the event that led to it.

import { h } from './dom.js';
import { duration, when } from './words.js';

export class Timeline {
  /** `open(index)` is called with the step that was chosen. */
  constructor(open) {
    this.open = open;
    this.rows = new Map();
    this.element = h('ol.timeline');
  }

  /** Insert new rows at their time; unchanged rows stay as they are, and keep the focus. */
  show(steps) {
    steps.forEach((step, index) => {
      const element = this.#rowOf(step);
      if (this.element.children[index] !== element) this.element.insertBefore(element, this.element.children[index] ?? null);
      element.querySelector('.number').textContent = String(index + 1);
    });
  }

  /** The API may list the later of two events of the same time first: then the row of the first becomes the repeated one. */
  #rowOf(step) {
    const known = this.rows.get(step.key);
    if (known?.dataset.says === said(step)) return known;
    const element = row(step, (key) => this.open(this.#position(key)));
    known?.replaceWith(element);
    this.rows.set(step.key, element);
    return element;
  }

  /** The step that the picture shows now, or none. */
  mark(index) {
    [...this.element.children].forEach((element, position) => {
      if (position === index) element.setAttribute('aria-current', 'step');
      else element.removeAttribute('aria-current');
    });
  }

  #position(key) {
    return [...this.element.children].indexOf(this.rows.get(key));
  }
}

function said(step) {
  return [step.title, step.meaning, when(step)].join(' ');
}

function row(step, open) {
  const hop = step.hop && !step.timeless && `${duration(step.hop.milliseconds)} after ${step.hop.from}`;
  const kind = step.attempt || step.kept > 0 ? 'li.failed' : step.again ? 'li.again' : 'li';
  return h(kind, { 'data-key': step.key, 'data-at': step.at, 'data-says': said(step) },
    h('button.step', { type: 'button', onclick: () => open(step.key), title: 'Look at this step' },
      h('span.number'),
      h('span.headline', {}, step.again ? `↻ ${step.headline}` : step.headline),
      h('span.after', {}, when(step)),
      h('small.title', {}, step.title)),
    h('p', {}, step.meaning, hop && h('span.hop', {}, hop)));
}
