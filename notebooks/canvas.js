// The storefront's picture in a notebook. Python reads the order (`seen`) and does what the buttons ask for.

import { Choreography } from '../web/choreography.js';
import { h } from '../web/dom.js';
import { Stage } from '../web/stage.js';
import { orderNumber, STATUSES } from '../web/words.js';

const NARROW_PX = 700; // below it the picture is drawn as for a phone
const STILL_AFTER_MS = 6000; // without a change: then the picture shows what the order waits for

function render({ model, el }) {
  const closing = new AbortController();
  const narrow = narrowness(el, closing.signal);
  const title = h('h2');
  const status = h('p.status');
  const picture = h('div');
  const said = h('ul.facts-now', { role: 'status' });
  const steps = h('details', {}, h('summary', {}, 'What happened, step by step'));
  const buttons = Object.entries(model.get('buttons')).map(([name, label]) =>
    h('button.quiet', { type: 'button', name, onclick: () => model.send({ press: name }) }, label));
  let leaving = new AbortController();
  let stage = null;
  let timer = null;

  /** Another order has a picture of its own. */
  const stageOf = (order) => {
    if (stage?.order.orderId === order.orderId) return stage;
    leaving.abort();
    leaving = new AbortController();
    stage = new Stage(new Choreography(model.get('topology')), leaving.signal, narrow);
    picture.replaceChildren(stage.element);
    steps.replaceChildren(steps.firstChild, stage.timeline.element);
    return stage;
  };
  const show = (isStill) => {
    const { order, events, rescue } = model.get('seen');
    const [sign, word] = STATUSES[order.status];
    title.textContent = `Order ${orderNumber(order.orderId)}`;
    status.replaceChildren(h(`span.badge.${order.status}`, {}, `${sign} ${word}`));
    stageOf(order).update(order, events, rescue, isStill);
  };
  const seen = () => {
    clearTimeout(timer);
    timer = setTimeout(() => show(true), STILL_AFTER_MS);
    show(false);
  };
  const pressed = () => {
    said.replaceChildren(...Object.values(model.get('said')).map((sentence) => h('li', {}, sentence)));
    for (const button of buttons) button.disabled = model.get('busy').includes(button.name);
  };

  const host = h('div.order-canvas'); // the storefront's style stays inside, and the notebook's outside
  host.attachShadow({ mode: 'open' }).append(h('style', {}, model.get('stylesheet')),
    h('div.heading', {}, title, status), picture, h('div.buttons.actions', {}, buttons), said, steps);
  el.append(host);
  seen();
  pressed();
  const listeners = { 'change:seen': seen, 'change:said': pressed, 'change:busy': pressed };
  for (const [name, listener] of Object.entries(listeners)) model.on(name, listener);
  return () => {
    for (const [name, listener] of Object.entries(listeners)) model.off(name, listener);
    clearTimeout(timer);
    leaving.abort();
    closing.abort();
  };
}

/** Whether the element is narrow, as a media query says it of the window: a notebook has a sidebar. */
function narrowness(element, signal) {
  const narrow = Object.assign(new EventTarget(), { matches: false });
  const observer = new ResizeObserver(([{ contentRect: { width } }]) => {
    if (width === 0 || width < NARROW_PX === narrow.matches) return; // 0: the notebook's tab is hidden
    narrow.matches = !narrow.matches;
    narrow.dispatchEvent(new Event('change'));
  });
  observer.observe(element);
  signal.addEventListener('abort', () => observer.disconnect());
  return narrow;
}

export default { render };
