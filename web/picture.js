// The architecture as a picture in which each step lights its path.

import { h, svg } from './dom.js';
import { layoutOf } from './layout.js';

const NARROW = window.matchMedia('(max-width: 44rem)');
const CHARACTER = 7.2; // the width of a character of a name, at most, in the units of the view box
const CALM = window.matchMedia('(prefers-reduced-motion: reduce)');
const TRAVEL_MS = 900; // how long a dot takes for a step's path
const APART_MS = 180; // between two steps that arrived together

/** `element` is the picture, `legend` says what its signs mean. */
export class Picture {
  constructor(choreography, signal) {
    this.choreography = choreography;
    this.element = svg('svg', { class: 'picture', role: 'img', 'aria-label': 'The system' });
    this.legend = h('p.legend', {}, h('span.sign.now', {}, 'happens now'), h('span.sign.done', {}, 'has done its part'),
      h('span.sign.waiting', {}, 'is awaited'), h('span', {}, 'Numbers are the steps below.'));
    this.last = [[], {}];
    this.#draw();
    NARROW.addEventListener('change', () => {
      this.#draw();
      this.show(...this.last);
    }, { signal });
  }

  /** Lights what has happened. The last step is the one that happens now, unless all is `settled`; `travelling` moves. */
  show(steps, { waiting = [], settled = false, travelling = [] } = {}) {
    this.last = [steps, { waiting, settled }];
    const now = settled ? undefined : steps.at(-1);
    const lit = new Set(steps.flatMap(({ path }) => path));
    for (const [name, node] of this.nodes) {
      node.dataset.state = now?.path.includes(name) ? 'now' : waiting.includes(name) ? 'waiting' : lit.has(name) ? 'done' : 'idle';
      const numbers = steps.map(({ actor }, index) => (actor === name ? index + 1 : 0)).filter(Boolean);
      node.querySelector('.number').textContent = numbers.length > 3 ? `${numbers.slice(0, 2).join(' ')} … ${numbers.at(-1)}` : numbers.join(' ');
      node.querySelector('.mark').textContent = waiting.includes(name) ? '… awaited' : '';
    }
    const current = new Set(now ? along(now.path) : []);
    const done = new Set(steps.flatMap(({ path }) => along(path)));
    for (const [pair, edge] of this.edges) edge.dataset.state = current.has(pair) ? 'now' : done.has(pair) ? 'done' : 'idle';
    const happened = now ? `Step ${steps.length}: ${now.title}.` : settled ? 'The order has come to its end.' : 'Nothing has happened yet.';
    const wait = waiting.length ? ` Awaited: ${waiting.map((name) => this.layout.nodes.get(name).title).join(', ')}.` : '';
    this.element.setAttribute('aria-label', `The system. ${happened}${wait}`);
    if (!CALM.matches) travelling.forEach((step, index) => this.#travel(step, index * APART_MS));
  }

  /** A dot that travels the step's path once. */
  #travel({ path }, delay) {
    const dot = svg('circle', { class: 'dot', r: 7 });
    this.element.append(dot);
    const ends = path.slice(1).flatMap((name, index) => this.#ends(path[index], name));
    const places = ends.map(([x, y]) => ({ transform: `translate(${x}px, ${y}px)` }));
    const travel = dot.animate(places, { duration: TRAVEL_MS, delay, fill: 'backwards', easing: 'ease-in-out' });
    travel.finished.then(() => dot.remove(), () => dot.remove());
  }

  /** The ends of the line between two nodes, in the direction of the path; none where no line is drawn. */
  #ends(from, to) {
    const edge = this.edges.get(pairOf(from, to));
    if (!edge) return [];
    const ends = ['1', '2'].map((end) => [edge.getAttribute(`x${end}`), edge.getAttribute(`y${end}`)]);
    return edge.dataset.from === from ? ends : ends.reverse();
  }

  #draw() {
    this.layout = layoutOf(this.choreography, NARROW.matches);
    const { size, nodes, edges, captions } = this.layout;
    this.element.classList.toggle('tall', NARROW.matches);
    this.element.setAttribute('viewBox', `0 0 ${size.join(' ')}`);
    this.edges = new Map(edges.map(([from, to]) => [pairOf(from, to), line(from, nodes.get(from).box, nodes.get(to).box)]));
    this.nodes = new Map([...nodes].map(([name, node]) => [name, drawn(name, node, captions)]));
    this.element.replaceChildren(...this.edges.values(), ...this.nodes.values());
  }
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
  const small = captions ? [write(caption, { x, y: y + 14 }, 'caption')] : [];
  const number = write('', { x: upright ? x : x - width / 2 + 3, y: y - height / 2 - 5 }, 'number');
  const mark = write('', { x: x + width / 2, y: y + height / 2 + 14 }, 'mark');
  return svg('g', { class: `node ${kind}`, 'data-node': name }, shape, label, ...small, number, mark);
}

/** From border to border, straight across or straight down, wherever the two boxes face each other. */
function line(from, [x1, y1, w1, h1], [x2, y2, w2, h2]) {
  const [left, right] = [Math.max(x1 - w1 / 2, x2 - w2 / 2), Math.min(x1 + w1 / 2, x2 + w2 / 2)];
  const [top, bottom] = [Math.max(y1 - h1 / 2, y2 - h2 / 2), Math.min(y1 + h1 / 2, y2 + h2 / 2)];
  const ends = left < right
    ? { x1: (left + right) / 2, x2: (left + right) / 2, y1: y1 + (Math.sign(y2 - y1) * h1) / 2, y2: y2 - (Math.sign(y2 - y1) * h2) / 2 }
    : { y1: (top + bottom) / 2, y2: (top + bottom) / 2, x1: x1 + (Math.sign(x2 - x1) * w1) / 2, x2: x2 - (Math.sign(x2 - x1) * w2) / 2 };
  return svg('line', { class: 'edge', 'data-from': from, ...ends });
}
