// The rich_text block: sections, lists, quotes and preformatted text.

import { h } from './dom.js';
import { emoji } from './icons.js';
import { expand, fullTime } from './dates.js';
import { channelLink, groupMention, link, mention } from './mrkdwn.js';

/** Renders a rich_text block; unknown elements go to unknown(type). */
export function richText(block, env, unknown) {
  return h('div', { class: 'block-rich' }, (block.elements || []).map((element) => part(element, env, unknown)));
}

function part(element, env, unknown) {
  const content = () => (element.elements || []).map((e) => leaf(e, env, unknown));
  switch (element.type) {
    case 'rich_text_section': return h('div', { class: 'rich-section' }, content());
    case 'rich_text_quote': return h('blockquote', null, content());
    case 'rich_text_preformatted': return h('pre', { class: 'pre' }, content());
    case 'rich_text_list': {
      const items = (element.elements || []).map((e) => h('li', null, part(e, env, unknown)));
      const list = h(element.style === 'ordered' ? 'ol' : 'ul', { class: 'rich-list' }, items);
      list.style.setProperty('--indent', String(element.indent || 0));
      return list;
    }
    default: return unknown(element.type);
  }
}

function leaf(element, env, unknown) {
  switch (element.type) {
    case 'text': return styled(element.text, element.style);
    case 'link': return styled(/^(?:https?|mailto):/i.test(element.url || '') ? link(element.url, element.text, env) : element.text || element.url, element.style);
    case 'user': return mention(element.user_id, '', env);
    case 'channel': return channelLink(element.channel_id, '', env);
    case 'usergroup': return groupMention(element.usergroup_id, '', env);
    case 'broadcast': return h('span', { class: 'mention me' }, `@${element.range}`);
    case 'emoji': return emoji(element.name) || `:${element.name}:`;
    case 'date': return dated(element);
    default: return unknown(element.type);
  }
}

function dated(element) {
  const text = expand(element.timestamp, element.format || '{date_short}') ?? element.fallback ?? '';
  return h('time', { class: 'when', title: fullTime(new Date(Number(element.timestamp) * 1000)) }, text);
}

function styled(content, style = {}) {
  let node = content;
  for (const [name, tag] of [['code', 'code'], ['strike', 's'], ['italic', 'em'], ['bold', 'strong']]) {
    if (style[name]) node = h(tag, null, node);
  }
  return node;
}
