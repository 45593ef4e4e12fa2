// What floats above the page: one popup at a time, notices, and the question
// before an action that asks for confirmation.

import { fill, h, uid } from './dom.js';
import { icon } from './icons.js';

let current = null;

/**
 * Opens content below (or above) anchor and closes what was open. It closes on
 * Escape, a press outside, and when its anchor leaves the page.
 */
export function openPopup({ anchor, content, className = '', above = false, matchWidth = false, end = false, indent = 0, onclose }) {
  closePopup();
  const box = h('div', { class: `popup ${className}`.trim() }, content);
  (anchor.closest('dialog') || document.body).append(box);
  current = { anchor, box, onclose, place: () => place(box, anchor, { above, matchWidth, end, indent }) };
  current.place();
  return box;
}

/** Closes the popup that is open, if any. */
export function closePopup() {
  if (!current) return;
  const { box, onclose } = current;
  current = null;
  box.remove();
  if (onclose) onclose();
}

/** Reports whether the open popup belongs to a control inside node. */
export function popupIn(node) {
  return Boolean(current && node.contains(current.anchor));
}

/** Reports whether a popup is open. */
export function popupOpen() {
  return current !== null;
}

/** Puts the popup where its anchor is now, or closes it when the anchor is gone. */
export function settlePopup() {
  if (!current) return;
  if (!current.anchor.isConnected || current.anchor.offsetParent === null) closePopup();
  else current.place();
}

function place(box, anchor, { above, matchWidth, end, indent }) {
  const at = anchor.getBoundingClientRect();
  const margin = 8;
  if (matchWidth) box.style.minWidth = `${Math.min(at.width, innerWidth - 2 * margin)}px`;
  const width = box.offsetWidth;
  const height = box.offsetHeight;
  const below = innerHeight - at.bottom - margin;
  const up = above ? at.top > height + margin || at.top > below : below < height + 4 && at.top > below;
  const left = end ? at.right - width : at.left + indent;
  box.style.left = `${Math.max(margin, Math.min(left, innerWidth - width - margin))}px`;
  box.style.top = `${Math.max(margin, up ? at.top - height - 4 : at.bottom + 4)}px`;
  box.style.maxHeight = `${Math.max(120, (up ? at.top : innerHeight - at.bottom) - 2 * margin)}px`;
}

/** Attaches the listeners that close and move popups. */
export function startPopups() {
  document.addEventListener('pointerdown', (event) => {
    if (current && !current.box.contains(event.target) && !current.anchor.contains(event.target)) closePopup();
  }, true);
  document.addEventListener('scroll', (event) => {
    if (current && !current.box.contains(event.target)) settlePopup();
  }, true);
  addEventListener('resize', settlePopup);
}

/** A menu of actions below anchor; items are {label, testid, danger, href, note, run}. */
export function openMenu({ anchor, items, label, above, end, indent }) {
  const list = h('div', { class: 'menu', role: 'menu', 'aria-label': label }, items.map(menuItem));
  list.addEventListener('keydown', (event) => menuKeys(event, list, anchor));
  anchor.setAttribute('aria-expanded', 'true');
  openPopup({ anchor, content: list, above, end, indent, onclose: () => anchor.setAttribute('aria-expanded', 'false') });
  const first = list.querySelector('[role=menuitem]');
  if (first) first.focus();
}

function menuItem({ label, testid, danger, href, note, lead, run }) {
  const props = { role: 'menuitem', tabindex: '-1', class: `menu-item${danger ? ' danger' : ''}`, testid };
  const content = [lead, h('span', { class: 'menu-text' }, h('span', { class: 'menu-label' }, label), note && h('span', { class: 'menu-note' }, note))];
  const choose = () => {
    closePopup();
    if (run) run();
  };
  return href
    ? h('a', { ...props, href, target: href.startsWith('#') ? null : '_blank', rel: 'noopener noreferrer', onclick: choose }, content)
    : h('button', { ...props, type: 'button', onclick: choose }, content);
}

function menuKeys(event, list, anchor) {
  const items = [...list.querySelectorAll('[role=menuitem]')];
  const at = items.indexOf(document.activeElement);
  const go = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (go !== undefined) {
    event.preventDefault();
    items[(go + items.length) % items.length].focus();
  } else if (event.key === 'Escape' || event.key === 'Tab') {
    event.preventDefault();
    event.stopPropagation();
    closePopup();
    anchor.focus();
  }
}

/** Shows a notice for a while; bad ones stay longer. */
export function notify(text, { bad = false } = {}) {
  const box = document.getElementById('notices');
  const gone = () => node.remove();
  const node = h('div', { class: `notice${bad ? ' bad' : ''}`, testid: 'notice' },
    icon(bad ? 'warn' : 'check'), h('p', null, text),
    h('button', { type: 'button', class: 'icon-button small', 'aria-label': 'Dismiss', onclick: gone }, icon('close')));
  box.append(node);
  while (box.children.length > 4) box.firstElementChild.remove();
  setTimeout(gone, bad ? 12000 : 5000);
}

/** Asks a question; resolves to true when it was confirmed. Texts are nodes or strings. */
export function ask({ title, text, yes = 'Yes', no = 'Cancel', danger = false }) {
  return new Promise((resolve) => {
    const id = uid('ask');
    const dialog = h('dialog', { class: 'ask', 'aria-labelledby': id, testid: 'confirm' });
    const answer = (value) => {
      dialog.close();
      dialog.remove();
      resolve(value);
    };
    fill(dialog,
      h('h2', { id }, title),
      h('div', { class: 'ask-text' }, text),
      h('div', { class: 'ask-buttons' },
        h('button', { type: 'button', class: 'button', testid: 'confirm-cancel', onclick: () => answer(false) }, no),
        h('button', { type: 'button', class: `button ${danger ? 'danger-fill' : 'primary'}`, testid: 'confirm-ok', autofocus: true, onclick: () => answer(true) }, yes)));
    dialog.addEventListener('cancel', (event) => {
      event.preventDefault();
      answer(false);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
