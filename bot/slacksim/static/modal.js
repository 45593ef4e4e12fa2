// Modals: the stack of views that an app has opened for the person, and the
// surface context that modals and the Home tab share.
//
// A modal belongs to the person, not to the window: it covers the workspace
// but leaves the switcher and the trace usable.

import { append, fill, h, uid } from './dom.js';
import { icon } from './icons.js';
import { coalesce, read, tolerate } from './api.js';
import { drawBlocks, elementsOf, showErrors } from './blocks.js';
import { attempt, confirmed } from './elements.js';
import { textObject } from './mrkdwn.js';
import { closePopup, popupOpen, settlePopup } from './popup.js';
import { actionValue, complaint, holdsValue, initialState } from './values.js';

/** The values a person has entered in one view, and the context of its elements. */
export class Surface {
  /** container is 'view' or 'home'; redraw() draws the view again. */
  constructor(app, container, redraw) {
    Object.assign(this, { app, container, redraw, values: {}, errors: {}, stale: false });
  }

  get(block, element) {
    return this.values[block.block_id]?.[element.action_id];
  }

  set(block, element, state) {
    this.values[block.block_id] = { ...this.values[block.block_id], [element.action_id]: state };
    if (!this.errors[block.block_id]) return;
    delete this.errors[block.block_id];
    this.showErrors();
  }

  /** Every value of the view as Slack reports it. */
  state() {
    const out = {};
    for (const { block, element } of elementsOf(this.view.blocks)) {
      if (!holdsValue(element.type) || !block.block_id) continue;
      out[block.block_id] = { ...out[block.block_id], [element.action_id]: this.get(block, element) ?? initialState(element) };
    }
    return out;
  }

  context() {
    return {
      env: this.app.env,
      get: (block, element) => this.get(block, element),
      change: (block, element, state, how = {}) => this.change(block, element, state, how),
      press: (block, element, value) => this.send(block, element, value),
      suggest: (block, element, query) => this.app.act({ do: 'suggest', view_id: this.view.id, block_id: block.block_id, action_id: element.action_id, query }),
      postpone: () => { this.stale = true; },
      released: () => {
        if (this.stale) setTimeout(this.redraw);
        this.stale = false;
      },
    };
  }

  async change(block, element, state, { typing = false }) {
    const sends = !typing && (block.type !== 'input' || block.dispatch_action);
    if (sends && !await confirmed(element.confirm, this.app.env)) return false;
    this.set(block, element, state);
    if (sends) await this.send(block, element, actionValue(element, state));
    return true;
  }

  send(block, element, value) {
    return attempt(() => this.app.act({
      do: 'action', container: this.container, view_id: this.view.id, block_id: block.block_id, action_id: element.action_id, value, values: this.state(),
    }), { quiet: this.container === 'view' });
  }

  /** Draws the blocks of view into node, keeping what the person does there. */
  draw(node, view) {
    this.view = view;
    drawBlocks(node, view.blocks, this.context());
    this.place = node;
    this.showErrors();
    settlePopup();
  }

  showErrors() {
    if (this.place) showErrors(this.place, this.errors);
  }
}

/** The layer in which the top modal of the stack is shown. */
export class Modals {
  /** layer covers the workspace; behind are the elements that it makes inert. */
  constructor(app, layer, behind) {
    Object.assign(this, { app, layer, behind, shown: new Map() });
    this.load = coalesce(() => this.fetch());
  }

  async fetch() {
    const { me } = this.app;
    try {
      const { views } = await read('modals', { as: me });
      if (me === this.app.me) this.render(views || []);
    } catch (error) {
      tolerate(error);
    }
  }

  render(views) {
    const top = views.at(-1);
    const ids = new Set(views.map((view) => `${this.app.me}/${view.id}`));
    for (const [id, modal] of this.shown) {
      if (ids.has(id) || modal.owner !== this.app.me) continue;
      modal.node.remove();
      this.shown.delete(id);
    }
    for (const view of views) this.one(view, views.length).update(view, views.length);
    this.bring(top ? this.shown.get(`${this.app.me}/${top.id}`) : null);
  }

  /** Shows no modal, but keeps what was typed in those of everybody. */
  hide() {
    this.bring(null);
  }

  bring(top) {
    for (const modal of this.shown.values()) modal.node.hidden = modal !== top;
    this.toggle(top);
  }

  one(view) {
    const id = `${this.app.me}/${view.id}`;
    if (!this.shown.has(id)) {
      const modal = new Modal(this.app, this);
      this.shown.set(id, modal);
      this.layer.append(modal.node);
    }
    return this.shown.get(id);
  }

  toggle(top) {
    const opening = top && top !== this.top;
    if (opening || (!top && this.top)) closePopup();
    if (top && !this.top) this.before = document.activeElement;
    this.layer.hidden = !top;
    for (const node of this.behind) node.inert = Boolean(top);
    if (opening) top.focus();
    if (!top && this.top && this.before && this.before.isConnected) this.before.focus({ preventScroll: true });
    this.top = top;
  }
}

class Modal {
  constructor(app, modals) {
    Object.assign(this, { app, modals, owner: app.me, busy: false, notice: '', seenErrors: '' });
    this.surface = new Surface(app, 'view', () => this.draw());
    const title = uid('modal');
    this.title = h('h2', { id: title, class: 'modal-title' });
    this.closer = h('button', { type: 'button', class: 'icon-button', testid: 'modal-x', onclick: () => this.close() });
    this.banner = h('p', { class: 'banner', role: 'alert', testid: 'modal-notice', hidden: true });
    this.body = h('div', { class: 'modal-blocks' });
    this.foot = h('footer', { class: 'modal-foot' });
    this.node = h('form', {
      class: 'modal', role: 'dialog', 'aria-modal': 'true', 'aria-labelledby': title, tabindex: '-1', testid: 'modal', novalidate: true,
      onsubmit: (e) => this.submit(e),
    }, h('header', { class: 'modal-head' }, this.title, this.closer), h('div', { class: 'modal-scroll' }, this.banner, this.body), this.foot);
  }

  update(view, depth) {
    const before = this.view;
    this.view = view;
    this.depth = depth;
    const errors = JSON.stringify([view.errors || {}, view.hash]);
    if (errors !== this.seenErrors) this.surface.errors = { ...view.errors };
    this.seenErrors = errors;
    this.notice = view.notice || '';
    this.draw();
    if (before && before.hash !== view.hash) this.settleFocus();
  }

  draw() {
    const { view } = this;
    const print = JSON.stringify([view.title, view.submit, view.close, this.depth]);
    if (print !== this.framePrint) this.drawFrame();
    this.framePrint = print;
    this.banner.hidden = !this.notice;
    if (this.notice) fill(this.banner, icon('warn'), h('span', null, this.notice));
    this.surface.draw(this.body, view);
  }

  drawFrame() {
    const { view, depth } = this;
    append(fill(this.title), [textObject(view.title)]);
    fill(this.closer, icon(depth > 1 ? 'back' : 'close'));
    this.closer.setAttribute('aria-label', depth > 1 ? 'Back' : 'Close');
    this.submitter = view.submit && h('button', { type: 'submit', class: 'button primary', testid: 'modal-submit' }, textObject(view.submit));
    fill(this.foot, h('button', { type: 'button', class: 'button', testid: 'modal-close', onclick: () => this.close() }, view.close ? textObject(view.close) : view.submit ? 'Cancel' : 'Close'), this.submitter);
  }

  focus() {
    const wanted = this.node.querySelector('[data-autofocus]') || this.firstField();
    (wanted || this.node).focus({ preventScroll: true });
  }

  firstField() {
    return this.body.querySelector('input, textarea, [role=combobox]');
  }

  /** After an update the focus goes to the first field, unless it is in use. */
  settleFocus() {
    const active = document.activeElement;
    if (this.node.hidden || popupOpen()) return;
    if (active === document.body || active === this.node) this.focus();
  }

  async submit(event) {
    event.preventDefault();
    if (this.busy || !this.view.submit) return;
    const { surface, view } = this;
    surface.errors = this.complaints();
    if (this.showWrong()) return;
    this.work(true);
    try {
      const answer = await this.app.act({ do: 'submit', view_id: view.id, values: surface.state() });
      surface.errors = answer.errors || {};
      this.notice = answer.notice || '';
    } catch (error) {
      this.notice = error.message;
    }
    this.work(false);
    this.draw();
    this.showWrong();
    this.modals.load();
  }

  complaints() {
    const errors = {};
    for (const block of this.view.blocks || []) {
      if (block.type !== 'input' || !holdsValue(block.element.type)) continue;
      const text = complaint(block, this.surface.get(block, block.element) ?? initialState(block.element));
      if (text) errors[block.block_id] = text;
    }
    return errors;
  }

  /** Shows the errors and goes to the first; reports whether there is one. */
  showWrong() {
    this.surface.showErrors();
    const wrong = this.body.querySelector('.wrong input, .wrong textarea, .wrong [role=combobox]');
    if (wrong) wrong.focus();
    return Object.keys(this.surface.errors).length > 0;
  }

  work(busy) {
    this.busy = busy;
    if (this.submitter) this.submitter.setAttribute('aria-busy', String(busy));
  }

  async close() {
    if (await attempt(() => this.app.act({ do: 'close', view_id: this.view.id }))) this.modals.load();
  }
}
