// The drawings of the interface and the named emoji that messages may use.

import { svg, h } from './dom.js';

const DRAWINGS = {
  hash: ['M5 9h15', 'M4 15h15', 'M10 4 8 20', 'M16 4l-2 16'],
  lock: ['M6 11h12v9H6z', 'M8.5 11V8a3.5 3.5 0 0 1 7 0v3'],
  shared: ['M9 15 15 9', 'M10.5 6.5l2-2a4 4 0 0 1 6 6l-2 2', 'M13.5 17.5l-2 2a4 4 0 0 1-6-6l2-2'],
  home: ['M4 11l8-7 8 7', 'M6 10v10h12V10', 'M10 20v-6h4v6'],
  send: ['M4 12 20 4l-5 16-3.5-6.5z', 'M11.5 13.5 20 4'],
  plus: ['M12 5v14', 'M5 12h14'],
  bolt: ['M13 3 5 14h6l-1 7 8-11h-6z'],
  close: ['M6 6l12 12', 'M18 6 6 18'],
  back: ['M15 5l-7 7 7 7'],
  chevron: ['M7 10l5 5 5-5'],
  right: ['M10 7l5 5-5 5'],
  reply: ['M4 5h16v11H11l-4 4v-4H4z'],
  edit: ['M4 20l1-4L16 5l3 3L8 19z', 'M14 7l3 3'],
  trash: ['M5 7h14', 'M9 7V4h6v3', 'M7 7l1 13h8l1-13'],
  more: ['M6 12h.01', 'M12 12h.01', 'M18 12h.01'],
  menu: ['M4 7h16', 'M4 12h16', 'M4 17h16'],
  pulse: ['M3 12h4l3-7 4 14 3-7h4'],
  eye: ['M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z', 'M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z'],
  check: ['M5 13l4 4L19 7'],
  window: ['M14 4h6v6', 'M20 4l-9 9', 'M18 14v6H4V6h6'],
  search: ['M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z', 'M15.5 15.5 20 20'],
  warn: ['M12 4 2.5 20h19z', 'M12 10v5', 'M12 17.6v.01'],
  tools: ['M14.5 6.5a4 4 0 0 1 5-1l-2.5 2.5 1 2 2 1L22.500 8.500a4 4 0 0 1-6 4.500L8 21.500 4.500 18 13 9.500a4 4 0 0 1 1.500-3z'],
  app: ['M5 5h14v10h-8l-4 4v-4H5z', 'M9 10l2 2 4-4'],
};

/** Returns a drawing by name; unknown names are a programming error. */
export function icon(name, className = '') {
  if (!DRAWINGS[name]) throw new Error(`no drawing is called ${name}`);
  return svg(DRAWINGS[name], `icon ${className}`.trim());
}

const EMOJI = {
  white_check_mark: '✅', heavy_check_mark: '✔️', ballot_box_with_check: '☑️', x: '❌', negative_squared_cross_mark: '❎',
  hourglass: '⌛', hourglass_flowing_sand: '⏳', stopwatch: '⏱️', timer_clock: '⏲️', alarm_clock: '⏰',
  clock1: '🕐', clock3: '🕒', clock9: '🕘', lock: '🔒', unlock: '🔓', closed_lock_with_key: '🔐', key: '🔑', old_key: '🗝️',
  warning: '⚠️', bell: '🔔', no_bell: '🔕', no_entry: '⛔', no_entry_sign: '🚫', octagonal_sign: '🛑', eyes: '👀', eye: '👁️',
  calendar: '📅', date: '📅', spiral_calendar_pad: '🗓️', memo: '📝', page_facing_up: '📄', scroll: '📜', clipboard: '📋',
  link: '🔗', pushpin: '📌', ticket: '🎫', mag: '🔍', bulb: '💡', gear: '⚙️', wrench: '🔧', hammer_and_wrench: '🛠️',
  package: '📦', shield: '🛡️', robot_face: '🤖', bust_in_silhouette: '👤', busts_in_silhouette: '👥', wave: '👋',
  '+1': '👍', thumbsup: '👍', '-1': '👎', thumbsdown: '👎', raised_hand: '✋', hand: '✋', tada: '🎉', rocket: '🚀',
  rotating_light: '🚨', fire: '🔥', sos: '🆘', telephone_receiver: '📞', pager: '📟', phone: '☎️', speech_balloon: '💬',
  information_source: 'ℹ️', question: '❓', exclamation: '❗', heavy_exclamation_mark: '❗', recycle: '♻️',
  arrows_counterclockwise: '🔄', leftwards_arrow_with_hook: '↩️', arrow_right: '➡️', arrow_up: '⬆️', arrow_down: '⬇️',
  arrow_forward: '▶️', double_vertical_bar: '⏸️', heavy_plus_sign: '➕', heavy_minus_sign: '➖', star: '⭐', sparkles: '✨',
  red_circle: '🔴', large_green_circle: '🟢', large_yellow_circle: '🟡', large_orange_circle: '🟠', large_blue_circle: '🔵',
  white_circle: '⚪', black_circle: '⚫', zzz: '💤', smile: '😄', slightly_smiling_face: '🙂', pray: '🙏', ok_hand: '👌',
  wastebasket: '🗑️', inbox_tray: '📥', outbox_tray: '📤', card_index: '📇', bar_chart: '📊', balance_scale: '⚖️', scales: '⚖️',
  hourglass_done: '⌛', eject: '⏏️', door: '🚪', broom: '🧹', construction: '🚧', crystal_ball: '🔮', test_tube: '🧪',
};

/** Returns a node for :name:, or null where the name is not known here. */
export function emoji(name) {
  const char = Object.hasOwn(EMOJI, name) ? EMOJI[name] : null;
  if (!char) return null;
  return h('span', { class: 'emoji', role: 'img', 'aria-label': name.replaceAll('_', ' '), title: `:${name}:` }, char);
}
