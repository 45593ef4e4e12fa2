// The middle pane with a channel or direct message, and the pane of a thread.

import { fill, h } from './dom.js';
import { icon } from './icons.js';
import { coalesce, read } from './api.js';
import { attempt } from './elements.js';
import { Composer } from './composer.js';
import { MessageList } from './messages.js';
import { avatar, standing } from './people.js';
import { mrkdwn } from './mrkdwn.js';

/** What both panes share: loading the messages of a place and drawing them. */
class Pane {
  constructor(app) {
    this.app = app;
    this.seen = '';
    this.load = coalesce(() => this.fetch());
  }

  place() {
    return { channel: this.app.route.channel, thread: '' };
  }

  key() {
    const { channel, thread } = this.place();
    return `${this.app.me}/${channel}/${thread}`;
  }

  /** Goes to the current place: forgets the old messages and loads the new ones. */
  async show() {
    if (this.seen !== this.key()) {
      this.seen = this.key();
      this.data = null;
      this.list.say('Loading…');
      this.composer.settle();
    }
    await this.load();
  }

  /** Forgets what is shown, so that nothing stale stays in the document. */
  leave() {
    this.seen = '';
    this.data = null;
    this.headPrint = '';
    this.list.clear();
  }

  async fetch() {
    const key = this.key();
    const { channel } = this.place();
    if (!channel || key !== this.seen) return;
    try {
      const data = await this.get();
      if (key !== this.key()) return;
      this.data = data;
      this.draw();
    } catch (error) {
      if (key === this.key()) this.failed(error);
    }
  }

  failed(error) {
    this.list.say(error.message);
  }
}

/** A channel or direct message. */
export class ChannelPane extends Pane {
  constructor(app, { head, body }) {
    super(app);
    this.head = head;
    this.list = new MessageList(app, { place: () => this.place(), redraw: () => this.load(), label: 'Messages' });
    this.composer = new Composer(app, { place: () => this.place(), label: () => `Message ${this.title()}`, testid: 'composer', sendid: 'send', sent: () => this.sent() });
    this.join = h('div', { class: 'join', hidden: true });
    this.node = h('div', { class: 'pane-body' }, this.list.node, this.join, this.composer.node);
    body.append(this.node);
  }

  sent() {
    this.list.end = true;
    this.load();
  }

  get() {
    return read('channel', { as: this.app.me, id: this.place().channel });
  }

  known() {
    return this.app.conversation(this.place().channel);
  }

  title() {
    const data = this.data || this.known() || {};
    if (data.im || data.user) return this.app.nameOf(data.user) || data.name || '';
    return `#${data.name || ''}`;
  }

  draw() {
    const { data } = this;
    const member = data.im || data.member !== false;
    this.composer.settle();
    this.drawHead();
    this.composer.node.hidden = !member;
    this.join.hidden = member;
    if (!member) fill(this.join, h('p', null, `You are looking at #${data.name}.`), h('button', { type: 'button', class: 'button primary', testid: 'join', onclick: () => this.enter() }, 'Join channel'));
    this.list.render(data.messages || [], { intro: this.intro() });
    this.app.settled();
  }

  async enter() {
    if (await attempt(() => this.app.act({ do: 'join', channel: this.data.id }))) this.app.refresh(['sidebar', `channel:${this.data.id}`]);
  }

  drawHead() {
    const { data } = this;
    const user = data.im ? this.app.env.user(data.user) : null;
    const print = JSON.stringify([data.id, data.name, data.topic, user, data.shared, data.private, this.app.me]);
    if (print === this.headPrint) return;
    this.headPrint = print;
    const drawing = user ? avatar(user, 'tiny') : icon(data.private ? 'lock' : 'hash', 'quiet');
    fill(this.head, drawing, h('h1', { class: 'pane-title' }, user ? user.real_name || user.name : data.name),
      data.shared && h('span', { class: 'tag warn' }, 'Shared with another organization'),
      user && standing(user) && h('span', { class: 'tag' }, standing(user)),
      h('span', { class: 'topic' }, data.topic ? mrkdwn(data.topic, this.app.env) : user?.title || ''));
  }

  intro() {
    const { data } = this;
    const user = data.im ? this.app.env.user(data.user) : null;
    const text = user ? `Messages between you and ${user.real_name || user.name} begin here.` : `The channel #${data.name} begins here.`;
    return h('div', { class: 'intro' }, text);
  }
}

/** The replies to one message. */
export class ThreadPane extends Pane {
  constructor(app, root) {
    super(app);
    this.root = root;
    this.where = h('span', { class: 'topic' });
    this.list = new MessageList(app, { place: () => this.place(), redraw: () => this.load(), label: 'Thread' });
    this.composer = new Composer(app, { place: () => this.place(), label: () => 'Reply…', testid: 'reply-composer', sendid: 'reply-send', sent: () => this.sent() });
    const close = h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Close thread', title: 'Close thread', testid: 'thread-close', onclick: () => app.go({ thread: '' }) }, icon('close'));
    root.append(h('header', { class: 'pane-head' }, h('h2', { class: 'pane-title' }, 'Thread'), this.where, close),
      h('div', { class: 'pane-body' }, this.list.node, this.composer.node));
  }

  place() {
    return { channel: this.app.route.channel, thread: this.app.route.thread };
  }

  sent() {
    this.list.end = true;
    this.load();
  }

  async show() {
    const open = Boolean(this.place().thread) && !this.app.route.home;
    const opening = open && this.root.hidden;
    this.root.hidden = !open;
    if (!open) {
      this.leave();
      return;
    }
    this.where.textContent = this.app.placeName(this.place().channel);
    await super.show();
    if (opening && !this.root.hidden) this.composer.focus();
  }

  get() {
    return read('thread', { as: this.app.me, id: this.place().channel, ts: this.place().thread });
  }

  draw() {
    this.composer.settle();
    if (!this.data.messages?.length) this.list.say('This message is gone.');
    else this.list.render(this.data.messages, { replies: true });
    this.app.settled();
  }
}
