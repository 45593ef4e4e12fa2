// The blocks of messages, modals and the Home tab.
//
// Blocks are patched one by one: a block that did not change keeps its nodes,
// and one in which the person is typing or has a list open waits until they
// let go (the surface then draws again).

import { append, fill, h, reconcile, uid } from './dom.js';
import { textObject, textOf } from './mrkdwn.js';
import { popupIn } from './popup.js';
import { imageElement, makeElement, unknown } from './elements.js';
import { richText } from './richtext.js';

/** Brings the blocks inside node in line with the list. */
export function drawBlocks(node, blocks, ctx) {
  const items = (blocks || []).map((block, i) => ({ block, at: i }));
  reconcile(node, items, {
    key: ({ block, at }) => block.block_id || `${block.type}-${at}`,
    make: ({ block }) => makeBlock(block, ctx),
    patch: (old, { block }) => patchBlock(old, block, ctx),
  });
}

const drawn = new WeakMap();

function printOf(block, ctx) {
  return JSON.stringify([block, ctx.stateOf ? ctx.stateOf(block) : null]);
}

function makeBlock(block, ctx) {
  const maker = Object.hasOwn(MAKERS, block?.type) ? MAKERS[block.type] : null;
  const node = maker ? maker(block, ctx) : unknown(`block “${block?.type}”`);
  node.classList.add('block');
  if (block.block_id) node.setAttribute('data-block', block.block_id);
  drawn.set(node, { print: printOf(block, ctx), block });
  return node;
}

function patchBlock(old, block, ctx) {
  const last = drawn.get(old);
  const print = printOf(block, ctx);
  if (last.print === print) return old;
  if (inUse(old)) {
    if (ctx.postpone) ctx.postpone();
    return old;
  }
  return makeBlock(block, ctx);
}

/** Reports whether the person has a list of this block open or types in it. */
function inUse(node) {
  const active = document.activeElement;
  return popupIn(node) || (node.contains(active) && active.matches('textarea, input:not([type=checkbox], [type=radio])'));
}

const MAKERS = {
  header: (block) => append(h('h3', { class: 'block-header' }), [textObject(block.text)]),
  divider: () => h('hr', { class: 'block-divider' }),
  section: sectionBlock,
  context: contextBlock,
  actions: actionsBlock,
  input: inputBlock,
  image: imageBlock,
  rich_text: (block, ctx) => richText(block, ctx.env, (type) => unknown(`rich text element “${type}”`)),
};

function sectionBlock(block, ctx) {
  const text = block.text && append(h('div', { class: 'rich' }), [textObject(block.text, ctx.env)]);
  const fields = block.fields && h('div', { class: 'fields' }, block.fields.map((field) => append(h('div', { class: 'field rich' }), [textObject(field, ctx.env)])));
  const accessory = block.accessory && h('div', { class: 'accessory' }, makeElement(block.accessory, block, ctx, { label: accessoryLabel(block) }));
  return h('div', { class: 'block-section', testid: block.block_id ? `field-${block.block_id}` : null },
    h('div', { class: 'section-main' }, text, fields), accessory);
}

function accessoryLabel(block) {
  return textOf(block.accessory.placeholder) || textOf(block.text).replace(/[*_~`]/g, '').slice(0, 80);
}

function contextBlock(block, ctx) {
  return h('div', { class: 'block-context rich' }, (block.elements || []).map((element) => (element.type === 'image'
    ? imageElement(element)
    : append(h('span', { class: 'context-text' }), [contextText(element, ctx)]))));
}

function contextText(element, ctx) {
  return ['mrkdwn', 'plain_text'].includes(element.type) ? textObject(element, ctx.env) : unknown(`element “${element.type}”`);
}

function actionsBlock(block, ctx) {
  return h('div', { class: 'block-actions' }, (block.elements || []).map((element) => makeElement(element, block, ctx, { label: textOf(element.placeholder) })));
}

function imageBlock(block) {
  return h('figure', { class: 'block-image' }, block.title && h('figcaption', null, textObject(block.title)), imageElement(block));
}

function inputBlock(block, ctx) {
  const ids = { label: uid('label'), control: uid('control'), hint: uid('hint'), error: uid('error') };
  const control = makeElement(block.element, block, ctx, {
    id: ids.control, label: textOf(block.label), labelledby: ids.label, describedby: `${ids.hint} ${ids.error}`,
    required: !block.optional, clearable: Boolean(block.optional),
  });
  const label = append(h('label', { id: ids.label, for: ids.control, class: 'input-label' }), [textObject(block.label), block.optional && h('span', { class: 'optional' }, ' (optional)')]);
  return h('div', { class: 'block-input', testid: block.block_id ? `field-${block.block_id}` : null },
    label, control,
    h('p', { class: 'field-error', id: ids.error, role: 'alert', hidden: true }),
    block.hint && append(h('p', { class: 'input-hint', id: ids.hint }), [textObject(block.hint, ctx.env)]));
}

/** Shows errors ({block_id: text}) under the inputs inside node; the others lose theirs. */
export function showErrors(node, errors) {
  for (const block of node.querySelectorAll('[data-block]')) {
    const place = block.querySelector('.field-error');
    if (!place) continue;
    const text = errors[block.getAttribute('data-block')] || '';
    if (place.textContent !== text) fill(place, text);
    place.hidden = !text;
    block.classList.toggle('wrong', Boolean(text));
    const control = block.querySelector('input, textarea, [role=combobox]');
    if (control) control.setAttribute('aria-invalid', String(Boolean(text)));
  }
}

/** Every element of a list of blocks that may hold a value, as {block, element}. */
export function* elementsOf(blocks) {
  for (const block of blocks || []) {
    if (block.element) yield { block, element: block.element };
    if (block.accessory) yield { block, element: block.accessory };
    if (block.type === 'actions') for (const element of block.elements || []) yield { block, element };
  }
}
