// The application: it holds who looks at what, loads it, follows the stream of
// events and hands both to the panes.

import { act, coalesce, follow, read, tolerate } from './api.js';
import { cast, Switcher } from './people.js';
import { ChannelPane, ThreadPane } from './panes.js';
import { closePopup, settlePopup, startPopups } from './popup.js';
import { format, parse } from './route.js';
import { HomePane } from './home.js';
import { Modals } from './modal.js';
import { refreshTimes } from './mrkdwn.js';
import { Sidebar } from './sidebar.js';
import { Trace } from './trace.js';

const HIDDEN_PAUSE = 30000;

class App {
  constructor() {
    this.route = parse(location.hash);
    this.me = '';
    this.world = null;
    this.sidebar = null;
    this.waiting = {};
    this.drafts = new Map();
    this.dismissed = new Set();
    this.env = {
      me: '',
      user: (id) => this.users.get(id) || null,
      people: () => this.world.users,
      channel: (id) => this.channels().find((c) => c.id === id) || null,
      group: (id) => (this.world.groups || []).find((g) => g.id === id) || null,
      href: (part) => this.href(part),
    };
    this.loadSidebar = coalesce(() => this.fetchSidebar());
    this.loadWaiting = coalesce(() => this.fetchWaiting());
  }

  async start() {
    const $ = (id) => document.getElementById(id);
    await this.loadWorld();
    startPopups();
    this.shell = $('app');
    this.switcher = new Switcher({ rail: $('rail'), card: $('person'), menu: $('menu'), as: (user) => this.hrefAs(user) });
    this.side = new Sidebar(this, $('places'));
    const middle = { head: $('head'), body: $('middle') };
    this.channel = new ChannelPane(this, middle);
    this.home = new HomePane(this, middle);
    this.thread = new ThreadPane(this, $('thread'));
    this.modals = new Modals(this, $('modals'), [$('places'), $('main'), $('thread')]);
    this.trace = new Trace({ app: this, root: $('trace'), toggle: $('trace-toggle'), opened: (on) => remember(localStorage, 'trace', on) });
    this.listen($);
    if (recall(localStorage, 'trace') && innerWidth >= 1360) this.trace.open(true);
    await this.navigate();
    this.trace.load();
  }

  listen($) {
    addEventListener('hashchange', () => this.navigate());
    $('menu').addEventListener('click', () => this.drawer(!this.shell.classList.contains('drawer')));
    $('scrim').addEventListener('click', () => this.drawer(false));
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !event.defaultPrevented) this.escape();
    });
    document.addEventListener('visibilitychange', () => this.visible());
    setInterval(() => refreshTimes(document), 20000);
  }

  /** Escape ends the nearest thing: drawer, modal, the panel that has the focus, thread. */
  escape() {
    const traced = this.trace.root.contains(document.activeElement);
    if (this.shell.classList.contains('drawer')) this.drawer(false);
    else if (traced) this.trace.open(false);
    else if (this.modals.top) this.modals.top.close();
    else if (this.route.thread) this.go({ thread: '' });
  }

  async loadWorld() {
    this.world = await read('world');
    this.users = new Map(this.world.users.map((user) => [user.id, user]));
    document.getElementById('team').textContent = this.world.team.name;
  }

  people() {
    return cast(this.world.users);
  }

  channels() {
    return this.sidebar?.channels || [];
  }

  /** The sidebar's entry of a channel or direct message. */
  conversation(id) {
    const dms = (this.sidebar?.dms || []).map((dm) => ({ ...dm, im: true }));
    return [...this.channels(), ...dms].find((c) => c.id === id) || null;
  }

  nameOf(user) {
    const known = this.users.get(user);
    return known ? known.real_name || known.name : '';
  }

  placeName(id) {
    const known = this.conversation(id);
    if (!known) return '';
    return known.im ? this.nameOf(known.user) || known.name : `#${known.name}`;
  }

  href({ channel = '', thread = '', home = false }) {
    return format({ user: this.me, channel, thread, home });
  }

  /** The same place as another person; direct messages have no such place. */
  hrefAs(user) {
    const { home, channel, thread } = this.route;
    const common = this.channels().some((c) => c.id === channel);
    return format(common ? { user, channel, thread } : { user, home });
  }

  /** Changes parts of the address. */
  go(part) {
    location.hash = format({ ...this.route, ...part });
  }

  act(body) {
    return act(this.me, body);
  }

  async navigate() {
    const route = parse(location.hash);
    if (!this.users.has(route.user)) {
      const user = this.someone();
      if (user) location.replace(format({ ...route, user: user.id }));
      return;
    }
    closePopup();
    this.drawer(false);
    this.route = route;
    if (route.user !== this.me) await this.become(route.user);
    if (this.route !== route) return;
    if (!await this.reachable(route)) this.fallback(route);
    else if (this.route === route) this.showRoute();
  }

  /** Who looks where the address does not say: who looked last in this window, else the first. */
  someone() {
    const last = recall(sessionStorage, 'person');
    const people = this.people();
    return people.find((user) => user.id === last) || people[0];
  }

  /** Reports whether this person can go there; a place that is not known yet may be new. */
  async reachable({ home, channel }) {
    if (home) return this.sidebar?.home !== false;
    if (channel && !this.conversation(channel)) await this.loadSidebar();
    return Boolean(this.conversation(channel));
  }

  /** Goes to the first channel where the address names no place that this person can see. */
  fallback({ user }) {
    const channel = this.channels().find((c) => c.member !== false) || this.channels()[0];
    if (channel) location.replace(format({ user, channel: channel.id }));
  }

  async become(user) {
    this.me = user;
    this.env.me = user;
    remember(sessionStorage, 'person', user);
    this.sidebar = null;
    this.modals.hide();
    this.channel.leave();
    this.thread.leave();
    this.home.leave();
    if (this.unfollow) this.unfollow();
    this.follow();
    this.modals.load();
    await this.loadSidebar();
  }

  follow() {
    this.unfollow = follow(this.me, {
      changed: (what) => this.refresh(what),
      state: (up) => { document.getElementById('offline').hidden = up; },
    });
  }

  showRoute() {
    const { home } = this.route;
    this.channel.node.hidden = home;
    this.home.node.hidden = !home;
    this.drawNames();
    this.thread.show();
    if (home) {
      this.channel.leave();
      this.home.show();
    } else {
      this.home.leave();
      this.channel.show().then(() => this.focusComposer());
    }
  }

  focusComposer() {
    const idle = document.activeElement === document.body || document.activeElement?.closest('.left');
    if (idle && this.thread.root.hidden && matchMedia('(hover: hover)').matches) this.channel.composer.focus();
  }

  drawNames() {
    this.switcher.render(this.people(), this.me, this.waiting);
    this.side.render();
    const unread = [...this.channels().filter((c) => c.mention), ...(this.sidebar?.dms || [])].reduce((sum, c) => sum + (c.unread || 0), 0);
    document.title = `${unread ? `(${unread}) ` : ''}${this.nameOf(this.me)} · ${this.world.team.name} · Local Slack`;
  }

  /** Loads again what has changed, as far as it is shown; '*' is everything. */
  refresh(what) {
    const all = what.includes('*');
    const has = (name) => all || what.includes(name);
    const { channel, thread, home } = this.route;
    if (has('world')) this.loadWorld().then(() => this.drawNames()).catch(tolerate);
    if (has('sidebar')) this.loadSidebar();
    if (!home && (has(`channel:${channel}`) || has('ephemeral'))) this.channel.load();
    if (thread && (has(`thread:${channel}:${thread}`) || has('ephemeral'))) this.thread.load();
    if (home && has('home')) this.home.load();
    if (has('modals')) this.modals.load();
    if (has('trace')) this.trace.load();
    this.loadWaiting();
  }

  async fetchSidebar() {
    const { me } = this;
    try {
      const sidebar = await read('sidebar', { as: me });
      if (me !== this.me) return;
      this.sidebar = sidebar;
      this.drawNames();
      this.markRead();
    } catch (error) {
      tolerate(error);
    }
  }

  /** Counts what waits for the other people, at most once a second. */
  async fetchWaiting() {
    await new Promise((done) => { setTimeout(done, 1000); });
    if (document.visibilityState !== 'visible') return;
    const others = this.people().filter((user) => user.id !== this.me);
    const counts = await Promise.all(others.map((user) => read('sidebar', { as: user.id }).then(waitingIn, () => 0)));
    this.waiting = Object.fromEntries(others.map((user, i) => [user.id, counts[i]]));
    this.drawNames();
  }

  /** Called when a pane has drawn: popups follow their anchors, the channel counts as read. */
  settled() {
    settlePopup();
    this.markRead();
  }

  markRead() {
    const { channel, home } = this.route;
    const known = !home && this.conversation(channel);
    if (!known || !known.unread || document.visibilityState !== 'visible' || !this.channel.data) return;
    known.unread = 0;
    this.drawNames();
    this.act({ do: 'read', channel }).catch(() => {});
  }

  /** A page that nobody sees lets go of its stream: browsers allow six connections to a host. */
  visible() {
    clearTimeout(this.pause);
    if (document.visibilityState !== 'visible') {
      this.pause = setTimeout(() => {
        this.unfollow();
        this.unfollow = null;
      }, HIDDEN_PAUSE);
    } else if (this.me && !this.unfollow) {
      this.follow();
      this.refresh(['*']);
    } else {
      this.markRead();
    }
  }

  drawer(on) {
    this.shell.classList.toggle('drawer', on);
    document.getElementById('menu').setAttribute('aria-expanded', String(on));
  }

}

/** Small settings outlive a reload. */
function remember(storage, name, value) {
  storage.setItem(`slacksim.${name}`, JSON.stringify(value));
}

function recall(storage, name) {
  return JSON.parse(storage.getItem(`slacksim.${name}`));
}

function waitingIn(sidebar) {
  const mentions = (sidebar.channels || []).filter((c) => c.mention);
  return [...mentions, ...(sidebar.dms || [])].reduce((sum, c) => sum + (c.unread || 0), 0);
}

new App().start().catch((error) => {
  const box = document.getElementById('offline');
  box.textContent = error.message;
  box.hidden = false;
});
