// The developer section: faults that the simulator can be told to make.

import { fill, h } from './dom.js';
import { icon } from './icons.js';
import { attempt } from './elements.js';
import { notify } from './popup.js';

const METHODS = [
  'chat.postMessage', 'chat.update', 'chat.postEphemeral', 'chat.getPermalink', 'views.open', 'views.update', 'views.publish',
  'conversations.open', 'conversations.replies', 'conversations.info', 'users.info', 'users.lookupByEmail', 'usergroups.users.update', 'apps.connections.open',
];
const ERRORS = [
  ['ratelimited', 'ratelimited (429)'], ['500', 'HTTP 500'], ['cut_after', 'cut after the effect'], ['cut_before', 'cut before the effect'],
  ['internal_error', 'internal_error'], ['not_in_channel', 'not_in_channel'], ['missing_scope', 'missing_scope'],
];

/** A collapsed form that posts faults. */
export class Faults {
  constructor(app) {
    this.app = app;
    this.method = picker('Method', METHODS.map((m) => [m, m]), 'fault-method');
    this.error = picker('Fails with', ERRORS, 'fault-error');
    this.times = field('Times', '1', 'fault-times');
    this.latency = field('Latency of every call in ms', '0', 'fault-latency');
    this.duplicate = h('input', { type: 'checkbox', testid: 'fault-duplicate', onchange: () => this.send({ duplicate: this.duplicate.checked }, this.duplicate.checked ? 'Every event comes twice.' : 'Events come once.') });
    this.node = h('details', { class: 'faults', testid: 'faults' }, h('summary', null, icon('tools'), 'Faults for developers'), h('div', { class: 'fault-body' },
      this.row(h('span', null, 'Sockets'), this.button('Warn, then disconnect', { disconnect: 'warning' }), this.button('Cut now', { disconnect: 'now' })),
      h('label', { class: 'choice' }, this.duplicate, h('span', null, 'Deliver everything twice')),
      this.row(this.latency.node, this.button('Set', () => ({ latency_ms: number(this.latency.input) }))),
      h('div', { class: 'fault-fail' }, this.method.node, this.error.node, this.times.node, this.button('Fail the next calls', () => this.failure())),
      this.row(this.button('Clear all faults', { clear: true }))));
  }

  row(...children) {
    return h('div', { class: 'fault-row' }, children);
  }

  button(label, fault) {
    return h('button', { type: 'button', class: 'button small', onclick: () => this.send(typeof fault === 'function' ? fault() : fault, `${label}: done.`) }, label);
  }

  failure() {
    const error = this.error.input.value;
    return { fail: { method: this.method.input.value, error, times: number(this.times.input) || 1, ...(error === 'ratelimited' ? { retry_after: 2 } : {}) } };
  }

  async send(fault, said) {
    if (!await attempt(() => this.app.act({ do: 'fault', ...fault }))) return;
    if (fault.clear) this.reset();
    notify(said);
  }

  reset() {
    this.duplicate.checked = false;
    this.latency.input.value = '0';
  }
}

function number(input) {
  return Math.max(0, Math.floor(Number(input.value) || 0));
}

function picker(label, options, testid) {
  const input = h('select', { class: 'text-input', testid });
  fill(input, options.map(([value, text]) => h('option', { value }, text)));
  return { input, node: h('label', { class: 'fault-field' }, h('span', null, label), input) };
}

function field(label, value, testid) {
  const input = h('input', { class: 'text-input', type: 'text', inputmode: 'numeric', value, testid });
  return { input, node: h('label', { class: 'fault-field' }, h('span', null, label), input) };
}
