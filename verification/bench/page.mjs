// Plays the order's page against a scripted order, in virtual time, and prints what it asks for: web/follower.js decides
// when to read, and the rule below, which is that of web/views/order.js, decides what.
//
//     node page.mjs SCENARIO
//
// SCENARIO is JSON: `states` is what the API shows from `at` on (milliseconds), and the event that is pushed then;
// `socketOpensAfter`, and `until`, when the page is left.

import { mock } from 'node:test';
import { isComplete, isOver } from '../../web/choreography.js';
import { Follower } from '../../web/follower.js';

const { states, socketOpensAfter, until } = JSON.parse(process.argv[2]);
const asked = { 'GET order': 0, 'GET timeline': 0, tickets: 0, messages: 0 };
const sockets = [];

globalThis.document = new EventTarget();
globalThis.WebSocket = class extends EventTarget {
  static OPEN = 1;
  readyState = 0;
  constructor() {
    super();
    sockets.push(this);
    setTimeout(() => {
      this.readyState = WebSocket.OPEN;
      this.dispatchEvent(new Event('open'));
    }, socketOpensAfter);
  }
  close() {}
};
mock.timers.enable({ apis: ['setTimeout', 'Date'] });

let order = null;
let events = [];
let shown = '';
const now = () => states.findLast(({ at }) => at <= Date.now());
const show = () => {
  const before = shown;
  shown = JSON.stringify([order, events]);
  return shown !== before;
};

async function read(isPushed) {
  const asksForEvents = !(isPushed && isComplete(order, events));
  asked['GET order'] += 1;
  asked['GET timeline'] += asksForEvents;
  ({ order } = now());
  if (asksForEvents) ({ events } = now());
  return { changed: show(), over: isOver(order) && isComplete(order, events) };
}

function heard(event) {
  events = [...events, event];
  show();
}

async function ticket() {
  asked.tickets += 1;
  return { url: 'wss://example.com' };
}

const turn = () => new Promise((resolve) => { setImmediate(resolve); }); // lets what was awaited go on

await read(false);
new Follower({ ticket, heard, read, failed: (error) => { throw error; }, signal: new AbortController().signal }).start();
await turn();
while (Date.now() < until) {
  mock.timers.tick(10);
  await turn();
  const pushed = states.find(({ at, event }) => event && at === Date.now())?.event;
  for (const socket of pushed ? sockets.filter(({ readyState }) => readyState === WebSocket.OPEN) : []) {
    asked.messages += 1;
    socket.dispatchEvent(Object.assign(new Event('message'), { data: JSON.stringify(pushed) }));
  }
  await turn();
}
console.log(JSON.stringify(asked));
