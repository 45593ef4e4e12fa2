// Building and patching of DOM nodes. Data from the server reaches the page
// only through text nodes and attributes made here: nothing in this
// application assigns HTML.

const SVG = 'http://www.w3.org/2000/svg';

/** Creates an element. Functions named on… are listeners; null, false and undefined are skipped. */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  setProps(node, props || {});
  append(node, children);
  return node;
}

function setProps(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked' || name === 'disabled') node[name] = value;
    else node.setAttribute(name === 'testid' ? 'data-testid' : name, value === true ? '' : String(value));
  }
}

/** Appends strings as text, nodes as they are, lists flattened; skips null and false. */
export function append(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(node, child);
    else node.append(child);
  }
  return node;
}

/** Replaces the content of node. */
export function fill(node, ...children) {
  node.replaceChildren();
  return append(node, children);
}

/** Creates an SVG drawing of stroked paths in a 24 by 24 box. */
export function svg(paths, className) {
  const node = document.createElementNS(SVG, 'svg');
  node.setAttribute('viewBox', '0 0 24 24');
  node.setAttribute('class', className);
  node.setAttribute('aria-hidden', 'true');
  for (const d of paths) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', d);
    node.append(path);
  }
  return node;
}

let serial = 0;

/** Returns an id that is unique in the document. */
export function uid(prefix) {
  serial += 1;
  return `${prefix}-${serial}`;
}

const keys = new WeakMap();
const prints = new WeakMap();

/**
 * Brings the children of parent in line with items. A child whose key is still
 * wanted stays where it is: patch(node, item) brings it up to date and returns
 * it or its replacement; without patch it is replaced by make(item) only when
 * print(item), a string, differs from last time. Nodes that need not move are
 * not moved, so that focus, selection and scroll positions survive.
 */
export function reconcile(parent, items, { key, make, patch, print = JSON.stringify }) {
  const wanted = uniqueKeys(items, key);
  const present = new Map();
  const taken = new Set(wanted);
  for (const node of [...parent.children]) {
    if (taken.has(keys.get(node))) present.set(keys.get(node), node);
    else node.remove();
  }
  let cursor = parent.firstElementChild;
  items.forEach((item, i) => {
    const old = present.get(wanted[i]);
    const node = patch ? patched(old, item, make, patch) : printed(old, item, make, print);
    keys.set(node, wanted[i]);
    if (old && node !== old) {
      if (cursor === old) cursor = node;
      swap(old, node);
    }
    if (node === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(node, cursor);
  });
}

function patched(old, item, make, patch) {
  return old ? patch(old, item) : make(item);
}

function printed(old, item, make, print) {
  const now = print(item);
  if (old && prints.get(old) === now) return old;
  const node = make(item);
  prints.set(node, now);
  return node;
}

function uniqueKeys(items, key) {
  const seen = new Map();
  return items.map((item) => {
    const k = String(key(item));
    const n = seen.get(k) || 0;
    seen.set(k, n + 1);
    return n === 0 ? k : `${k}#${n}`;
  });
}

/** Replaces old by node and hands over the focus to the control with the same test id. */
export function swap(old, node) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const id = focused && focused.getAttribute('data-testid');
  const range = focused && selectionOf(focused);
  old.replaceWith(node);
  if (!id) return;
  const twin = node.querySelector(`[data-testid="${CSS.escape(id)}"]`);
  if (!twin) return;
  twin.focus({ preventScroll: true });
  if (range && twin.setSelectionRange) twin.setSelectionRange(range[0], range[1]);
}

function selectionOf(node) {
  try {
    return node.selectionStart === null || node.selectionStart === undefined
      ? null : [node.selectionStart, node.selectionEnd];
  } catch {
    return null;
  }
}

/** Reports whether an element lies at the end of its scroll range, give or take a line. */
export function atBottom(node) {
  return node.scrollHeight - node.scrollTop - node.clientHeight < 32;
}
