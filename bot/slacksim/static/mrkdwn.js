// Slack's text format, turned into DOM nodes. The input is text as the API
// carries it: & < > escaped once, <…> for links, mentions and dates. Anything
// that is not understood stays visible as the text it is.
//
// Every function takes `env`, which knows the workspace:
//   user(id) → {id, name, real_name} or null · channel(id) → {id, name} or null
//   group(id) → {handle, users} or null · me → the id of who looks · href(route part) → hash for a channel and thread

import { h } from './dom.js';
import { emoji } from './icons.js';
import { expand, fullTime } from './dates.js';
import { permalink } from './route.js';

const ENTITIES = { '&amp;': '&', '&lt;': '<', '&gt;': '>' };

/** Unescapes & < > once. */
export function unescape(text) {
  return text.replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity]);
}

/** Renders mrkdwn text; verbatim text gets no automatic links. */
export function mrkdwn(text, env, { verbatim = false } = {}) {
  const out = document.createDocumentFragment();
  const parts = text.split('```');
  if (parts.length % 2 === 0) parts.push(`\`\`\`${parts.pop()}`);
  parts.forEach((part, i) => {
    if (i % 2 === 1 && i < parts.length - 1) out.append(h('pre', { class: 'pre' }, unescape(flatten(trimLine(part), env))));
    else paragraphs(i > 0 ? part.replace(/^\n/, '') : part, env, verbatim, out);
  });
  return out;
}

/** Renders a plain_text object's text: emoji names, no other format. */
export function plain(text, withEmoji = true) {
  const out = document.createDocumentFragment();
  const source = unescape(text);
  if (!withEmoji) {
    out.append(source);
    return out;
  }
  for (const piece of source.split(/(:[a-z0-9_+-]+:)/)) {
    const drawn = /^:[a-z0-9_+-]+:$/.test(piece) ? emoji(piece.slice(1, -1)) : null;
    out.append(drawn || piece);
  }
  return out;
}

/** Renders a text object of either type. */
export function textObject(object, env) {
  if (!object) return document.createDocumentFragment();
  if (object.type === 'mrkdwn') return mrkdwn(String(object.text ?? ''), env, { verbatim: object.verbatim === true });
  return plain(String(object.text ?? ''), object.emoji !== false);
}

/** The characters of a text object without any format, for labels and search. */
export function textOf(object) {
  return object ? unescape(String(object.text ?? '')) : '';
}

/** Turns stored text back into what a person types: @name, #channel, < and >. */
export function typed(text, env) {
  return unescape(flatten(text, env));
}

function trimLine(text) {
  return text.replace(/^\n/, '').replace(/\n$/, '');
}

/** Splits text into runs of quoted and ordinary lines. */
function paragraphs(text, env, verbatim, out) {
  const everything = /^(?:&gt;|>){3}/m.exec(text);
  if (everything) {
    paragraphs(text.slice(0, everything.index).replace(/\n$/, ''), env, verbatim, out);
    quote(text.slice(everything.index).replace(/^(?:&gt;|>){3} ?/, '').split('\n'), env, verbatim, out);
    return;
  }
  let run = [];
  let quoted = false;
  const flush = () => {
    if (run.length) (quoted ? quote : lines)(run, env, verbatim, out);
    run = [];
  };
  for (const line of text.split('\n')) {
    const match = /^(?:&gt;|>) ?(.*)$/.exec(line);
    if (Boolean(match) !== quoted) flush();
    quoted = Boolean(match);
    run.push(match ? match[1] : line);
  }
  if (!(run.length === 1 && run[0] === '')) flush();
}

function quote(content, env, verbatim, out) {
  const node = h('blockquote');
  lines(content, env, verbatim, node);
  out.append(node);
}

function lines(content, env, verbatim, out) {
  content.forEach((line, i) => {
    if (i > 0) out.append('\n');
    inline(line, env, verbatim, out);
  });
}

function inline(line, env, verbatim, out) {
  let pending = '';
  let i = 0;
  while (i < line.length) {
    const hit = match(line, i, env, verbatim);
    if (!hit) {
      pending += line[i];
      i += 1;
      continue;
    }
    out.append(unescape(pending), hit.node);
    pending = '';
    i = hit.end;
  }
  out.append(unescape(pending));
}

function match(line, i, env, verbatim) {
  switch (line[i]) {
    case '`': return matchCode(line, i, env);
    case '<': return matchToken(line, i, env);
    case '*': return matchEmphasis(line, i, 'strong', env, verbatim);
    case '_': return matchEmphasis(line, i, 'em', env, verbatim);
    case '~': return matchEmphasis(line, i, 's', env, verbatim);
    case ':': return matchEmoji(line, i);
    case 'h': return verbatim ? null : matchAddress(line, i, env);
    default: return null;
  }
}

function matchCode(line, i, env) {
  const end = line.indexOf('`', i + 1);
  if (end < 0 || end === i + 1) return null;
  return { node: h('code', null, unescape(flatten(line.slice(i + 1, end), env))), end: end + 1 };
}

function matchEmoji(line, i) {
  const found = /^:([a-z0-9_+-]+):/.exec(line.slice(i, i + 60));
  const node = found && emoji(found[1]);
  return node ? { node, end: i + found[0].length } : null;
}

function matchEmphasis(line, i, tag, env, verbatim) {
  const mark = line[i];
  const before = i === 0 ? ' ' : line[i - 1];
  if (/[\p{L}\p{N}]/u.test(before) || /\s|^$/.test(line[i + 1] ?? '') || line[i + 1] === mark) return null;
  const end = closing(line, i, mark);
  if (end < 0) return null;
  const node = h(tag);
  inline(line.slice(i + 1, end), env, verbatim, node);
  return { node, end: end + 1 };
}

/** Finds the mark that closes an emphasis, stepping over <…> and `…`. */
function closing(line, start, mark) {
  for (let i = start + 1; i < line.length; i += 1) {
    const pair = { '<': '>', '`': '`' }[line[i]];
    const end = pair ? line.indexOf(pair, i + 1) : -1;
    if (end > 0) {
      i = end;
      continue;
    }
    if (line[i] === mark && !/\s/.test(line[i - 1]) && !/[\p{L}\p{N}]/u.test(line[i + 1] ?? ' ')) return i;
  }
  return -1;
}

function matchAddress(line, i, env) {
  if (i > 0 && /[\p{L}\p{N}]/u.test(line[i - 1])) return null;
  const found = /^https?:\/\/[^\s<>|`]+/.exec(line.slice(i));
  if (!found) return null;
  const address = found[0].replace(/&(?:gt|lt);.*$/, '').replace(/[.,;:!?)\]*_~'"]+$/, '');
  return { node: link(unescape(address), '', env), end: i + address.length };
}

function matchToken(line, i, env) {
  const end = line.indexOf('>', i);
  if (end < 0) return null;
  const node = token(line.slice(i + 1, end), env, i === 0);
  return node ? { node, end: end + 1 } : null;
}

function split(body) {
  const bar = body.indexOf('|');
  return bar < 0 ? [body, ''] : [body.slice(0, bar), body.slice(bar + 1)];
}

function token(body, env, begins) {
  const [target, label] = split(body);
  if (target.startsWith('@')) return mention(target.slice(1), label, env);
  if (target.startsWith('#')) return channelLink(target.slice(1), label, env);
  if (target.startsWith('!')) return special(target.slice(1), label, env, begins);
  return /^(?:https?|mailto):/i.test(target) ? link(unescape(target), label && unescape(label), env) : null;
}

/** A person mentioned by id. */
export function mention(id, label, env) {
  const user = env.user(id);
  const name = user ? user.real_name || user.name : unescape(label) || id;
  return h('span', { class: `mention${id === env.me ? ' me' : ''}`, title: user ? `@${user.name}` : null }, `@${name}`);
}

/** A channel mentioned by id, which opens it. */
export function channelLink(id, label, env) {
  const channel = env.channel(id);
  const name = (channel && channel.name) || unescape(label) || id;
  if (!channel) return h('span', { class: 'mention' }, `#${name}`);
  return h('a', { class: 'mention', href: env.href({ channel: id }) }, `#${name}`);
}

function special(target, label, env, begins) {
  if (target.startsWith('date^')) return dateToken(target.split('^'), label, begins);
  if (target.startsWith('subteam^')) return groupMention(target.slice('subteam^'.length), label, env);
  if (['channel', 'here', 'everyone'].includes(target)) return h('span', { class: 'mention me' }, `@${target}`);
  return null;
}

/** A user group mentioned by id; it stands out for its members. */
export function groupMention(id, label, env) {
  const group = env.group(id);
  const mine = group && (group.users || []).includes(env.me);
  return h('span', { class: `mention${mine ? ' me' : ''}`, title: group?.name }, group ? `@${group.handle}` : unescape(label) || `@${id}`);
}

function dateToken([, seconds, format = '', address], fallback, begins) {
  const text = expand(seconds, format, { begins });
  if (text === null) return document.createTextNode(unescape(fallback));
  const node = h('time', { class: 'when', title: fullTime(new Date(Number(seconds) * 1000)) }, text);
  node.refresh = () => { node.textContent = expand(seconds, format, { begins }) ?? node.textContent; };
  return address ? h('a', { href: unescape(address), target: '_blank', rel: 'noopener noreferrer' }, node) : node;
}

/** Brings the relative times below root up to date. */
export function refreshTimes(root) {
  for (const node of root.querySelectorAll('time.when')) if (node.refresh) node.refresh();
}

/** A link: to a thread of this workspace inside the application, else in a new tab. */
export function link(address, label, env) {
  const inside = permalink(address);
  const text = label || address.replace(/^mailto:/i, '');
  if (inside) return h('a', { class: 'link', href: env.href(inside) }, text);
  return h('a', { class: 'link', href: address, target: '_blank', rel: 'noopener noreferrer' }, text);
}

/** Replaces <…> tokens by their text, still escaped. */
function flatten(text, env) {
  return text.replace(/<([^<>\n]+)>/g, (whole, body) => {
    const [target, label] = split(body);
    if (target.startsWith('@')) return `@${(env.user(target.slice(1)) || {}).name || label || target.slice(1)}`;
    if (target.startsWith('#')) return `#${(env.channel(target.slice(1)) || {}).name || label || target.slice(1)}`;
    if (target.startsWith('!')) return label || `@${target.slice(1)}`;
    return /^(?:https?|mailto):/i.test(target) ? label || target : whole;
  });
}
