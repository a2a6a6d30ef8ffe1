// The architecture as a picture in which a step lights its way. Two layouts: one for a wide screen, one for a phone.

import { NAMES } from './choreography.js';
import { svg } from './dom.js';

const KINDS = {
  customer: 'person', api: 'service', orderService: 'function', orders: 'table', bus: 'bus', payment: 'function',
  fulfillment: 'function', updater: 'function', topic: 'service', queue: 'service', notification: 'function', mail: 'service',
  auditLogger: 'function', auditLog: 'table', reconciler: 'function', deadLetters: 'letters',
};

const EDGES = [
  ['customer', 'api'], ['api', 'orderService'], ['orderService', 'orders'], ['orderService', 'bus'],
  ['payment', 'bus'], ['payment', 'orders'], ['fulfillment', 'bus'], ['fulfillment', 'orders'],
  ['updater', 'bus'], ['updater', 'orders'], ['bus', 'topic'], ['topic', 'queue'], ['queue', 'notification'],
  ['notification', 'mail'], ['bus', 'auditLogger'], ['auditLogger', 'auditLog'], ['reconciler', 'bus'],
];

/** Node → centre, width and height, in the units of the view box. */
const WIDE = {
  size: [1000, 430],
  customer: [90, 40, 140, 44], api: [90, 125, 140, 44], orderService: [90, 210, 140, 44],
  reconciler: [320, 110, 150, 44], auditLogger: [540, 110, 150, 44], auditLog: [730, 110, 130, 44], deadLetters: [910, 110, 140, 44],
  bus: [605, 210, 750, 44],
  payment: [305, 300, 150, 44], fulfillment: [465, 300, 130, 44], updater: [625, 300, 160, 44],
  topic: [785, 300, 120, 44], queue: [785, 390, 120, 44], notification: [925, 390, 120, 44], mail: [925, 300, 120, 44],
  orders: [362, 390, 684, 44],
};
const TALL = {
  size: [400, 560],
  customer: [110, 28, 130, 38], api: [310, 28, 130, 38], orderService: [122, 100, 136, 38],
  payment: [122, 170, 136, 38], fulfillment: [122, 240, 136, 38], updater: [122, 310, 136, 38], deadLetters: [122, 460, 136, 38],
  orders: [24, 205, 34, 250], bus: [222, 290, 34, 420],
  reconciler: [322, 100, 136, 38], auditLogger: [322, 160, 136, 38], auditLog: [322, 220, 136, 38],
  topic: [322, 300, 136, 38], queue: [322, 360, 136, 38], notification: [322, 420, 136, 38], mail: [322, 480, 136, 38],
};
const NARROW = window.matchMedia('(max-width: 44rem)');

/** `element` is the picture; `show(steps)` lights what has happened; the last one is the one that happens now. */
export class Picture {
  constructor() {
    this.element = svg('svg', { class: 'picture', role: 'img', 'aria-label': 'The system' });
    this.shown = [];
    this.waiting = [];
    this.#draw();
    NARROW.addEventListener('change', () => {
      this.#draw();
      this.show(this.shown, this.waiting);
    });
  }

  show(steps, waiting = []) {
    this.shown = steps;
    this.waiting = waiting;
    const now = steps.at(-1);
    const lit = new Set(steps.flatMap(({ path }) => path));
    const pairs = new Set(steps.flatMap(({ path }) => along(path)));
    for (const [name, node] of this.nodes) {
      node.dataset.state = now?.path.includes(name) ? 'now' : lit.has(name) ? 'done' : waiting.includes(name) ? 'waiting' : 'idle';
      const numbers = steps.map(({ actor }, index) => (actor === name ? index + 1 : 0)).filter(Boolean);
      node.querySelector('.number').textContent = numbers.length > 3 ? `${numbers.slice(0, 2).join(' ')} … ${numbers.at(-1)}` : numbers.join(' ');
      node.querySelector('.mark').textContent = waiting.includes(name) ? '… awaited' : '';
    }
    const current = new Set(now ? along(now.path) : []);
    for (const [pair, edge] of this.edges) {
      edge.dataset.state = current.has(pair) ? 'now' : pairs.has(pair) ? 'done' : 'idle';
    }
    const told = now ? `Step ${steps.length}: ${now.title}.` : 'Nothing has happened yet.';
    const wait = waiting.length ? ` Awaited: ${waiting.map((name) => NAMES[name]).join(', ')}.` : '';
    this.element.setAttribute('aria-label', `The system. ${told}${wait}`);
  }

  #draw() {
    const layout = NARROW.matches ? TALL : WIDE;
    const [width, height] = layout.size;
    this.element.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.edges = new Map(EDGES.map(([from, to]) => [pairOf(from, to), line(layout[from], layout[to])]));
    this.nodes = new Map(Object.keys(KINDS).map((name) => [name, box(name, layout[name])]));
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

function box(name, [x, y, width, height]) {
  const upright = height > width;
  const text = svg('text', { x, y: y + 5, ...(upright && { transform: `rotate(-90 ${x} ${y})` }) });
  text.textContent = NAMES[name];
  const number = svg('text', { class: 'number', x: upright ? x : x - width / 2 + 4, y: y - height / 2 - 5 });
  const mark = svg('text', { class: 'mark', x: x + width / 2, y: y + height / 2 + 15 });
  const rect = svg('rect', { x: x - width / 2, y: y - height / 2, width, height, rx: 9 });
  return svg('g', { class: `node ${KINDS[name]}`, 'data-node': name }, rect, text, number, mark);
}

/** From border to border, straight across or straight down, wherever the two boxes face each other. */
function line([x1, y1, w1, h1], [x2, y2, w2, h2]) {
  const [left, right] = [Math.max(x1 - w1 / 2, x2 - w2 / 2), Math.min(x1 + w1 / 2, x2 + w2 / 2)];
  const [top, bottom] = [Math.max(y1 - h1 / 2, y2 - h2 / 2), Math.min(y1 + h1 / 2, y2 + h2 / 2)];
  const ends = left < right
    ? { x1: (left + right) / 2, x2: (left + right) / 2, y1: y1 + (Math.sign(y2 - y1) * h1) / 2, y2: y2 - (Math.sign(y2 - y1) * h2) / 2 }
    : { y1: (top + bottom) / 2, y2: (top + bottom) / 2, x1: x1 + (Math.sign(x2 - x1) * w1) / 2, x2: x2 - (Math.sign(x2 - x1) * w2) / 2 };
  return svg('line', { class: 'edge', ...ends });
}
