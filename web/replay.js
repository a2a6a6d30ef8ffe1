// Slow motion: one step after the other, with its evidence.

import { h } from './dom.js';

const STEP_MS = 1800;
const FIRST_TIME_MS = 6000; // for the whole of an order that plays by itself

export class Replay {
  /** `show(steps, index)` shows the moment of a step, or the present when the index is null. */
  constructor(show) {
    this.showMoment = show;
    this.isOpen = false;
    this.steps = [];
    this.start = h('button', { type: 'button', hidden: true, onclick: () => this.open(0, STEP_MS) }, '▶ Replay in slow motion');
    this.play = h('button', { type: 'button', onclick: () => (this.timer ? this.stop() : this.run(STEP_MS)) }, '▶ Play');
    this.close = h('button.plain', { type: 'button', onclick: () => this.leave() }, 'Close');
    this.proof = h('pre', { tabindex: 0, role: 'region', 'aria-label': 'The evidence of this step, as JSON' });
    this.panel = h('div.replay', { hidden: true, role: 'group', 'aria-label': 'Slow motion' },
      h('div.buttons', {},
        h('button.quiet', { type: 'button', onclick: () => this.go(this.index - 1) }, '← Back'),
        this.play,
        h('button.quiet', { type: 'button', onclick: () => this.go(this.index + 1) }, 'On →'),
        this.close),
      h('details', {}, h('summary', {}, 'The evidence, as JSON'), this.proof));
    this.element = h('div.controls', {}, this.start, this.panel);
  }

  /** Only an order that has ended is replayed; you can look at a single step at any time. */
  allow(over, steps) {
    this.steps = steps;
    this.over = over;
    this.start.hidden = !over || this.isOpen;
  }

  /** With `pace`, milliseconds for a step, it plays. */
  open(index, pace = 0) {
    this.#open(index);
    if (pace) this.run(pace);
    this.play.focus();
  }

  /** The whole order once, then the present again. The focus stays where it is. */
  playByItself() {
    this.#open(0);
    this.close.textContent = 'Skip';
    this.run(FIRST_TIME_MS / this.steps.length, () => this.leave());
  }

  run(pace, ended = () => this.stop()) {
    if (this.index === this.steps.length - 1) this.show(0);
    this.timer = setInterval(() => {
      if (this.index === this.steps.length - 1) ended();
      else this.show(this.index + 1);
    }, pace);
    this.play.textContent = '❚❚ Pause';
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = '▶ Play';
    this.close.textContent = 'Close';
  }

  go(index) {
    this.stop();
    this.show(index);
  }

  show(index) {
    this.index = Math.max(0, Math.min(index, this.steps.length - 1));
    this.proof.textContent = JSON.stringify(this.steps[this.index].proof, null, 2);
    this.showMoment(this.steps, this.index);
  }

  leave() {
    const hadFocus = this.panel.contains(this.panel.getRootNode().activeElement);
    this.stop();
    this.isOpen = false;
    this.panel.hidden = true;
    this.start.hidden = !this.over;
    if (hadFocus) this.start.focus();
    this.showMoment(this.steps, null);
  }

  #open(index) {
    this.isOpen = true;
    this.start.hidden = true;
    this.panel.hidden = false;
    this.go(index);
  }
}
