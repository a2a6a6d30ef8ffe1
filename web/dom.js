// The page is built from elements, never from strings of HTML: text from a user or the API can only ever be text.

/** `h('a.big', {href: '#/'}, 'text', child)`: an element with classes, attributes, listeners (`onclick`) and children. */
export function h(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElement(tag);
  element.className = classes.join(' ');
  for (const [key, value] of Object.entries(attributes)) set(element, key, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The same for a part of a picture. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A field with its label, and a hint that screen readers read with it. */
export function field(label, attributes, hint) {
  const hintId = `${attributes.id}-hint`;
  const input = h('input', { ...attributes, name: attributes.id, ...(hint && { 'aria-describedby': hintId }) });
  return h('p.field', {}, h('label', { for: attributes.id }, label), input, hint && h('small', { id: hintId }, hint));
}

function set(element, key, value) {
  if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
  else if (typeof value === 'boolean') element.toggleAttribute(key, value);
  else if (value !== undefined && value !== null) element.setAttribute(key, value);
}
