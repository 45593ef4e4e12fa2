// A list of options in a popup, with or without a search field: the open half
// of every select.
//
// An option is {value, label, note, lead}: label is a string, note a string or
// '', lead a function that makes a node shown before the label, or null.

import { fill, h, uid } from './dom.js';
import { closePopup, openPopup, settlePopup } from './popup.js';

/**
 * Opens a listbox. load(query) returns groups [{label, options}] or a promise of
 * them; chosen(value) says what is selected; pick(option) is called on a choice,
 * after which the list closes unless `many`. Returns nothing.
 */
export function openListbox(config) {
  const list = new Listbox(config);
  list.open();
}

class Listbox {
  constructor(config) {
    this.config = config;
    this.id = uid('list');
    this.active = -1;
    this.options = [];
    this.turn = 0;
    this.timer = 0;
    this.typed = '';
  }

  open() {
    const { anchor, label, searchable, testid, query = '' } = this.config;
    this.list = h('div', { class: 'list', role: 'listbox', id: this.id, tabindex: '-1', 'aria-label': label, 'aria-multiselectable': this.config.many ? 'true' : null });
    this.search = searchable && h('input', {
      class: 'list-search', type: 'text', role: 'combobox', 'aria-expanded': 'true', 'aria-controls': this.id,
      'aria-label': `Search: ${label}`, 'aria-autocomplete': 'list', autocomplete: 'off', spellcheck: 'false',
      placeholder: 'Search', testid: `search-${testid}`, value: query,
      oninput: () => this.later(),
    });
    const box = h('div', { class: 'listbox', onkeydown: (e) => this.key(e) }, this.search, this.list);
    anchor.setAttribute('aria-expanded', 'true');
    anchor.setAttribute('aria-controls', this.id);
    openPopup({ anchor, content: box, matchWidth: true, onclose: () => this.closed() });
    (this.search || this.list).focus();
    this.fetch();
  }

  closed() {
    clearTimeout(this.timer);
    this.turn += 1;
    this.config.anchor.setAttribute('aria-expanded', 'false');
    this.config.anchor.removeAttribute('aria-controls');
    if (this.config.closed) this.config.closed();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fetch(), this.config.delay || 0);
  }

  async fetch() {
    const query = this.search ? this.search.value : '';
    const least = this.config.least || 0;
    this.turn += 1;
    const turn = this.turn;
    if ([...query].length < least) {
      this.message(`Type ${least === 1 ? 'a character' : `at least ${least} characters`} to search`);
      return;
    }
    try {
      const answer = this.config.load(query);
      if (answer instanceof Promise) this.list.setAttribute('aria-busy', 'true');
      if (answer instanceof Promise && !this.options.length) this.message('Loading…');
      const groups = await answer;
      if (turn === this.turn) this.show(groups);
    } catch (error) {
      if (turn === this.turn) this.message(error.message, true);
    }
  }

  message(text, bad = false) {
    this.options = [];
    this.active = -1;
    fill(this.list, h('p', { class: `list-message${bad ? ' bad' : ''}`, role: bad ? 'alert' : 'status' }, text));
    settlePopup();
  }

  show(groups) {
    this.list.removeAttribute('aria-busy');
    this.options = groups.flatMap((group) => group.options);
    if (!this.options.length) {
      this.message('Nothing found');
      return;
    }
    let at = 0;
    fill(this.list, groups.filter((g) => g.options.length).map((group) => {
      const rows = group.options.map((option) => this.row(option, at++));
      return group.label ? h('div', { role: 'group', 'aria-label': group.label }, h('p', { class: 'list-group' }, group.label), rows) : rows;
    }));
    const selected = this.options.findIndex((option) => this.config.chosen(option.value));
    this.activate(selected >= 0 && !this.config.many ? selected : 0);
    settlePopup();
  }

  row(option, index) {
    const chosen = this.config.chosen(option.value);
    return h('div', {
      class: 'option', role: 'option', id: `${this.id}-${index}`, testid: `option-${option.value}`, 'aria-selected': String(chosen),
      onclick: () => this.pick(index), onpointermove: () => this.activate(index, false),
    }, option.lead && option.lead(), h('span', { class: 'option-text' }, h('span', { class: 'option-label' }, option.label), option.note && h('span', { class: 'option-note' }, option.note)));
  }

  rows() {
    return [...this.list.querySelectorAll('[role=option]')];
  }

  activate(index, scroll = true) {
    const rows = this.rows();
    if (!rows.length) return;
    this.active = (index + rows.length) % rows.length;
    rows.forEach((row, i) => row.classList.toggle('active', i === this.active));
    (this.search || this.list).setAttribute('aria-activedescendant', rows[this.active].id);
    if (scroll) rows[this.active].scrollIntoView({ block: 'nearest' });
  }

  pick(index) {
    const option = this.options[index];
    if (!option) return;
    if (!this.config.many) {
      closePopup();
      this.config.anchor.focus();
    }
    this.config.pick(option);
    if (this.config.many) this.rows().forEach((row, i) => row.setAttribute('aria-selected', String(this.config.chosen(this.options[i].value))));
  }

  key(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (moves[event.key]) this.activate(this.active + moves[event.key]);
    else if (!this.search && event.key === 'Home') this.activate(0);
    else if (!this.search && event.key === 'End') this.activate(-1);
    else if (event.key === 'Enter' || (!this.search && event.key === ' ')) this.pick(this.active);
    else if (event.key === 'Escape' || event.key === 'Tab') this.leave();
    else {
      if (!this.search) this.jump(event.key);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  leave() {
    closePopup();
    this.config.anchor.focus();
  }

  /** Goes to the next option that begins with what was typed in the last second. */
  jump(key) {
    if ([...key].length !== 1) return;
    clearTimeout(this.timer);
    this.typed += key.toLowerCase();
    this.timer = setTimeout(() => { this.typed = ''; }, 900);
    const found = this.options.findIndex((option) => option.label.toLowerCase().startsWith(this.typed));
    if (found >= 0) this.activate(found);
  }
}
