// The architecture as a picture in which each step lights its path.

import { h, svg } from './dom.js';
import { layoutOf } from './layout.js';
import { deadLettersAfter, failures, failedAttempt } from './rescue.js';

const NARROW = window.matchMedia('(max-width: 44rem)');
const CHARACTER = 7.2; // the width of a character of a name, at most, in the units of the view box
const CALM = window.matchMedia('(prefers-reduced-motion: reduce)');
const TRAVEL_MS = 900; // how long a dot takes for a step's path
const APART_MS = 180; // between two steps that arrived together

/** `element` is the picture, `legend` says what its signs mean. It is drawn for a phone while `narrow` matches. */
export class Picture {
  constructor(choreography, signal, narrow = NARROW) {
    this.choreography = choreography;
    this.narrow = narrow;
    this.element = svg('svg', { class: 'picture', role: 'img', 'aria-label': 'The system' });
    this.legend = h('p.legend', {}, h('span.sign.now', {}, 'happens now'), h('span.sign.done', {}, 'has done its part'),
      h('span.sign.waiting', {}, 'is awaited'), h('span.sign.failed', {}, 'has failed'), h('span', {}, 'Numbers are the steps below.'));
    this.last = [[], {}];
    this.#draw();
    narrow.addEventListener('change', () => {
      this.#draw();
      this.show(...this.last);
    }, { signal });
  }

  /** Lights what has happened. The last step is the one that happens now, unless nothing does: `still`; `travelling` moves. */
  show(steps, { waiting = [], still = false, travelling = [] } = {}) {
    this.last = [steps, { waiting, still }];
    const now = still ? [] : steps.slice(-1);
    const lit = new Set(steps.flatMap(pathsOf).flat());
    const kept = deadLettersAfter(steps);
    const failed = [...failures(steps).map(([name]) => name), ...(kept ? ['deadLetters'] : [])];
    const states = { failed: new Set(failed), now: new Set(now.flatMap(({ path }) => path)), waiting: new Set(waiting), done: lit };
    for (const [name, node] of this.nodes) {
      node.dataset.state = Object.keys(states).find((state) => states[state].has(name)) ?? 'idle';
      const mark = name === 'deadLetters' ? kept && `✉ ${kept} kept` : sign(name, steps, waiting);
      node.querySelector('.mark').textContent = mark || (this.layout.captions ? this.layout.nodes.get(name).caption : '');
      node.querySelector('.number').textContent = shortened(numbers(steps, name), mark && !this.layout.captions ? 1 : 3);
      node.classList.toggle('marked', Boolean(mark));
    }
    const current = new Set(now.flatMap(pathsOf).flatMap(along));
    const done = new Set(steps.flatMap(pathsOf).flatMap(along));
    for (const [pair, { element }] of this.edges) element.dataset.state = current.has(pair) ? 'now' : done.has(pair) ? 'done' : 'idle';
    this.element.setAttribute('aria-label', this.#spoken(steps, still, waiting, kept));
    if (!CALM.matches) travelling.forEach((step, index) => pathsOf(step).forEach((path) => this.#travel(path, index * APART_MS)));
  }

  #spoken(steps, still, waiting, kept) {
    const last = steps.length ? `${still ? 'The last step was' : 'Step'} ${steps.length}: ${steps.at(-1).headline}.` : 'Nothing has happened yet.';
    const awaited = waiting.map((name) => ` ${this.layout.nodes.get(name).title} is awaited.`).join('');
    return `The system. ${last}${awaited}${kept ? ` Dead letters: ${kept}.` : ''}`;
  }

  /** A dot that travels a path once. */
  #travel(path, delay) {
    const dot = svg('circle', { class: 'dot', r: 7 });
    this.element.append(dot);
    const places = path.slice(1).flatMap((name, index) => this.#points(path[index], name)).map(([x, y]) => ({ transform: `translate(${x}px, ${y}px)` }));
    const travel = dot.animate(places, { duration: TRAVEL_MS, delay, fill: 'backwards', easing: 'ease-in-out' });
    travel.finished.then(() => dot.remove(), () => dot.remove());
  }

  /** The points of the line between two nodes, in the direction of the path; none where no line is drawn. */
  #points(from, to) {
    const edge = this.edges.get(pairOf(from, to));
    if (!edge) return [];
    return edge.from === from ? edge.points : edge.points.toReversed();
  }

  #draw() {
    this.layout = layoutOf(this.choreography, this.narrow.matches);
    const { size, nodes, edges, captions } = this.layout;
    this.element.classList.toggle('tall', this.narrow.matches);
    this.element.setAttribute('viewBox', `0 0 ${size.join(' ')}`);
    this.edges = new Map(edges.map((edge) => [pairOf(edge.from, edge.to), { ...edge, element: line(edge) }]));
    this.nodes = new Map([...nodes].map(([name, node]) => [name, drawn(name, node, captions)]));
    this.element.replaceChildren(...[...this.edges.values()].map(({ element }) => element), ...this.nodes.values());
  }
}

/** A step's own path, and those on which its event reaches others. */
function pathsOf(step) {
  return [step.path, ...(step.branches ?? [])];
}

function sign(name, steps, waiting) {
  const attempt = failedAttempt(steps, name);
  if (attempt) return `✗ attempt ${attempt.attempt} of ${attempt.of}`;
  return waiting.includes(name) && '… awaited';
}

/** The numbers of a node's steps, and where a repeated event arrives, `↻` and its number. */
function numbers(steps, name) {
  return steps.flatMap(({ actor, repeatedAt = [] }, index) => [
    ...(actor === name && (name !== 'bus' || !repeatedAt.length) ? [`${index + 1}`] : []),
    ...(repeatedAt.includes(name) ? [`↻ ${index + 1}`] : []),
  ]);
}

/** The last one always, and as many of the first as there is room for. */
function shortened(all, most) {
  return all.length > most ? [...all.slice(0, most - 1), ...(most > 1 ? ['…'] : []), all.at(-1)].join(' ') : all.join(' ');
}

function along(path) {
  return path.slice(1).map((name, index) => pairOf(path[index], name));
}

/** An edge is the same in both directions. */
function pairOf(one, other) {
  return [one, other].sort().join('-');
}

function drawn(name, { kind, title, caption, box: [x, y, width, height] }, captions) {
  const upright = height > width;
  const write = (text, at, of) => {
    const element = svg('text', { ...at, class: of });
    element.textContent = text;
    return element;
  };
  const room = Math.max(width, height) - 8;
  const squeezed = title.length * CHARACTER > room && { textLength: room, lengthAdjust: 'spacingAndGlyphs' };
  const shape = svg('rect', { x: x - width / 2, y: y - height / 2, width, height, rx: 9 });
  const label = write(title, { x, y: captions ? y - 2 : y + 4.5, ...(upright && { transform: `rotate(-90 ${x} ${y})` }), ...squeezed }, 'name');
  const mark = captions ? write(caption, { x, y: y + 14 }, 'mark') : write('', { x: x + width / 2, y: y - height / 2 - 4, 'text-anchor': 'end' }, 'mark');
  const number = write('', { x: upright ? x : x - width / 2 + 3, y: y - height / 2 - 5 }, 'number');
  return svg('g', { class: `node ${kind}`, 'data-node': name }, shape, label, mark, number);
}

function line({ from, to, points, failed }) {
  return svg('polyline', { class: failed ? 'edge failure' : 'edge', 'data-edge': `${from} ${to}`, points: points.join(' ') });
}
