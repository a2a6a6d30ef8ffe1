// One order on the picture: the moment above it, its steps, and slow motion.

import { isComplete, isOver, republished } from './choreography.js';
import { h } from './dom.js';
import { Moment } from './moment.js';
import { Picture } from './picture.js';
import { Replay } from './replay.js';
import { deadLettersAfter, failures } from './rescue.js';
import { Timeline } from './timeline.js';

/** `element` is the picture with its moment, `timeline` lists the steps. */
export class Stage {
  constructor(choreography, signal, narrow) {
    this.choreography = choreography;
    this.steps = [];
    this.isStill = false;
    this.moment = new Moment(signal);
    this.picture = new Picture(choreography, signal, narrow);
    this.timeline = new Timeline((index) => this.replay.open(index));
    this.replay = new Replay((_, index) => this.show(index));
    signal.addEventListener('abort', () => this.replay.stop());
    this.element = h('section.stage', { 'aria-label': 'The system' }, this.moment.element, this.picture.element, this.replay.element, this.picture.legend);
  }

  /** Show the present, and return the steps that are new. Without a change for a while the order is still: what it waits for is shown, and no step as the present. */
  update(order, events, rescue, isStill) {
    const before = new Set(this.steps.map(({ key }) => key));
    this.order = order;
    this.steps = this.choreography.steps(order, events, rescue);
    this.awaited = this.choreography.awaited(order, events);
    this.over = isOver(order) && isComplete(order, events);
    this.isStill = isStill;
    this.isInTrouble = failures(this.steps).length > 0 || deadLettersAfter(this.steps) > 0;
    this.republished = republished(events);
    this.dueAt = rescue?.dueAt;
    this.timeline.show(this.steps);
    const added = this.steps.filter(({ key }) => !before.has(key));
    this.replay.allow(this.over, this.steps);
    if (!this.replay.isOpen) this.show(null, added);
    return added;
  }

  /** Show the moment of a step, or with null the present; steps that are new travel. */
  show(index, added = []) {
    this.timeline.mark(index);
    this.moment.isRead = index !== null;
    if (index !== null) {
      this.moment.step(this.steps, index);
      this.picture.show(this.steps.slice(0, index + 1), { travelling: [this.steps[index]] });
      return;
    }
    const waits = !isOver(this.order) && (this.isStill || this.isInTrouble);
    if (waits) this.moment.waiting(this.awaited, this.steps, this.republished, this.dueAt);
    else this.moment.step(this.steps, this.steps.length - 1);
    this.picture.show(this.steps, { waiting: this.awaited, still: this.over || waits, travelling: added });
  }
}
