// Slow motion: one step after the other, with its evidence.

import { h } from './dom.js';
import { when } from './words.js';

const STEP_MS = 1800;

export class Replay {
  /** `show(steps, index)` shows the moment of a step, or the present when the index is null. */
  constructor(show) {
    this.showMoment = show;
    this.isOpen = false;
    this.steps = [];
    this.start = h('button', { type: 'button', hidden: true, onclick: () => this.open(0, true) }, '▶ Replay in slow motion');
    this.play = h('button', { type: 'button', onclick: () => (this.timer ? this.stop() : this.run()) }, '▶ Play');
    this.where = h('strong', { 'aria-live': 'polite' });
    this.meaning = h('p');
    this.proof = h('pre', { tabindex: 0, role: 'region', 'aria-label': 'What proves this step, as JSON' });
    this.panel = h('div.replay', { hidden: true, role: 'group', 'aria-label': 'Slow motion' },
      h('div.buttons', {},
        h('button.quiet', { type: 'button', onclick: () => this.go(this.index - 1) }, '← Back'),
        this.play,
        h('button.quiet', { type: 'button', onclick: () => this.go(this.index + 1) }, 'On →'),
        h('button.plain', { type: 'button', onclick: () => this.leave() }, 'Close')),
      this.where, this.meaning, this.proof);
    this.element = h('div', {}, this.start, this.panel);
  }

  /** Only an order that has ended is replayed; you can look at a single step at any time. */
  allow(over, steps) {
    this.steps = steps;
    this.over = over;
    this.start.hidden = !over || this.isOpen;
  }

  open(index, playing = false) {
    this.isOpen = true;
    this.start.hidden = true;
    this.panel.hidden = false;
    this.go(index);
    if (playing) this.run();
    this.play.focus();
  }

  run() {
    if (this.index === this.steps.length - 1) this.show(0);
    this.timer = setInterval(() => {
      this.show(this.index + 1);
      if (this.index === this.steps.length - 1) this.stop();
    }, STEP_MS);
    this.play.textContent = '❚❚ Pause';
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = '▶ Play';
  }

  go(index) {
    this.stop();
    this.show(index);
  }

  show(index) {
    this.index = Math.max(0, Math.min(index, this.steps.length - 1));
    const step = this.steps[this.index];
    const place = [`Step ${this.index + 1} of ${this.steps.length}`, when(step)].filter(Boolean).join(', ');
    this.where.textContent = `${place}: ${step.title}`;
    this.meaning.textContent = step.meaning;
    this.proof.textContent = JSON.stringify(step.proof, null, 2);
    this.showMoment(this.steps, this.index);
  }

  leave() {
    this.stop();
    this.isOpen = false;
    this.panel.hidden = true;
    this.start.hidden = !this.over;
    this.start.focus();
    this.showMoment(this.steps, null);
  }
}
