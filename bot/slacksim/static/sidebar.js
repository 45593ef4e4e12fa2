// The sidebar: channels, direct messages and the app.

import { fill, h, reconcile } from './dom.js';
import { icon } from './icons.js';
import { avatar, standing } from './people.js';

/** Draws the places a person can go to. */
export class Sidebar {
  constructor(app, root) {
    Object.assign(this, { app, root });
    this.channels = h('div', { class: 'side-list' });
    this.dms = h('div', { class: 'side-list' });
    this.apps = h('div', { class: 'side-list' });
    this.sections = [section('Channels', this.channels), section('Direct messages', this.dms), section(app.world.app.name, this.apps)];
    fill(root, this.sections);
  }

  render() {
    const { app } = this;
    const data = app.sidebar || { channels: [], dms: [] };
    const place = { route: app.route.home ? 'home' : app.route.channel, me: app.me };
    this.list(this.channels, data.channels || [], (c) => this.channel(c), place);
    this.list(this.dms, (data.dms || []).filter((dm) => dm.user), (dm) => this.dm(dm), place);
    const apps = data.home === false ? [] : [{ id: 'home', connected: data.connected, name: 'Home' }];
    this.list(this.apps, apps, (a) => this.home(a), place);
    for (const node of this.sections) node.hidden = !node.lastElementChild.children.length;
  }

  list(node, items, make, place) {
    reconcile(node, items, {
      key: (item) => item.id, make, print: (item) => JSON.stringify([item, place.me, place.route === item.id]),
    });
  }

  item({ testid, href, current, drawing, name, count, hot, quiet, extra }) {
    const badge = count > 0 && h('span', { class: `badge${hot ? ' hot' : ''}`, 'aria-label': `${count} unread` }, count > 99 ? '99+' : String(count));
    return h('a', {
      class: `side-item${count > 0 ? ' unread' : ''}${quiet ? ' outside' : ''}`, testid, href, 'aria-current': current ? 'page' : null,
    }, drawing, h('span', { class: 'side-name' }, name), extra, badge);
  }

  channel(c) {
    const { app } = this;
    return this.item({
      testid: `channel-${c.id}`, href: app.env.href({ channel: c.id }), current: !app.route.home && app.route.channel === c.id,
      drawing: icon(c.private ? 'lock' : 'hash'), name: c.name, count: c.unread, hot: c.mention, quiet: c.member === false,
      extra: c.shared && h('span', { class: 'side-mark', title: 'Shared with another organization' }, icon('shared')),
    });
  }

  dm(dm) {
    const { app } = this;
    const user = app.env.user(dm.user);
    return this.item({
      testid: `dm-${dm.id}`, href: app.env.href({ channel: dm.id }), current: !app.route.home && app.route.channel === dm.id,
      drawing: avatar(user || { name: dm.name }, 'tiny'), name: user ? user.real_name || user.name : dm.name, count: dm.unread, hot: true,
      extra: user && !user.bot && standing(user) && h('span', { class: 'tag' }, standing(user)),
    });
  }

  home(item) {
    const { app } = this;
    return this.item({
      testid: 'app-home', href: app.env.href({ home: true }), current: app.route.home, drawing: icon('home'), name: item.name, count: 0,
      extra: h('span', { class: `dot${item.connected ? ' on' : ''}`, role: 'img', 'aria-label': item.connected ? 'connected' : 'not connected', title: item.connected ? 'The app is connected' : 'The app is not connected' }),
    });
  }
}

function section(title, list) {
  return h('section', { class: 'side-section', 'aria-label': title }, h('h2', null, title), list);
}
