// Where each part of the system is in the picture. It is computed from the topology in config.json, which comes from
// serverless.yml: a new consumer appears by itself. Two layouts: one for a wide screen, one for a phone.

import { titleOf } from './words.js';

/** What is not a function: its kind, its name and what it does. */
const PARTS = {
  customer: ['person', 'Customer', 'this page'],
  api: ['service', 'API Gateway', 'checks the token'],
  orders: ['table', 'Orders', 'DynamoDB'],
  bus: ['bus', 'EventBridge', 'event bus'],
  mail: ['service', 'E-mail (SES)', 'to you'],
  auditLog: ['table', 'AuditLog', 'DynamoDB'],
  deadLetters: ['letters', 'Dead letters', 'none'],
};
const GAP = 12; // between two boxes of a row, in the units of the view box
const MARGIN = 16;

/**
 * Node → its `kind`, `title` and `caption`; its `box` is centre, width and height. An edge has its two ends, the `points`
 * of its line, and whether it is taken by what has `failed` only.
 */
export function layoutOf(choreography, narrow) {
  const groups = grouped(choreography);
  const { size, boxes, lane } = narrow ? tall(groups) : wide(groups);
  const nodes = new Map(Object.entries(boxes).map(([name, box]) => [name, { ...described(name, choreography), box }]));
  const between = ([from, to]) => ({ from, to, points: straight(boxes[from], boxes[to]), failed: to === 'deadLetters' });
  const around = (from) => ({ from, to: 'deadLetters', points: (narrow ? asideOf : below)(boxes[from], boxes.deadLetters, lane), failed: true });
  const edges = [...edgesOf(groups, choreography).map(between), ...groups.bus.map(around)];
  return { size, nodes, edges, captions: !narrow };
}

/** From border to border, straight across or straight down, wherever the two boxes face each other. */
function straight([x1, y1, w1, h1], [x2, y2, w2, h2]) {
  const [left, right] = [Math.max(x1 - w1 / 2, x2 - w2 / 2), Math.min(x1 + w1 / 2, x2 + w2 / 2)];
  const [top, bottom] = [Math.max(y1 - h1 / 2, y2 - h2 / 2), Math.min(y1 + h1 / 2, y2 + h2 / 2)];
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  return left < right
    ? [[x, y1 + (Math.sign(y2 - y1) * h1) / 2], [x, y2 - (Math.sign(y2 - y1) * h2) / 2]]
    : [[x1 + (Math.sign(x2 - x1) * w1) / 2, y], [x2 - (Math.sign(x2 - x1) * w2) / 2, y]];
}

/** From the bottom of a box along a lane below it to the top of the other. */
function below([x1, y1, w1, h1], [x2, y2, , h2], lane) {
  const x = x1 + w1 / 4;
  return [[x, y1 + h1 / 2], [x, lane], [x2, lane], [x2, y2 - h2 / 2]];
}

/** From the right of a box along a lane beside it to the right of the other. */
function asideOf([x1, y1, w1, h1], [x2, y2, w2], lane) {
  const y = y1 + h1 / 4;
  return [[x1 + w1 / 2, y], [lane, y], [lane, y2], [x2 + w2 / 2, y2]];
}

/** The functions by their place: at the API, on the bus, behind a queue (the notifier last), on a schedule; and the two that take every event, the feed where it is deployed. */
function grouped({ functions, auditLogger, feed, notifier, entrance }) {
  const apart = [auditLogger, feed];
  const of = (kind) => Object.keys(functions).filter((name) => functions[name].kind === kind && !apart.includes(name));
  return { entrance, auditLogger, feed: functions[feed] ? [feed] : [], bus: of('bus'), queue: of('queue').sort((one, other) => (one === notifier) - (other === notifier)), schedule: of('schedule') };
}

function described(name, { functions }) {
  if (functions[name]) return { kind: 'function', title: titleOf(name), caption: functions[name].kind === 'schedule' ? 'Lambda, scheduled' : 'Lambda' };
  if (name.endsWith('Topic')) return { kind: 'service', title: 'SNS', caption: 'a topic' };
  if (name.endsWith('Queue')) return { kind: 'service', title: 'SQS', caption: 'a queue' };
  const [kind, title, caption] = PARTS[name];
  return { kind, title, caption };
}

function edgesOf({ entrance, auditLogger, feed, bus, queue, schedule }, { functions, notifier }) {
  return [
    ['customer', 'api'], ['api', entrance], [entrance, 'orders'], [entrance, 'bus'], ...feed.flatMap((name) => [['bus', name], [name, 'customer']]),
    ...bus.flatMap((name) => [[name, 'bus'], ...(functions[name].writesOrders ? [[name, 'orders']] : [])]),
    ...queue.flatMap((name) => [['bus', `${name}Topic`], [`${name}Topic`, `${name}Queue`], [`${name}Queue`, name]]),
    ...queue.map((name) => [name, 'deadLetters']), [notifier, 'mail'], ['bus', auditLogger], [auditLogger, 'auditLog'],
    ...schedule.map((name) => [name, 'bus']),
  ];
}

/** Boxes from left to right, as wide as their names ask for; and where the last one ends. */
function row(names, left, y, height, narrowest) {
  const boxes = {};
  for (const name of names) {
    const width = Math.max(Math.round(8.8 * titleOf(name).length) + 12, narrowest);
    boxes[name] = [left + width / 2, y, width, height];
    left += width + GAP;
  }
  return [boxes, left - GAP];
}

/** The page is at the top left: it asks through the API, and hears through the feed. The consumers are in a row below the bus. */
function wide({ entrance, auditLogger, feed, bus, queue, schedule }) {
  const [consumers, end] = row(bus, 172, 276, 44, 0);
  const [scheduled, scheduledEnd] = row(schedule, 472, 106, 44, 150);
  const width = Math.max(end + GAP + 116 + queue.length * (140 + MARGIN), scheduledEnd) + MARGIN;
  const letters = width - MARGIN - queue.length * (140 + MARGIN) - 58;
  const columns = queue.map((name, index) => {
    const x = width - MARGIN - 70 - (queue.length - 1 - index) * (140 + MARGIN);
    return { [`${name}Topic`]: [x - 38, 276, 64, 44], [`${name}Queue`]: [x + 38, 276, 64, 44], [name]: [x, 350, 140, 44] };
  });
  const boxes = {
    customer: [163, 30, 294, 44], api: [86, 106, 140, 44], ...Object.fromEntries(feed.map((name) => [name, [241, 106, 138, 44]])), [entrance]: [86, 188, 140, 44],
    auditLog: [391, 30, 138, 44], [auditLogger]: [391, 106, 138, 44], ...scheduled,
    bus: [(172 + width - MARGIN) / 2, 188, width - MARGIN - 172, 44],
    ...consumers, deadLetters: [letters, 350, 116, 44], orders: [(MARGIN + end) / 2, 350, end - MARGIN, 44],
    ...Object.assign({}, ...columns), mail: [width - MARGIN - 70, 424, 140, 44],
  };
  return { size: [width, 452], boxes, lane: 313 };
}

/** The bus goes down the middle, with the consumers at its left; the picture grows longer with each of them. */
function tall({ entrance, auditLogger, feed, bus, queue, schedule }) {
  const PITCH = 47;
  const at = (x, width) => (name, index) => [name, [x, 64 + PITCH * index, width, 28]];
  const left = Object.fromEntries(['api', entrance, ...bus, 'deadLetters'].map(at(106, 132)));
  const chain = [...feed, ...schedule, auditLogger, 'auditLog', ...queue.flatMap((name) => [`${name}Topic`, name]), 'mail'];
  const right = Object.fromEntries(chain.map(at(290, 132)));
  const queues = queue.map((name) => {
    const [x, y, , height] = right[`${name}Topic`];
    return { [`${name}Topic`]: [x - 36, y, 60, height], [`${name}Queue`]: [x + 36, y, 60, height] };
  });
  const end = Math.max(left.deadLetters[1], right.mail[1]) + 14;
  const lastWriter = left[bus.at(-1) ?? entrance][1] + 14;
  const firstWriter = left[entrance][1] - 14;
  const boxes = {
    customer: [198, 17, 316, 28], ...left, orders: [18, (firstWriter + lastWriter) / 2, 28, lastWriter - firstWriter],
    bus: [204, (50 + end) / 2, 28, end - 50], ...right, ...Object.assign({}, ...queues),
  };
  return { size: [360, end + 4], boxes, lane: 181 };
}
