// Where each part of the system is in the picture. It is computed from the topology in config.json, which comes from
// serverless.yml: a new consumer appears by itself. Two layouts: one for a wide screen, one for a phone.

import { titleOf } from './choreography.js';

/** What is not a function: its kind, its name and what it does. */
const PARTS = {
  customer: ['person', 'Customer', 'this page'],
  api: ['service', 'API Gateway', 'checks the token'],
  orders: ['table', 'Orders', 'DynamoDB'],
  bus: ['bus', 'EventBridge', 'event bus'],
  mail: ['service', 'E-mail (SES)', 'to you'],
  auditLog: ['table', 'AuditLog', 'DynamoDB'],
  deadLetters: ['letters', 'Dead letters', 'retries used up'],
};
const GAP = 12; // between two boxes of a row, in the units of the view box
const MARGIN = 16;

/** Node → its `kind`, `title` and `caption`; its `box` is centre, width and height. `edges` are pairs of nodes. */
export function layoutOf(choreography, narrow) {
  const groups = grouped(choreography);
  const { size, boxes } = narrow ? tall(groups) : wide(groups);
  const nodes = new Map(Object.entries(boxes).map(([name, box]) => [name, { ...described(name, choreography), box }]));
  return { size, nodes, edges: edgesOf(groups, choreography), captions: !narrow };
}

/** The functions by their place: at the API, on the bus, behind a queue (the notifier last), on a schedule; and AuditLogger. */
function grouped({ functions, auditLogger, feed, notifier, entrance }) {
  const of = (kind) => Object.keys(functions).filter((name) => functions[name].kind === kind && name !== auditLogger && name !== feed);
  return { entrance, auditLogger, bus: of('bus'), queue: of('queue').sort((one, other) => (one === notifier) - (other === notifier)), schedule: of('schedule') };
}

function described(name, { functions }) {
  if (functions[name]) return { kind: 'function', title: titleOf(name), caption: functions[name].kind === 'schedule' ? 'Lambda, scheduled' : 'Lambda' };
  if (name.endsWith('Topic')) return { kind: 'service', title: 'SNS topic', caption: 'fans out' };
  if (name.endsWith('Queue')) return { kind: 'service', title: 'SQS queue', caption: 'lets a burst wait' };
  const [kind, title, caption] = PARTS[name];
  return { kind, title, caption };
}

function edgesOf({ entrance, auditLogger, bus, queue, schedule }, { functions, notifier }) {
  return [
    ['customer', 'api'], ['api', entrance], [entrance, 'orders'], [entrance, 'bus'],
    ...bus.flatMap((name) => [[name, 'bus'], ...(functions[name].writesOrders ? [[name, 'orders']] : [])]),
    ...queue.flatMap((name) => [['bus', `${name}Topic`], [`${name}Topic`, `${name}Queue`], [`${name}Queue`, name]]),
    [notifier, 'mail'], ['bus', auditLogger], [auditLogger, 'auditLog'],
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

/** The consumers stand in a row below the bus, those behind a queue in a column each at the right. */
function wide({ entrance, auditLogger, bus, queue, schedule }) {
  const [consumers, end] = row(bus, 208, 326, 48, 0);
  const [scheduled, scheduledEnd] = row(schedule, 408, 126, 48, 164);
  const width = Math.max(end + queue.length * (136 + MARGIN), scheduledEnd + 144 + MARGIN, 672) + MARGIN;
  const columns = queue.map((name, index) => {
    const x = width - MARGIN - 68 - (queue.length - 1 - index) * (136 + MARGIN);
    return { [`${name}Topic`]: [x, 308, 136, 44], [`${name}Queue`]: [x, 378, 136, 44], [name]: [x, 448, 136, 44] };
  });
  const boxes = {
    customer: [86, 34, 140, 48], api: [86, 126, 140, 48], [entrance]: [86, 218, 140, 48],
    auditLog: [284, 34, 150, 48], [auditLogger]: [284, 126, 150, 48], ...scheduled,
    deadLetters: [width - MARGIN - 72, 126, 144, 48], bus: [(208 + width - MARGIN) / 2, 218, width - MARGIN - 208, 48],
    ...consumers, orders: [(MARGIN + end) / 2, 446, end - MARGIN, 48],
    ...Object.assign({}, ...columns), mail: [width - MARGIN - 68, 518, 136, 44],
  };
  return { size: [width, 548], boxes };
}

/** The bus goes down the middle, with the consumers at its left; the picture grows longer with each of them. */
function tall({ entrance, auditLogger, bus, queue, schedule }) {
  const at = (x, y) => [x, y, 136, 34];
  const left = [entrance, ...bus];
  const leftBoxes = Object.fromEntries(left.map((name, index) => [name, at(112, 92 + 66 * index)]));
  const lastWriter = 92 + 66 * (left.length - 1);
  const chains = queue.flatMap((name) => [`${name}Topic`, `${name}Queue`, name]);
  const right = Object.fromEntries([...schedule, auditLogger, 'auditLog', ...chains, 'mail'].map((name, index) => [name, at(288, 92 + 60 * index)]));
  const end = Math.max(...Object.values({ ...leftBoxes, ...right }).map(([, y]) => y), lastWriter + 66);
  const boxes = {
    customer: at(288, 20), api: at(112, 20), ...leftBoxes, deadLetters: at(112, end),
    orders: [18, (71 + lastWriter + 21) / 2, 28, lastWriter + 21 - 71], bus: [200, (70 + end + 17) / 2, 28, end + 17 - 70], ...right,
  };
  return { size: [360, end + 38], boxes };
}
