// Comfort for a page that is whole without it: local times, the drawer beside
// the list, the keyboard, and changes as they happen.
(() => {
  'use strict';
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const copied = document.body.hasAttribute('data-static');

  // Times, in the reader's own zone. The title keeps the exact one in UTC.
  const part = (options) => new Intl.DateTimeFormat('en-GB', {hourCycle: 'h23', ...options});
  const day = part({day: 'numeric', month: 'short', year: 'numeric'});
  const minute = part({hour: '2-digit', minute: '2-digit'});
  const second = part({hour: '2-digit', minute: '2-digit', second: '2-digit'});
  const thisYear = part({day: 'numeric', month: 'short'});
  const forms = {
    short: (t) => (t.getFullYear() === new Date().getFullYear() ? thisYear : day).format(t) + ' ' + minute.format(t),
    full: (t) => day.format(t) + ' ' + second.format(t),
    clock: (t) => minute.format(t),
  };

  function localize(root) {
    for (const e of $$('time[data-as]', root)) {
      const t = new Date(e.dateTime);
      if (!isNaN(t)) e.textContent = forms[e.dataset.as](t);
    }
    for (const e of $$('.utc', root)) e.hidden = true;
  }

  function lasting(ms) {
    const m = Math.floor(ms / 60000), d = Math.floor(m / 1440), h = Math.floor(m / 60) % 24;
    if (d) return d + ' d' + (h ? ' ' + h + ' h' : '');
    if (h) return h + ' h' + (m % 60 ? ' ' + (m % 60) + ' m' : '');
    return m ? m + ' m' : Math.max(0, Math.floor(ms / 1000)) + ' s';
  }

  // A copy says what was left when it was made.
  function countDown(root) {
    if (copied) return;
    for (const e of $$('[data-until]', root)) {
      const left = new Date(e.dataset.until) - Date.now();
      $('.left', e).textContent = left < 0 ? 'over' : lasting(left) + ' left';
      e.classList.toggle('soon', left < 15 * 60000);
    }
  }

  function enhance(root) {
    localize(root);
    countDown(root);
    if (navigator.clipboard) for (const e of $$('[data-copy]', root)) e.hidden = false;
  }

  async function fetched(address) {
    const answer = await fetch(address, {headers: {Accept: 'text/html'}, credentials: 'same-origin'});
    if (!answer.ok) throw new Error(answer.status);
    return new DOMParser().parseFromString(await answer.text(), 'text/html');
  }

  // The drawer: a request beside the list that it was opened from.
  const list = () => $('.list-page');
  const drawer = () => $('.drawer');
  const narrow = matchMedia('(max-width: 740px)');
  const openID = () => new URLSearchParams(location.search).get('open');
  const rowOf = (id) => $('tr[data-id="' + CSS.escape(id) + '"]');
  let asked = 0;

  function addressOf(id) {
    const u = new URL(location.href);
    if (id) u.searchParams.set('open', id);
    else u.searchParams.delete('open');
    return u.pathname + u.search;
  }

  async function article(id) {
    const doc = await fetched('/requests/' + encodeURIComponent(id));
    const found = $('article.life', doc);
    if (!found) throw new Error('no article');
    return document.importNode(found, true);
  }

  function shade() {
    const cover = !!drawer() && narrow.matches;
    for (const e of [$('.top'), $('.foot'), ...$$('.list-page > :not(.drawer)')]) if (e) e.inert = cover;
    document.body.classList.toggle('covered', cover);
  }
  narrow.addEventListener('change', shade);

  function mark(id) {
    for (const e of $$('tr[aria-current]')) e.removeAttribute('aria-current');
    const row = id && rowOf(id);
    if (row) row.setAttribute('aria-current', 'true');
    return row;
  }

  async function show(id, how) {
    const mine = ++asked;
    let life;
    try {
      life = await article(id);
    } catch {
      location.assign(addressOf(id));
      return;
    }
    if (mine !== asked) return;
    let box = drawer();
    if (!box) {
      box = document.createElement('aside');
      box.className = 'drawer';
      box.setAttribute('aria-labelledby', 'life-title');
      const bar = document.createElement('p');
      bar.className = 'drawer-bar';
      bar.append(tool('expand', 'Open as a page of its own'), tool('close', 'Close'));
      box.append(bar);
      list().append(box);
    }
    for (const e of $$('article', box)) e.remove();
    box.append(life);
    enhance(box);
    $('.expand', box).href = life.dataset.permanent;
    $('.close', box).href = addressOf('');
    box.scrollTop = 0;
    list().classList.add('with-drawer');
    if (how === 'push') history.pushState({drawer: true}, '', addressOf(id));
    if (how === 'replace') history.replaceState(history.state, '', addressOf(id));
    mark(id)?.scrollIntoView({block: 'nearest'});
    shade();
    $('#life-title').focus({preventScroll: true});
  }

  function tool(name, text) {
    const a = document.createElement('a');
    a.className = 'button icon ' + name;
    a.title = text;
    a.innerHTML = '<svg class="ic" aria-hidden="true"><use href="#i-' + name + '"/></svg><span class="hid">' + text + '</span>';
    return a;
  }

  function hide() {
    asked++;
    const box = drawer();
    if (!box) return;
    const id = $('article', box)?.dataset.id;
    box.remove();
    list().classList.remove('with-drawer');
    shade();
    mark('');
    if (id) $('.open', rowOf(id) || document.createElement('i'))?.focus({preventScroll: true});
  }

  function close() {
    if (history.state?.drawer) {
      history.back();
      return;
    }
    history.replaceState(null, '', addressOf(''));
    hide();
  }

  let shown = addressOf('');
  addEventListener('popstate', () => {
    if (addressOf('') !== shown) {
      location.reload();
      return;
    }
    if (!list()) return;
    const id = openID();
    if (id) show(id, '');
    else hide();
  });

  document.addEventListener('click', (event) => {
    for (const e of $$('details.drop[open]')) if (!e.contains(event.target)) e.open = false;
    const copy = event.target.closest('[data-copy]');
    if (copy) {
      navigator.clipboard.writeText(copy.dataset.copy).then(() => {
        copy.classList.add('did');
        setTimeout(() => copy.classList.remove('did'), 1200);
      });
      return;
    }
    if (event.target.closest('[data-keys]')) {
      help();
      return;
    }
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (event.target.closest('.drawer .close')) {
      event.preventDefault();
      close();
      return;
    }
    const row = event.target.closest('.list-page tr[data-id]');
    if (row && !copied && event.target.closest('a.open')) {
      event.preventDefault();
      show(row.dataset.id, drawer() ? 'replace' : 'push');
    }
  });

  // What is empty does not stand in the address.
  document.addEventListener('submit', (event) => {
    if (event.target.method !== 'get') return;
    for (const e of event.target.elements) if (e.name && e.value === '') e.disabled = true;
  });
  addEventListener('pageshow', () => {
    for (const e of $$('form.filters :disabled')) e.disabled = false;
  });

  // The keyboard.
  const rows = () => $$('a.open').filter((e) => e.checkVisibility());

  function step(by) {
    const all = rows();
    if (!all.length) return;
    const open = list() && drawer() && openID();
    const here = open ? all.findIndex((e) => e.closest('[data-id]').dataset.id === open) : all.indexOf(document.activeElement);
    const next = all[Math.min(all.length - 1, Math.max(0, here < 0 ? 0 : here + by))];
    if (open) show(next.closest('[data-id]').dataset.id, 'replace');
    else next.focus();
  }

  const keys = [['j  ↓', 'next request'], ['k  ↑', 'previous request'], ['Enter', 'open it'], ['Esc', 'close'], ['/', 'search'], ['?', 'this help']];

  function help() {
    let box = $('dialog.help');
    if (!box) {
      box = document.createElement('dialog');
      box.className = 'help';
      box.setAttribute('aria-labelledby', 'help-title');
      box.innerHTML = '<h2 id="help-title">Keyboard</h2><dl></dl><form method="dialog"><button class="button">Close</button></form>';
      for (const [key, text] of keys) {
        const term = document.createElement('dt'), what = document.createElement('dd');
        for (const k of key.split('  ')) {
          const e = document.createElement('kbd');
          e.textContent = k;
          term.append(e, ' ');
        }
        what.textContent = text;
        $('dl', box).append(term, what);
      }
      document.body.append(box);
    }
    if (!box.open) box.showModal();
  }

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $('dialog[open]')) return;
    const at = event.target;
    if (event.key === 'Escape') {
      const drop = $('details.drop[open]');
      if (drop) {
        drop.open = false;
        $('summary', drop).focus();
      } else if (list() && drawer() && !at.matches('input')) close();
      else at.blur?.();
      return;
    }
    if (at.matches('input, select, textarea')) return;
    const among = at.matches('a.open') || !!drawer() && at.id === 'life-title';
    const act = {
      j: () => step(1), k: () => step(-1), '?': help,
      '/': () => $('input[type=search]')?.select(),
      ArrowDown: among && (() => step(1)), ArrowUp: among && (() => step(-1)),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // Changes: what is shown changes in place; what is new announces itself.
  const placeOf = (e) => (e.closest('table')?.getAttribute('aria-labelledby') || e.closest('section')?.className || 'list') + ' ' + e.dataset.id;
  const placed = (doc) => new Map($$('main tr[data-id], main li[data-id]', doc).map((e) => [placeOf(e), e]));

  // What time alone changes is no news: it is set right where it stands.
  function still(row) {
    const copy = row.cloneNode(true);
    for (const e of $$('[data-clock]', copy)) e.remove();
    return copy.innerHTML;
  }

  function tick(old, fresh) {
    const now = $$('[data-clock]', fresh);
    $$('[data-clock]', old).forEach((e, i) => {
      if (now[i] && e.outerHTML !== now[i].outerHTML) e.replaceWith(document.importNode(now[i], true));
    });
  }

  function renew(old, fresh) {
    if (!old.classList.contains('stale') && still(old) === still(fresh)) {
      tick(old, fresh);
      return;
    }
    const focused = old.contains(document.activeElement);
    const here = document.importNode(fresh, true);
    if (old.hasAttribute('aria-current')) here.setAttribute('aria-current', 'true');
    here.classList.add('fresh');
    old.replaceWith(here);
    if (focused) $('a.open', here)?.focus({preventScroll: true});
  }

  function announce(count, doc) {
    let pill = $('.pill');
    if (!count) {
      pill?.remove();
      return;
    }
    if (!pill) {
      pill = document.createElement('button');
      pill.className = 'pill';
      pill.setAttribute('aria-live', 'polite');
      document.body.append(pill);
    }
    const noun = list() ? 'new request' : 'change';
    pill.textContent = count + ' ' + noun + (count === 1 ? '' : 's');
    pill.onclick = () => {
      const known = placed(document), box = drawer();
      const fresh = document.importNode($('main', doc), true);
      $('.drawer', fresh)?.remove();
      $('main').replaceWith(fresh);
      if (box && list()) list().append(box);
      for (const [place, e] of placed(document)) if (!known.has(place)) e.classList.add('fresh');
      countDown(document);
      mark(openID());
      shade();
      pill.remove();
      scrollTo({top: 0});
    };
  }

  async function renewLife(id) {
    const old = $('article.life');
    if (!old || old.dataset.id !== id) return;
    const fresh = await article(id);
    enhance(fresh);
    if (fresh.innerHTML === old.innerHTML) return;
    const open = $$('details', old).map((e) => e.open);
    $$('details', fresh).forEach((e, i) => { e.open = !!open[i]; });
    const box = drawer(), top = box?.scrollTop, focused = old.contains(document.activeElement);
    old.replaceWith(fresh);
    if (box) box.scrollTop = top;
    if (focused) $('#life-title').focus({preventScroll: true});
  }

  // Of a full page, what stands below all that is still on it was pushed to the
  // next one.
  function lower(places, then) {
    return new Set(places.slice(places.findLastIndex((place) => then.has(place)) + 1));
  }

  async function look() {
    const life = $('article.life');
    if (life) await renewLife(life.dataset.id);
    if (!$('[data-rows], .figures, .list-page .empty')) return;
    const address = addressOf('');
    const doc = await fetched(address);
    if (address !== addressOf('')) return;
    enhance(doc);
    countDown(document);
    const now = placed(document), then = placed(doc);
    const pushed = $('.pager [rel=next]', doc) ? lower([...now.keys()], then) : new Set();
    for (const [place, e] of now) {
      if (then.has(place)) renew(e, then.get(place));
      else if (!pushed.has(place)) e.classList.add('stale');
    }
    for (const selector of ['.figures', '[data-total]']) {
      const old = $(selector), fresh = $(selector, doc);
      if (old && fresh && old.innerHTML !== fresh.innerHTML) old.replaceWith(document.importNode(fresh, true));
    }
    const paged = new URLSearchParams(location.search).has('after');
    announce(paged ? 0 : [...then.keys()].filter((place) => !now.has(place)).length, doc);
  }

  let dirty = false, looking = false;
  async function soon() {
    dirty = true;
    if (looking || document.hidden) return;
    looking = true;
    while (dirty && !document.hidden) {
      await new Promise((done) => setTimeout(done, 400));
      dirty = false;
      try {
        await look();
      } catch {
        // The next change, or the next connection, tries again.
      }
      await new Promise((done) => setTimeout(done, 1200));
    }
    looking = false;
  }

  // Only a page that is looked at listens: browsers have six connections to a
  // server for all its pages, and the seventh would not even load.
  let source, again, worry, lost = document.hidden;

  function listen() {
    leave();
    worry = setTimeout(warn, 10000);
    const line = source = new EventSource('/changes');
    line.onmessage = soon;
    line.onopen = () => {
      clearTimeout(worry);
      $('.deaf')?.remove();
      if (lost) soon();
      lost = false;
      document.documentElement.dataset.live = 'on';
    };
    line.onerror = () => {
      if (!lost) {
        clearTimeout(worry);
        worry = setTimeout(warn, 10000);
      }
      lost = true;
      document.documentElement.dataset.live = 'off';
      if (line.readyState === EventSource.CLOSED) again = setTimeout(listen, 30000);
    };
  }

  // What hears nothing for a while says so.
  function warn() {
    if ($('.deaf')) return;
    const note = document.createElement('p'), button = document.createElement('button');
    note.className = 'deaf';
    note.setAttribute('role', 'status');
    button.className = 'plain';
    button.textContent = 'Load again';
    button.onclick = () => location.reload();
    note.append('Not live right now, so this may be old. ', button);
    document.body.append(note);
  }

  function leave() {
    clearTimeout(again);
    clearTimeout(worry);
    if (!source) return;
    source.close();
    source = null;
    lost = true;
    document.documentElement.dataset.live = 'off';
  }

  enhance(document);
  for (const e of $$('[data-zone]')) e.textContent = 'Times are in your zone, ' + Intl.DateTimeFormat().resolvedOptions().timeZone + '.';
  for (const e of $$('[data-keys]')) e.hidden = false;
  if (drawer()) {
    mark(openID());
    shade();
    $('#life-title').focus({preventScroll: true});
  }
  setInterval(() => countDown(document), 20000);
  if (!copied && $('[data-rows], .figures, .list-page, article.life')) {
    if (!document.hidden) listen();
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) leave();
      else listen();
      if (dirty) soon();
    });
    addEventListener('pagehide', leave);
    addEventListener('pageshow', (event) => { if (event.persisted) listen(); });
  }
})();
