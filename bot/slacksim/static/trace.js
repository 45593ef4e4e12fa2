// The panel "What happens": everything that goes between the workspace and the
// app, as it happens, with the simulator's findings.

import { append, atBottom, fill, h } from './dom.js';
import { icon } from './icons.js';
import { coalesce, read, tolerate } from './api.js';
import { Faults } from './faults.js';

const KEEP = 600;
const KINDS = [
  ['envelope', 'Envelopes'], ['ack', 'Acks'], ['api', 'API'], ['socket', 'Sockets'], ['finding', 'Findings'],
];

/** The trace panel; `toggle` is the button that opens it and carries the count of findings, opened(on) hears of it. */
export class Trace {
  constructor({ app, root, toggle, opened }) {
    Object.assign(this, { app, root, toggle, opened, next: 0, entries: [], off: new Set(), findings: 0 });
    this.list = h('div', { class: 'trace-list', role: 'log', 'aria-label': 'What happens' });
    this.scroll = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Trace entries' }, this.list);
    this.end = true;
    this.scroll.addEventListener('scroll', () => { this.end = atBottom(this.scroll); });
    new ResizeObserver(() => this.stick()).observe(this.scroll);
    this.chips = KINDS.map(([kind, label]) => this.chip(kind, label));
    this.load = coalesce(() => this.fetch());
    this.faults = new Faults(app);
    const button = (drawing, label, run, testid) => h('button', { type: 'button', class: 'icon-button', title: label, 'aria-label': label, testid, onclick: run }, icon(drawing));
    fill(root,
      h('header', { class: 'pane-head' }, h('h2', { class: 'pane-title' }, 'What happens'), h('span', { class: 'topic' }), button('trash', 'Clear the list', () => this.clear(), 'trace-clear'), button('close', 'Close the panel', () => this.open(false), 'trace-close')),
      h('div', { class: 'trace-filter', role: 'group', 'aria-label': 'Show' }, this.chips),
      this.scroll, this.faults.node);
    toggle.addEventListener('click', () => this.open(root.hidden));
    this.drawToggle();
  }

  chip(kind, label) {
    const node = h('button', { type: 'button', class: `chip-filter kind-${kind}`, 'aria-pressed': 'true', testid: `filter-${kind}` }, label, h('span', { class: 'chip-count' }));
    node.addEventListener('click', () => {
      if (!this.off.delete(kind)) this.off.add(kind);
      node.setAttribute('aria-pressed', String(!this.off.has(kind)));
      this.list.classList.toggle(`without-${kind}`, this.off.has(kind));
      this.drawCounts();
    });
    return node;
  }

  open(on) {
    this.root.hidden = !on;
    this.toggle.setAttribute('aria-expanded', String(on));
    this.opened(on);
    this.end = true;
    if (on) this.stick();
    else this.toggle.focus();
  }

  async fetch() {
    try {
      const { next, entries } = await read('trace', { after: this.next });
      const restarted = next < this.next;
      this.next = restarted ? 0 : next;
      if (restarted) {
        this.clear();
        this.load();
      } else {
        this.add(entries || []);
      }
    } catch (error) {
      tolerate(error);
    }
  }

  add(entries) {
    if (!entries.length) return;
    this.entries.push(...entries);
    append(this.list, entries.map((entry) => row(entry)));
    this.findings += entries.filter((entry) => entry.kind === 'finding').length;
    this.trim();
    this.drawCounts();
    this.drawToggle();
    this.stick();
  }

  stick() {
    if (this.end) this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  /** Forgets the oldest entries, but no findings. */
  trim() {
    let extra = this.entries.length - KEEP;
    if (extra <= 0) return;
    const rows = [...this.list.children];
    this.entries = this.entries.filter((entry, i) => {
      if (extra <= 0 || entry.kind === 'finding') return true;
      extra -= 1;
      rows[i].remove();
      return false;
    });
  }

  clear() {
    this.entries = [];
    this.findings = 0;
    fill(this.list);
    this.drawCounts();
    this.drawToggle();
  }

  drawCounts() {
    KINDS.forEach(([kind], i) => {
      const count = this.entries.filter((entry) => entry.kind === kind).length;
      this.chips[i].title = `${count} entries`;
      this.chips[i].querySelector('.chip-count').textContent = count && kind === 'finding' ? String(count) : '';
    });
  }

  drawToggle() {
    const count = this.findings;
    fill(this.toggle, icon('pulse'), h('span', { class: 'toggle-text' }, 'What happens'), ' ', count > 0 && h('span', { class: 'badge hot', testid: 'finding-count' }, String(count)));
    this.toggle.setAttribute('aria-label', count ? `What happens ${count} findings` : 'What happens');
  }
}

function row(entry) {
  const body = h('div', { class: 'trace-body' });
  const node = h('details', { class: `entry kind-${entry.kind}`, testid: entry.kind === 'finding' ? 'finding' : 'trace-entry', 'data-kind': entry.kind },
    h('summary', null,
      h('span', { class: 'entry-kind' }, entry.kind),
      h('span', { class: 'entry-title' }, entry.title),
      speed(entry), outcome(entry),
      h('time', { class: 'entry-time' }, clock(entry.at))), body);
  node.addEventListener('toggle', () => {
    if (node.open && !body.firstChild) fill(body, entry.socket ? h('p', { class: 'quiet' }, `Socket ${entry.socket}`) : null, h('pre', { class: 'json', tabindex: '0' }, json(entry.detail)));
  });
  return node;
}

function json(detail) {
  return detail === undefined || detail === null ? 'No details.' : JSON.stringify(detail, null, 2);
}

function outcome(entry) {
  if (entry.kind !== 'api') return null;
  return h('span', { class: `outcome ${entry.ok ? 'ok' : 'err'}` }, entry.ok ? 'ok' : 'error');
}

/** The latency: acks are late after 1 s, lost after 3 s. */
function speed({ kind, ms }) {
  if (typeof ms !== 'number' || !['ack', 'api'].includes(kind)) return null;
  const late = ms > 3000 ? ' lost' : ms > 1000 ? ' late' : '';
  const text = ms >= 10000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms)} ms`;
  return h('span', { class: `speed${late}`, title: kind === 'ack' ? 'Slack waits three seconds for an ack' : null }, text);
}

function clock(at) {
  const date = new Date(at);
  const two = (n, size = 2) => String(n).padStart(size, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${two(date.getMilliseconds(), 3)}`;
}
