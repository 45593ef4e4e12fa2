// People: their pictures, and the switcher between them.

import { fill, h, reconcile } from './dom.js';
import { icon } from './icons.js';
import { openMenu } from './popup.js';

/** A picture with initials in the person's colour; apps get the app drawing. The initials are drawn, and are no text of the page. */
export function avatar(user, size = '') {
  const node = h('span', { class: `avatar ${size}${user && user.bot ? ' bot' : ''}`, 'aria-hidden': 'true' });
  if (user && user.bot) node.append(icon('app'));
  else node.setAttribute('data-initials', initials(user));
  const color = /^#[0-9a-f]{6}$/i.test(user?.color || '') ? user.color : '#6b7785';
  if (!(user && user.bot)) {
    node.style.backgroundColor = color;
    node.style.color = readableOn(color);
  }
  return node;
}

function initials(user) {
  const words = (user?.real_name || user?.name || '?').split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0].toUpperCase()).join('');
}

/** White or near black, whichever has more contrast on the colour. */
function readableOn(color) {
  const channel = (at) => {
    const c = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  };
  const light = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
  return 1.05 / (light + 0.05) >= (light + 0.05) / 0.0612 ? '#ffffff' : '#14181d';
}

/** What sets a person apart, in a word: App, Partner workspace, Guest or ''. */
export function standing(user) {
  if (!user) return '';
  if (user.bot) return 'App';
  if (user.deleted) return 'Deactivated';
  if (user.foreign) return 'Other workspace';
  return user.guest ? 'Guest' : '';
}

/** Who can be taken on in this page: everybody with a live account, colleagues first. */
export function cast(users) {
  const rank = (user) => Number(Boolean(user.guest)) + 2 * Number(Boolean(user.foreign));
  return users.filter((user) => !user.bot && !user.deleted).sort((a, b) => rank(a) - rank(b));
}

/** The rail of people at the edge and the card of the current one. */
export class Switcher {
  /** as(user id) gives the hash under which the page shows that person; menu opens the drawer on small screens. */
  constructor({ rail, card, menu, as }) {
    Object.assign(this, { rail, card, menu, as, people: [], me: '', waiting: {} });
    card.addEventListener('click', () => this.openList(card));
  }

  render(people, me, waiting) {
    Object.assign(this, { people, me, waiting });
    reconcile(this.rail, people, {
      key: (user) => user.id, make: (user) => this.item(user),
      print: (user) => JSON.stringify([user, user.id === me, waiting[user.id], this.as(user.id)]),
    });
    this.drawCard(people.find((user) => user.id === me));
  }

  item(user) {
    const count = user.id === this.me ? 0 : this.waiting[user.id] || 0;
    const first = (user.real_name || user.name).split(' ')[0];
    const what = [user.real_name || user.name, user.title, count ? `${count} waiting` : ''].filter(Boolean).join(', ');
    return h('a', {
      class: 'rail-item', href: this.as(user.id), testid: `person-${user.id}`, title: what, 'aria-label': `Be ${what}`,
      'aria-current': user.id === this.me ? 'true' : null,
    }, h('span', { class: 'rail-face' }, avatar(user), count > 0 && h('span', { class: 'badge hot', 'data-count': count > 9 ? '9+' : String(count) })),
    h('span', { class: 'rail-name' }, first));
  }

  drawCard(user) {
    if (!user) return;
    const who = h('span', { class: 'card-text' }, h('span', { class: 'card-name' }, user.real_name || user.name), h('span', { class: 'card-role' }, user.title || standing(user) || `@${user.name}`));
    fill(this.card, avatar(user), who, icon('chevron'));
    fill(this.menu, icon('menu'), avatar(user));
    this.card.title = 'Switch person';
  }

  /** The list opens beside the rail, so that its people stay one click away. */
  openList(anchor) {
    openMenu({
      anchor, label: 'Who are you?', indent: this.rail.offsetWidth,
      items: this.people.map((user) => ({
        label: user.real_name || user.name, note: [user.title, standing(user)].filter(Boolean).join(' · ') || `@${user.name}`, lead: avatar(user),
        href: this.as(user.id), testid: `switch-${user.id}`,
      })),
    });
  }
}
