// The composer of a channel or thread, with completion of commands, people and
// channels, and the menu of shortcuts.

import { fill, h, uid } from './dom.js';
import { icon } from './icons.js';
import { attempt } from './elements.js';
import { avatar } from './people.js';
import { closePopup, openMenu, openPopup } from './popup.js';

const MOST = 8;

/** A text field that sends. Drafts are kept per person and place while the page is open. */
export class Composer {
  /** place() gives {channel, thread}; label() the placeholder. */
  constructor(app, { place, label, testid, sendid, sent }) {
    Object.assign(this, { app, place, label, sent });
    this.listId = uid('complete');
    this.key = '';
    this.found = [];
    this.area = h('textarea', {
      class: 'composer-text', rows: '1', testid, 'aria-autocomplete': 'list', 'aria-haspopup': 'listbox',
      oninput: () => this.typed(), onkeydown: (e) => this.keys(e), onclick: () => this.complete(), onblur: () => this.close(),
    });
    this.hint = h('p', { class: 'composer-hint', hidden: true });
    this.more = h('button', { type: 'button', class: 'icon-button', title: 'Shortcuts', 'aria-label': 'Shortcuts', 'aria-haspopup': 'menu', 'aria-expanded': 'false', testid: 'shortcuts', onclick: () => this.shortcuts() }, icon('bolt'));
    this.go = h('button', { type: 'button', class: 'send', title: 'Send', 'aria-label': 'Send', testid: sendid, onclick: () => this.send() }, icon('send'));
    this.box = h('div', { class: 'composer-box' }, this.area, h('div', { class: 'composer-row' }, this.more, h('span', { class: 'composer-tip' }, 'Enter sends, Shift + Enter makes a new line'), this.go));
    this.node = h('div', { class: 'composer' }, this.hint, this.box);
  }

  /** Shows the draft that belongs to the current place. */
  settle() {
    const { thread } = this.place();
    const key = this.placeKey();
    const label = this.label();
    this.area.placeholder = label;
    this.area.setAttribute('aria-label', label);
    this.more.hidden = Boolean(thread) || !this.app.world.app.shortcuts?.length;
    if (key === this.key) return;
    this.key = key;
    this.area.value = this.app.drafts.get(key) || '';
    this.fit();
    this.showHint();
  }

  placeKey() {
    const { channel, thread } = this.place();
    return `${this.app.me}/${channel}/${thread}`;
  }

  focus() {
    this.area.focus({ preventScroll: true });
  }

  fit() {
    this.area.style.height = 'auto';
    this.area.style.height = `${Math.min(this.area.scrollHeight, 220)}px`;
    this.go.disabled = this.area.value.trim() === '';
  }

  typed() {
    this.app.drafts.set(this.key, this.area.value);
    this.fit();
    this.showHint();
    this.complete();
  }

  command() {
    const word = /^(\/\S+)/.exec(this.area.value)?.[1];
    return this.place().thread ? null : (this.app.world.app.commands || []).find((c) => c.command === word);
  }

  showHint() {
    const command = this.command();
    this.hint.hidden = !command || !command.usage_hint;
    if (command) fill(this.hint, h('code', null, command.command), ` ${command.usage_hint || ''}`);
  }

  /** Sends what was written here; what was written for a place that was just left stays its draft. */
  async send() {
    const text = this.area.value.trim();
    const { channel, thread } = this.place();
    const { key } = this;
    if (!text || key !== this.placeKey()) return;
    this.set('');
    this.close();
    const body = this.isCommand(text)
      ? { do: 'command', channel, text }
      : { do: 'post', channel, text, ...(thread ? { thread_ts: thread } : {}) };
    if (!await attempt(() => this.app.act(body), { quiet: body.do === 'command' })) {
      if (this.key === key && !this.area.value) this.set(text);
      return;
    }
    if (this.sent) this.sent();
  }

  isCommand(text) {
    return !this.place().thread && (this.app.world.app.commands || []).some((c) => text === c.command || text.startsWith(`${c.command} `));
  }

  set(text) {
    this.area.value = text;
    this.app.drafts.set(this.key, text);
    this.fit();
    this.showHint();
  }

  shortcuts() {
    openMenu({
      anchor: this.more, above: true, label: 'Shortcuts',
      items: (this.app.world.app.shortcuts || []).map((s) => ({
        label: s.name, note: s.description, testid: `shortcut-${s.callback_id}`, lead: icon('bolt'),
        run: () => attempt(() => this.app.act({ do: 'shortcut', callback_id: s.callback_id })),
      })),
    });
  }

  keys(event) {
    if (event.isComposing) return;
    if (this.open && this.listKey(event)) return;
    if (event.key !== 'Enter' || event.shiftKey) return;
    event.preventDefault();
    this.send();
  }

  /** Keys of the open list; true when the key was meant for it. */
  listKey(event) {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const takes = event.key === 'Tab' || (event.key === 'Enter' && !event.shiftKey && !this.isComplete());
    if (move) this.activate(this.active + move);
    else if (takes) this.take(this.found[this.active]);
    else if (event.key === 'Escape') this.close();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  /** Reports whether the word is already written out, so that Enter sends. */
  isComplete() {
    return this.found.some((item) => item.text.trim() === this.word);
  }

  complete() {
    const before = this.area.value.slice(0, this.area.selectionStart);
    const { word, found } = this.candidates(before);
    this.word = word;
    this.found = found.slice(0, MOST);
    if (!this.found.length || (this.found.length === 1 && this.found[0].text.trim() === word)) this.close();
    else this.show();
  }

  candidates(before) {
    const nothing = { word: '', found: [] };
    const slash = /^\/\S*$/.exec(before);
    if (slash && !this.place().thread) return { word: before, found: this.commands(before) };
    const command = this.command();
    const sub = command && /^\/\S+ +(\S*)$/.exec(before);
    if (sub && sub[1][0] !== '@') return { word: sub[1], found: subcommands(command, sub[1]) };
    const at = /(?:^|[\s(])@([\p{L}\p{N}._-]*)$/u.exec(before);
    if (at) return { word: `@${at[1]}`, found: this.people(at[1]) };
    const hash = /(?:^|[\s(])#([\p{L}\p{N}_-]*)$/u.exec(before);
    return hash ? { word: `#${hash[1]}`, found: this.channels(hash[1]) } : nothing;
  }

  commands(prefix) {
    return (this.app.world.app.commands || []).filter((c) => c.command.startsWith(prefix)).map((c) => ({
      text: `${c.command} `, label: c.command, note: c.description, lead: () => avatar({ bot: true }, 'tiny'), testid: `complete-${c.command}`,
    }));
  }

  people(prefix) {
    const needle = prefix.toLowerCase();
    const fits = (user) => [user.name, ...(user.real_name || '').split(' ')].some((w) => w.toLowerCase().startsWith(needle));
    return this.app.world.users.filter((user) => !user.deleted && !user.bot && fits(user)).map((user) => ({
      text: `@${user.name} `, label: user.real_name || user.name, note: [`@${user.name}`, user.title].filter(Boolean).join(' · '), lead: () => avatar(user, 'tiny'), testid: `complete-${user.id}`,
    }));
  }

  channels(prefix) {
    return this.app.channels().filter((c) => c.name.startsWith(prefix.toLowerCase())).map((c) => ({
      text: `#${c.name} `, label: `#${c.name}`, note: '', lead: () => icon(c.private ? 'lock' : 'hash'), testid: `complete-${c.id}`,
    }));
  }

  show() {
    this.list = h('div', { class: 'list', role: 'listbox', id: this.listId, 'aria-label': 'Completions' }, this.found.map((item, i) => h('div', {
      class: 'option', role: 'option', id: `${this.listId}-${i}`, 'aria-selected': 'false', testid: item.testid,
      onpointerdown: (e) => e.preventDefault(), onclick: () => this.take(item), onpointermove: () => this.activate(i),
    }, item.lead && item.lead(), h('span', { class: 'option-text' }, h('span', { class: 'option-label' }, item.label), item.note && h('span', { class: 'option-note' }, item.note)))));
    openPopup({ anchor: this.box, content: this.list, above: true, className: 'composer-list', onclose: () => this.closed() });
    this.open = true;
    this.area.setAttribute('aria-controls', this.listId);
    this.activate(0);
  }

  activate(index) {
    const rows = [...this.list.children];
    this.active = (index + rows.length) % rows.length;
    rows.forEach((row, i) => {
      row.classList.toggle('active', i === this.active);
      row.setAttribute('aria-selected', String(i === this.active));
    });
    rows[this.active].scrollIntoView({ block: 'nearest' });
    this.area.setAttribute('aria-activedescendant', rows[this.active].id);
  }

  take(item) {
    const at = this.area.selectionStart;
    const from = at - this.word.length;
    this.close();
    this.area.setRangeText(item.text, from, at, 'end');
    this.area.focus();
    this.typed();
  }

  close() {
    if (this.open) closePopup();
  }

  closed() {
    this.open = false;
    this.area.removeAttribute('aria-activedescendant');
    this.area.removeAttribute('aria-controls');
  }
}

/** The words with which a command may go on, read from a hint like "request … | list | show ID". */
function subcommands(command, prefix) {
  const hint = command.usage_hint || '';
  if (!hint.includes(' | ')) return [];
  return hint.replace(/^[[(]|[\])]$/g, '').split(' | ').map((part) => /^\s*([a-z][a-z-]*)(.*)$/.exec(part)).filter((m) => m && m[1].startsWith(prefix))
    .map((m) => ({ text: `${m[1]} `, label: m[1], note: m[2].trim(), lead: null, testid: `complete-${m[1]}` }));
}
