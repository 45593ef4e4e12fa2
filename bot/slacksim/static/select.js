// The select elements of Block Kit: static, external and people, single and multi.

import { fill, h } from './dom.js';
import { icon } from './icons.js';
import { plain, textOf } from './mrkdwn.js';
import { contentOf, initialState, makeState } from './values.js';
import { openListbox } from './listbox.js';
import { avatar } from './people.js';

const SEARCH_FROM = 8;

/** Makes a select. See elements.js for the arguments. */
export function selectElement(element, block, ctx, a11y) {
  const select = new Select(element, block, ctx, a11y);
  return select.node;
}

class Select {
  constructor(element, block, ctx, a11y) {
    Object.assign(this, { element, block, ctx });
    this.many = element.type.startsWith('multi_');
    this.state = ctx.get(block, element) ?? initialState(element);
    this.label = a11y.label || textOf(element.placeholder) || 'Select';
    this.value = h('span', { class: 'select-value' });
    this.trigger = h('button', {
      type: 'button', class: 'select-trigger', role: 'combobox', id: a11y.id, testid: `action-${element.action_id}`,
      'aria-haspopup': 'listbox', 'aria-expanded': 'false', 'aria-label': a11y.labelledby ? null : this.label,
      'aria-labelledby': a11y.labelledby, 'aria-describedby': a11y.describedby, 'aria-required': a11y.required ? 'true' : null,
      onclick: () => this.open(), onkeydown: (e) => this.key(e),
    }, this.value, icon('chevron'));
    this.chips = this.many && h('div', { class: 'chips' });
    this.clear = a11y.clearable && !this.many && h('button', {
      type: 'button', class: 'icon-button small select-clear', 'aria-label': `Clear ${this.label}`, testid: `clear-${element.action_id}`,
      onclick: () => this.change(null),
    }, icon('close'));
    this.node = h('div', { class: `select${this.many ? ' many' : ''}` }, this.chips, h('div', { class: 'select-row' }, this.trigger, this.clear));
    this.draw();
  }

  content() {
    return contentOf(this.element, this.state);
  }

  draw() {
    const content = this.content();
    const placeholder = textOf(this.element.placeholder) || (this.many ? 'Add…' : 'Select…');
    const single = this.many ? null : content;
    this.trigger.classList.toggle('empty', single === null);
    fill(this.value, single === null ? placeholder : this.nameOf(single));
    if (this.clear) this.clear.hidden = single === null;
    if (this.chips) fill(this.chips, content.map((item) => this.chip(item)));
  }

  chip(item) {
    const name = this.plainName(item);
    return h('span', { class: 'chip' }, this.nameOf(item), h('button', {
      type: 'button', class: 'chip-remove', 'aria-label': `Remove ${name}`,
      onclick: () => this.toggle(item),
    }, icon('close')));
  }

  nameOf(item) {
    return typeof item === 'string' ? this.plainName(item) : plain(item.text?.text ?? item.value);
  }

  plainName(item) {
    if (typeof item !== 'string') return textOf(item.text) || item.value;
    const user = this.ctx.env.user(item);
    return user ? user.real_name || user.name : item;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const types = [...event.key].length === 1 && event.key !== ' ';
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp' && !types) return;
    event.preventDefault();
    this.open(types ? event.key : '');
  }

  open(query = '') {
    const source = this.source();
    openListbox({
      anchor: this.trigger, label: this.label, testid: this.element.action_id, many: this.many, query: source.searchable ? query : '',
      ...source,
      chosen: (value) => this.values().includes(value),
      pick: (option) => (this.many ? this.toggle(option.item) : this.change(option.item)),
      closed: () => this.ctx.released && this.ctx.released(),
    });
  }

  values() {
    const content = this.content();
    return (Array.isArray(content) ? content : [content]).filter((c) => c !== null).map((c) => c.value ?? c);
  }

  source() {
    if (this.element.type.endsWith('users_select')) return { searchable: true, load: (query) => this.people(query) };
    if (this.element.type.endsWith('external_select')) {
      return { searchable: true, delay: 150, least: this.element.min_query_length ?? 3, load: (query) => this.suggested(query) };
    }
    const groups = groupsOf(this.element);
    const size = groups.reduce((sum, group) => sum + group.options.length, 0);
    return { searchable: size >= SEARCH_FROM, load: (query) => matching(groups, query) };
  }

  async suggested(query) {
    return groupsOf(await this.ctx.suggest(this.block, this.element, query));
  }

  people(query) {
    const options = this.ctx.env.people().filter((user) => !user.bot && !user.deleted).map((user) => ({
      value: user.id, item: user.id, label: user.real_name || user.name, note: user.title || `@${user.name}`, hay: `${user.name} ${user.email || ''}`, lead: () => avatar(user, 'tiny'),
    }));
    return matching([{ label: '', options }], query);
  }

  toggle(item) {
    const value = item.value ?? item;
    const left = this.content().filter((other) => (other.value ?? other) !== value);
    if (left.length < this.content().length) this.change(left);
    else if (left.length < (this.element.max_selected_items || 100)) this.change([...left, item]);
  }

  async change(content) {
    const before = this.state;
    this.state = makeState(this.element, content);
    this.draw();
    if (await this.ctx.change(this.block, this.element, this.state)) return;
    this.state = before;
    this.draw();
  }
}

function groupsOf({ options, option_groups: groups }) {
  const list = groups && groups.length ? groups : [{ label: null, options: options || [] }];
  return list.map((group) => ({
    label: textOf(group.label),
    options: (group.options || []).map((item) => ({
      value: item.value, item: { text: item.text, value: item.value }, label: textOf(item.text), note: textOf(item.description), hay: '', lead: null,
    })),
  }));
}

function matching(groups, query) {
  const needle = query.trim().toLowerCase();
  return groups.map((group) => ({
    label: group.label,
    options: group.options.filter((o) => `${o.label} ${o.note} ${o.hay}`.toLowerCase().includes(needle)),
  }));
}
