// The architecture as a picture in which a step lights its way. Two layouts: one for a wide screen, one for a phone.

import { NAMES } from './choreography.js';
import { h, svg } from './dom.js';

/** Node → kind, and what it is made of. */
const KINDS = {
  customer: ['person', 'this page'], api: ['service', 'checks the token'], orderService: ['function', 'Lambda'],
  orders: ['table', 'DynamoDB'], bus: ['bus', 'event bus'], payment: ['function', 'Lambda'], fulfillment: ['function', 'Lambda'],
  updater: ['function', 'Lambda'], topic: ['service', 'fans out'], queue: ['service', 'lets a burst wait'],
  notification: ['function', 'Lambda'], mail: ['service', 'to you'], auditLogger: ['function', 'Lambda'],
  auditLog: ['table', 'DynamoDB'], reconciler: ['function', 'Lambda, every minute'], deadLetters: ['letters', 'retries used up'],
};

const EDGES = [
  ['customer', 'api'], ['api', 'orderService'], ['orderService', 'orders'], ['orderService', 'bus'],
  ['payment', 'bus'], ['payment', 'orders'], ['fulfillment', 'bus'], ['fulfillment', 'orders'],
  ['updater', 'bus'], ['updater', 'orders'], ['bus', 'topic'], ['topic', 'queue'], ['queue', 'notification'],
  ['notification', 'mail'], ['bus', 'auditLogger'], ['auditLogger', 'auditLog'], ['reconciler', 'bus'],
];

/** Node → centre, width and height, in the units of the view box. */
const WIDE = {
  size: [840, 548], captions: true,
  customer: [86, 34, 140, 48], api: [86, 126, 140, 48], orderService: [86, 218, 140, 48],
  auditLog: [284, 34, 150, 48], auditLogger: [284, 126, 150, 48], reconciler: [490, 126, 164, 48], deadLetters: [752, 126, 144, 48],
  bus: [516, 218, 616, 48],
  payment: [292, 326, 168, 48], fulfillment: [440, 326, 104, 48], updater: [586, 326, 172, 48], orders: [344, 446, 656, 48],
  topic: [756, 308, 136, 44], queue: [756, 378, 136, 44], notification: [756, 448, 136, 44], mail: [756, 518, 136, 44],
};
const TALL = {
  size: [360, 490], captions: false,
  customer: [288, 20, 136, 34], api: [112, 20, 136, 34], orderService: [112, 92, 136, 34],
  payment: [112, 158, 136, 34], fulfillment: [112, 224, 136, 34], updater: [112, 290, 136, 34], deadLetters: [112, 420, 136, 34],
  orders: [18, 191, 28, 240], bus: [200, 270, 28, 400],
  reconciler: [288, 92, 136, 34], auditLogger: [288, 154, 136, 34], auditLog: [288, 214, 136, 34],
  topic: [288, 284, 136, 34], queue: [288, 340, 136, 34], notification: [288, 396, 136, 34], mail: [288, 452, 136, 34],
};
const NARROW = window.matchMedia('(max-width: 44rem)');
const CALM = window.matchMedia('(prefers-reduced-motion: reduce)');
const TRAVEL = 900; // milliseconds for an event's way
const APART = 180; // and between two that came together

/** `element` is the picture, `legend` says what its signs mean. */
export class Picture {
  constructor(signal) {
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
    const told = now ? `Step ${steps.length}: ${now.title}.` : settled ? 'The order has come to its end.' : 'Nothing has happened yet.';
    const wait = waiting.length ? ` Awaited: ${waiting.map((name) => NAMES[name]).join(', ')}.` : '';
    this.element.setAttribute('aria-label', `The system. ${told}${wait}`);
    if (!CALM.matches) travelling.forEach((step, index) => this.#travel(step, index * APART));
  }

  /** A dot that goes the step's way once. */
  #travel({ path }, delay) {
    const dot = svg('circle', { class: 'dot', r: 7 });
    this.element.append(dot);
    const ends = path.slice(1).flatMap((name, index) => this.#ends(path[index], name));
    const places = ends.map(([x, y]) => ({ transform: `translate(${x}px, ${y}px)` }));
    const way = dot.animate(places, { duration: TRAVEL, delay, fill: 'backwards', easing: 'ease-in-out' });
    way.finished.then(() => dot.remove(), () => dot.remove());
  }

  /** Of the line between two nodes, in the direction of the way. */
  #ends(from, to) {
    const edge = this.edges.get(pairOf(from, to));
    const ends = ['1', '2'].map((end) => [edge.getAttribute(`x${end}`), edge.getAttribute(`y${end}`)]);
    return edge.dataset.from === from ? ends : ends.reverse();
  }

  #draw() {
    this.layout = NARROW.matches ? TALL : WIDE;
    const { size: [width, height], captions } = this.layout;
    this.element.classList.toggle('tall', this.layout === TALL);
    this.element.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.edges = new Map(EDGES.map(([from, to]) => [pairOf(from, to), line(from, this.layout[from], this.layout[to])]));
    this.nodes = new Map(Object.keys(KINDS).map((name) => [name, box(name, this.layout[name], captions)]));
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

function box(name, [x, y, width, height], captions) {
  const [kind, made] = KINDS[name];
  const upright = height > width;
  const write = (text, at, of) => {
    const element = svg('text', { ...at, class: of });
    element.textContent = text;
    return element;
  };
  const shape = svg('rect', { x: x - width / 2, y: y - height / 2, width, height, rx: 9 });
  const label = write(NAMES[name], { x, y: captions ? y - 2 : y + 4.5, ...(upright && { transform: `rotate(-90 ${x} ${y})` }) }, 'name');
  const caption = captions ? [write(made, { x, y: y + 14 }, 'caption')] : [];
  const number = write('', { x: upright ? x : x - width / 2 + 3, y: y - height / 2 - 5 }, 'number');
  const mark = write('', { x: x + width / 2, y: y + height / 2 + 14 }, 'mark');
  return svg('g', { class: `node ${kind}`, 'data-node': name }, shape, label, ...caption, number, mark);
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
