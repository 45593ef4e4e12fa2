// A list of messages: a channel's roots or one thread.

import { append, atBottom, fill, h, reconcile } from './dom.js';
import { icon } from './icons.js';
import { attempt, confirmed } from './elements.js';
import { drawBlocks } from './blocks.js';
import { mrkdwn, typed } from './mrkdwn.js';
import { avatar, standing } from './people.js';
import { actionValue } from './values.js';
import { ask } from './popup.js';
import { ago, dayKey, dayLabel, fullTime, messageDate, messageTime } from './dates.js';

const TOGETHER = 300;

/** Draws messages into a scrolling element and keeps it at its end when it was there. */
export class MessageList {
  /** place() gives {channel, thread}; redraw() loads the list again. */
  constructor(app, { place, redraw, label }) {
    Object.assign(this, { app, place, redraw });
    this.list = h('div', { class: 'messages', role: 'log', 'aria-label': label, 'aria-live': 'polite' });
    this.node = h('div', { class: 'scroll', tabindex: '0', 'aria-label': label, role: 'region' }, this.list);
    this.views = new WeakMap();
    new ResizeObserver(() => this.stick()).observe(this.node);
    new ResizeObserver(() => this.stick()).observe(this.list);
    this.node.addEventListener('scroll', () => { this.end = atBottom(this.node); });
    this.end = true;
  }

  stick() {
    if (this.end) this.node.scrollTop = this.node.scrollHeight;
  }

  /** Shows a state in place of messages: loading, empty, an error. */
  say(content) {
    this.end = true;
    fill(this.list, h('div', { class: 'placeholder', role: 'status' }, content));
  }

  clear() {
    fill(this.list);
  }

  /** Draws messages, oldest first; intro is an optional node above them. */
  render(messages, { intro = null, replies = false } = {}) {
    const hidden = this.app.dismissed;
    const shown = messages.filter((m) => !(m.ephemeral && hidden.has(m.ts)));
    const items = this.items(shown, intro, replies);
    for (const child of [...this.list.children]) if (child.classList.contains('placeholder')) child.remove();
    reconcile(this.list, items, {
      key: (item) => item.key,
      make: (item) => this.make(item),
      patch: (node, item) => this.patch(node, item),
    });
    this.stick();
  }

  items(messages, intro, replies) {
    const items = intro ? [{ key: 'intro', node: intro }] : [];
    let previous = null;
    messages.forEach((message, i) => {
      if (!replies && (!previous || dayKey(previous.ts) !== dayKey(message.ts))) {
        items.push({ key: `day-${dayKey(message.ts)}`, divider: dayLabel(message.ts) });
        previous = null;
      }
      items.push({ key: `${message.ts}${message.ephemeral ? '-only' : ''}`, message, compact: together(previous, message) });
      previous = message;
      if (replies && i === 0) {
        const count = messages.filter((m, n) => n > 0 && !m.ephemeral).length;
        items.push({ key: 'replies', divider: count ? plural(count, 'reply', 'replies') : 'No replies yet' });
        previous = null;
      }
    });
    return items;
  }

  make(item) {
    if (item.node) return item.node;
    if (item.divider) return h('div', { class: 'divider', role: 'separator' }, h('span', null, item.divider));
    const view = new MessageView(this);
    view.update(item.message, item.compact);
    this.views.set(view.node, view);
    return view.node;
  }

  patch(node, item) {
    if (!item.message) return node.textContent === (item.divider || item.node.textContent) ? node : this.make(item);
    this.views.get(node).update(item.message, item.compact);
    return node;
  }
}

function together(a, b) {
  return Boolean(a && a.user === b.user && !a.ephemeral && !b.ephemeral && !b.bot && Number(b.ts) - Number(a.ts) < TOGETHER);
}

function plural(n, one, many) {
  return `${n} ${n === 1 ? one : many}`;
}

class MessageView {
  constructor(list) {
    this.list = list;
    this.app = list.app;
    this.gutter = h('div', { class: 'gutter' });
    this.head = h('div', { class: 'message-head' });
    this.body = h('div', { class: 'message-body' });
    this.foot = h('div', { class: 'message-foot' });
    this.tools = h('div', { class: 'tools', role: 'toolbar', 'aria-label': 'Message actions' });
    this.node = h('article', { class: 'message', testid: 'message' }, this.gutter, h('div', { class: 'message-main' }, this.head, this.body, this.foot), this.tools);
    this.print = '';
    this.editing = false;
  }

  update(message, compact) {
    this.message = message;
    const { blocks, state, ...rest } = message;
    const author = this.app.env.user(message.user);
    const print = JSON.stringify([rest, compact, author, blocks ? 1 : 0, ago(messageDate(message.last_reply || message.ts))]);
    if (print !== this.print && !this.editing) this.drawFrame(author, compact);
    if (!this.editing) this.print = print;
    if (blocks && blocks.length && !this.editing) drawBlocks(this.body.firstElementChild, blocks, this.context());
  }

  drawFrame(author, compact) {
    const { message, node } = this;
    const name = author ? author.real_name || author.name : message.user;
    node.setAttribute('data-ts', message.ts);
    node.setAttribute('aria-label', `${name}, ${messageTime(message.ts)}`);
    node.classList.toggle('compact', compact);
    node.classList.toggle('only', Boolean(message.ephemeral));
    fill(this.gutter, compact ? this.time() : avatar(author || { name }));
    fill(this.head, compact ? null : [h('span', { class: 'author' }, name), badge(author, message), this.time()]);
    this.drawContent();
    this.drawFoot();
    this.drawTools();
  }

  time() {
    return h('time', { class: 'stamp', title: fullTime(messageDate(this.message.ts)) }, messageTime(this.message.ts));
  }

  drawContent() {
    const { message, body } = this;
    const old = body.firstElementChild;
    if (message.blocks && message.blocks.length) {
      if (!old || !old.classList.contains('blocks')) fill(body, h('div', { class: 'blocks' }));
      body.firstElementChild.classList.toggle('card', Boolean(message.bot) && isCard(message.blocks));
      return;
    }
    const mark = message.edited && h('span', { class: 'edited' }, ' (edited)');
    fill(body, append(h('div', { class: 'rich' }), [mrkdwn(message.text || '', this.app.env), mark]));
  }

  drawFoot() {
    const { message } = this;
    const only = message.ephemeral && h('p', { class: 'only-note', testid: 'ephemeral' }, icon('eye'), 'Only visible to you',
      h('button', { type: 'button', class: 'link-button', testid: 'dismiss', onclick: () => this.dismiss() }, 'Dismiss'));
    const count = message.reply_count || 0;
    const replies = count > 0 && !this.list.place().thread && h('a', { class: 'replies', href: this.threadHref(), testid: 'open-thread' },
      icon('reply'), h('b', null, plural(count, 'reply', 'replies')), message.last_reply && h('span', { class: 'quiet' }, `last reply ${ago(messageDate(message.last_reply))}`));
    fill(this.foot, only, replies);
  }

  threadHref() {
    return this.app.env.href({ channel: this.list.place().channel, thread: this.message.thread_ts || this.message.ts });
  }

  drawTools() {
    const { message } = this;
    const own = message.user === this.app.me && !message.bot && !message.ephemeral;
    const thread = !message.ephemeral && !this.list.place().thread;
    fill(this.tools,
      thread && h('a', { class: 'icon-button', href: this.threadHref(), title: 'Reply in thread', 'aria-label': 'Reply in thread', testid: 'reply' }, icon('reply')),
      own && this.tool('edit', 'Edit', () => this.edit()),
      own && this.tool('trash', 'Delete', () => this.remove(), 'delete'));
    this.tools.hidden = !this.tools.children.length;
  }

  tool(drawing, label, run, testid = drawing) {
    return h('button', { type: 'button', class: 'icon-button', title: label, 'aria-label': label, testid, onclick: run }, icon(drawing));
  }

  dismiss() {
    this.app.dismissed.add(this.message.ts);
    this.list.redraw();
  }

  async remove() {
    const yes = await ask({ title: 'Delete this message?', text: 'Everybody sees that it is gone. An app may have kept a record of it.', yes: 'Delete', danger: true });
    if (yes) await attempt(() => this.app.act({ do: 'delete', channel: this.list.place().channel, ts: this.message.ts }));
  }

  edit() {
    this.editing = true;
    const area = h('textarea', { class: 'edit-area', 'aria-label': 'Edit message', testid: 'edit-composer', value: typed(this.message.text || '', this.app.env) });
    const end = () => {
      this.editing = false;
      this.print = '';
      this.update(this.message, this.node.classList.contains('compact'));
    };
    const save = async () => {
      const text = area.value.trim();
      const done = !text || await attempt(() => this.app.act({ do: 'edit', channel: this.list.place().channel, ts: this.message.ts, text }));
      if (!done) return;
      end();
      this.list.redraw();
    };
    area.addEventListener('keydown', (event) => editKeys(event, save, end));
    fill(this.body, h('div', { class: 'edit-box' }, area, h('div', { class: 'edit-buttons' },
      h('button', { type: 'button', class: 'button small', onclick: end }, 'Cancel'),
      h('button', { type: 'button', class: 'button small primary', testid: 'edit-save', onclick: save }, 'Save'))));
    this.tools.hidden = true;
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }

  /** The context of the message's interactive elements, see elements.js. */
  context() {
    const { channel } = this.list.place();
    const { ts } = this.message;
    const send = (block, element, value) => attempt(() => this.app.act({
      do: 'action', container: 'message', channel, ts, block_id: block.block_id, action_id: element.action_id, value,
    }));
    return {
      env: this.app.env,
      stateOf: (block) => this.message.state?.[block.block_id] ?? null,
      get: (block, element) => this.message.state?.[block.block_id]?.[element.action_id],
      change: (block, element, state, { typing = false } = {}) => (typing ? true : changed(block, element, state, send, this.app.env)),
      press: send,
      suggest: (block, element, query) => this.app.act({ do: 'suggest', channel, ts, block_id: block.block_id, action_id: element.action_id, query }),
      postpone: () => { this.stale = true; },
      released: () => {
        if (this.stale) setTimeout(() => this.list.redraw());
        this.stale = false;
      },
    };
  }
}

async function changed(block, element, state, send, env) {
  if (!await confirmed(element.confirm, env)) return false;
  return send(block, element, actionValue(element, state));
}

function editKeys(event, save, end) {
  if (event.key === 'Escape') {
    event.stopPropagation();
    end();
  } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    save();
  }
}

/** Messages with a headline or something to click stand on a card of their own. */
function isCard(blocks) {
  return blocks.some((block) => block.type === 'header' || block.type === 'actions');
}

function badge(author, message) {
  const text = message.bot ? 'App' : standing(author);
  return text && h('span', { class: `tag${text === 'App' ? '' : ' warn'}` }, text);
}
