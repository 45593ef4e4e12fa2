// The Home tab of the app.

import { fill, h } from './dom.js';
import { icon } from './icons.js';
import { coalesce, read } from './api.js';
import { attempt } from './elements.js';
import { Surface } from './modal.js';
import { avatar } from './people.js';

/** Draws what the app has published for the person. */
export class HomePane {
  constructor(app, { head, body }) {
    Object.assign(this, { app, head });
    this.blocks = h('div', { class: 'home-blocks' });
    this.empty = h('div', { class: 'placeholder', role: 'status' }, 'Loading…');
    this.node = h('div', { class: 'pane-body home', testid: 'home', role: 'region', 'aria-label': 'Home tab' }, h('div', { class: 'scroll' }, this.empty, this.blocks));
    body.append(this.node);
    this.load = coalesce(() => this.fetch());
    this.owner = '';
  }

  /** Opens the tab, which tells the app so. */
  async show() {
    if (this.owner !== this.app.me) {
      this.owner = this.app.me;
      this.surface = new Surface(this.app, 'home', () => this.load());
      fill(this.blocks);
      this.say('Loading…');
    }
    this.drawHead();
    await attempt(() => this.app.act({ do: 'home' }));
    await this.load();
  }

  /** Forgets what is shown, so that nothing stale stays in the document. */
  leave() {
    this.owner = '';
    fill(this.blocks);
  }

  say(text) {
    this.empty.hidden = !text;
    this.empty.textContent = text;
  }

  drawHead() {
    const { app } = this.app.world;
    fill(this.head, avatar({ bot: true }, 'tiny'), h('h1', { class: 'pane-title' }, app.name), h('span', { class: 'tag' }, icon('home'), 'Home'));
  }

  async fetch() {
    const { me } = this.app;
    if (!this.surface || this.owner !== me) return;
    try {
      const { view } = await read('home', { as: me });
      if (me !== this.owner) return;
      this.say(view ? '' : `${this.app.world.app.name} has not published a Home tab for you yet.`);
      this.surface.draw(this.blocks, view || { blocks: [] });
    } catch (error) {
      this.say(error.message);
    }
  }
}
