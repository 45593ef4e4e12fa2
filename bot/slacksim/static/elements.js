// The interactive elements of Block Kit.
//
// Each is made from (element, block, ctx, a11y). The context is the surface on
// which the element stands (message, modal, Home):
//   env — the workspace, see mrkdwn.js; people() lists its users
//   get(block, element) → the state of the element, or undefined if untouched
//   change(block, element, state) → promise of whether the new state was taken
//   press(block, element, value) → promise, for buttons and menus
//   suggest(block, element, query) → promise of {options} or {option_groups}
//   released() — called when the person lets go of an element
// a11y is {id, label, labelledby, describedby, required, clearable}.

import { append, h, uid } from './dom.js';
import { icon } from './icons.js';
import { plain, textObject, textOf } from './mrkdwn.js';
import { ask, notify, openMenu } from './popup.js';
import { selectElement } from './select.js';
import { contentOf, initialState, makeState } from './values.js';

const MAKERS = {
  button: buttonElement,
  overflow: overflowElement,
  static_select: selectElement,
  external_select: selectElement,
  users_select: selectElement,
  multi_static_select: selectElement,
  multi_external_select: selectElement,
  multi_users_select: selectElement,
  plain_text_input: textElement,
  email_text_input: textElement,
  url_text_input: textElement,
  number_input: textElement,
  radio_buttons: choiceElement,
  checkboxes: choiceElement,
  datepicker: pickerElement,
  timepicker: pickerElement,
  datetimepicker: pickerElement,
  image: imageElement,
};

/** Makes an element; a type that is not known becomes a red box naming it. */
export function makeElement(element, block, ctx, a11y = {}) {
  const maker = Object.hasOwn(MAKERS, element?.type) ? MAKERS[element.type] : null;
  return maker ? maker(element, block, ctx, a11y) : unknown(`element “${element?.type}”`);
}

/** The visible box in place of what this page cannot draw. */
export function unknown(what) {
  return h('div', { class: 'unknown', role: 'alert', testid: 'unknown' }, icon('warn'), `Cannot draw the ${what}`);
}

/** Asks the confirmation that an element or option demands; true without one. */
export async function confirmed(confirm, env) {
  if (!confirm) return true;
  return ask({
    title: textOf(confirm.title) || 'Are you sure?', text: textObject(confirm.text, env),
    yes: textOf(confirm.confirm) || 'Yes', no: textOf(confirm.deny) || 'Cancel', danger: confirm.style === 'danger',
  });
}

function buttonElement(element, block, ctx, a11y) {
  const props = {
    class: `button ${{ primary: 'primary', danger: 'danger' }[element.style] || ''}`.trim(), id: a11y.id,
    testid: `action-${element.action_id}`, 'aria-label': element.accessibility_label,
  };
  const press = async () => {
    if (node.getAttribute('aria-busy') === 'true' || !await confirmed(element.confirm, ctx.env)) return;
    node.setAttribute('aria-busy', 'true');
    await ctx.press(block, element);
    node.removeAttribute('aria-busy');
  };
  const text = plain(element.text?.text ?? '', element.text?.emoji !== false);
  const safe = /^https?:/i.test(element.url || '') && element.url;
  const node = safe
    ? h('a', { ...props, href: safe, target: '_blank', rel: 'noopener noreferrer', onclick: press }, text)
    : h('button', { ...props, type: 'button', onclick: press }, text);
  return node;
}

function overflowElement(element, block, ctx, a11y) {
  const choose = async (option) => {
    if (!await confirmed(element.confirm, ctx.env)) return;
    if (/^https?:/i.test(option.url || '')) open(option.url, '_blank', 'noopener,noreferrer');
    await ctx.press(block, element, option.value);
  };
  const node = h('button', {
    type: 'button', class: 'button square', id: a11y.id, testid: `action-${element.action_id}`,
    'aria-haspopup': 'menu', 'aria-expanded': 'false', 'aria-label': 'More actions',
    onclick: () => openMenu({
      anchor: node, label: 'More actions', end: true,
      items: (element.options || []).map((option) => ({
        label: textOf(option.text), note: textOf(option.description), testid: `option-${option.value}`, run: () => choose(option),
      })),
    }),
  }, icon('more'));
  return node;
}

const INPUT_TYPES = { email_text_input: 'email', url_text_input: 'url' };

function textElement(element, block, ctx, a11y) {
  const state = ctx.get(block, element) ?? initialState(element);
  const props = {
    class: 'text-input', id: a11y.id, testid: `action-${element.action_id}`, placeholder: textOf(element.placeholder) || null,
    'aria-label': a11y.labelledby ? null : a11y.label, 'aria-describedby': a11y.describedby, 'aria-required': a11y.required ? 'true' : null,
    autocomplete: 'off', value: contentOf(element, state) ?? '', oninput: () => ctx.change(block, element, take(node, element), { typing: true }),
    onblur: () => ctx.released && ctx.released(),
    'data-autofocus': element.focus_on_load ? 'true' : null,
  };
  const node = element.multiline
    ? h('textarea', { ...props, rows: '4' })
    : h('input', { ...props, type: INPUT_TYPES[element.type] || 'text', inputmode: element.type === 'number_input' ? 'decimal' : null });
  if (element.dispatch_action_config || block.dispatch_action) dispatchOn(node, element, block, ctx);
  return node;
}

function take(node, element) {
  return makeState(element, node.value === '' ? null : node.value);
}

/** Sends block actions while typing or on Enter, as dispatch_action_config says. */
function dispatchOn(node, element, block, ctx) {
  const when = element.dispatch_action_config?.trigger_actions_on || ['on_enter_pressed'];
  let timer = 0;
  const send = () => ctx.change(block, element, take(node, element));
  if (when.includes('on_enter_pressed')) {
    node.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.isComposing || (element.multiline && event.shiftKey)) return;
      event.preventDefault();
      event.stopPropagation();
      send();
    });
  }
  if (when.includes('on_character_entered')) {
    node.addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(send, 400);
    });
  }
}

function choiceElement(element, block, ctx, a11y) {
  const single = element.type === 'radio_buttons';
  const name = uid('choice');
  const state = ctx.get(block, element) ?? initialState(element);
  const content = contentOf(element, state);
  const chosen = new Set((single ? [content] : content).filter(Boolean).map((option) => option.value));
  const options = element.options || [];
  const boxes = options.map((option) => h('input', {
    type: single ? 'radio' : 'checkbox', name, value: option.value, checked: chosen.has(option.value), testid: `option-${option.value}`,
    onchange: () => changed(),
  }));
  const changed = async () => {
    const picked = options.filter((_, i) => boxes[i].checked).map(({ text, value }) => ({ text, value }));
    await ctx.change(block, element, makeState(element, single ? picked[0] ?? null : picked));
  };
  return h('div', {
    class: 'choices', role: single ? 'radiogroup' : 'group', id: a11y.id, testid: `action-${element.action_id}`,
    'aria-labelledby': a11y.labelledby, 'aria-label': a11y.labelledby ? null : a11y.label || 'Options', 'aria-describedby': a11y.describedby,
  }, options.map((option, i) => h('label', { class: 'choice' }, boxes[i], h('span', null,
    append(h('span', { class: 'choice-label' }), [textObject(option.text, ctx.env)]),
    option.description && append(h('span', { class: 'choice-note' }), [textObject(option.description, ctx.env)])))));
}

const PICKERS = { datepicker: 'date', timepicker: 'time', datetimepicker: 'datetime-local' };

function pickerElement(element, block, ctx, a11y) {
  const seconds = element.type === 'datetimepicker';
  const content = contentOf(element, ctx.get(block, element) ?? initialState(element));
  const changed = async () => {
    const value = node.value === '' ? null : node.value;
    const next = seconds && value !== null ? Math.floor(new Date(value).getTime() / 1000) : value;
    await ctx.change(block, element, makeState(element, next));
  };
  const node = h('input', {
    type: PICKERS[element.type], class: 'text-input picker', id: a11y.id, testid: `action-${element.action_id}`,
    'aria-label': a11y.labelledby ? null : a11y.label || textOf(element.placeholder) || 'Pick', 'aria-describedby': a11y.describedby,
    'aria-required': a11y.required ? 'true' : null,
    value: seconds && content !== null ? localMinute(Number(content)) : content ?? '', onchange: changed,
    onblur: () => ctx.released && ctx.released(),
  });
  return node;
}

/** A Unix time as the value of a datetime-local field. */
function localMinute(seconds) {
  const date = new Date(seconds * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

/** An image; what comes from elsewhere cannot be loaded here and is shown by its description. */
export function imageElement(element) {
  const address = element.image_url || element.slack_file?.url || '';
  const own = address.startsWith('data:image/') || isOwn(address);
  const alt = element.alt_text || 'image';
  return own
    ? h('img', { class: 'image', src: address, alt, title: alt })
    : h('span', { class: 'image-away', role: 'img', 'aria-label': alt, title: address }, icon('eye'), alt);
}

function isOwn(address) {
  return URL.canParse(address, location.href) && new URL(address, location.href).origin === location.origin;
}

/**
 * Reports a refusal in a notice and says whether the work was done. Quiet work is
 * work whose notices (the app did not answer) appear elsewhere on the page.
 */
export async function attempt(work, { quiet = false } = {}) {
  try {
    const answer = await work();
    if (answer && answer.notice && !quiet) notify(answer.notice, { bad: true });
    return true;
  } catch (error) {
    notify(error.message, { bad: true });
    return false;
  }
}
