// Times in the zone of whoever looks: message times, day dividers and the
// <!date^…> tokens of Slack's text format.

const clockLocale = navigator.language.startsWith('en') ? navigator.language : 'en-GB';

function words(date, options) {
  return new Intl.DateTimeFormat('en-US', options).format(date);
}

function clock(date, seconds = false) {
  return new Intl.DateTimeFormat(clockLocale, {
    hour: 'numeric', minute: '2-digit', ...(seconds ? { second: '2-digit' } : {}),
  }).format(date);
}

function ordinal(day) {
  if (day % 100 >= 11 && day % 100 <= 13) return `${day}th`;
  return day + ({ 1: 'st', 2: 'nd', 3: 'rd' }[day % 10] || 'th');
}

function numeric(date) {
  const two = (n) => String(n).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function full(date) {
  return `${words(date, { month: 'long' })} ${ordinal(date.getDate())}, ${date.getFullYear()}`;
}

function short(date) {
  return words(date, { month: 'short', day: 'numeric', year: 'numeric' });
}

function long(date) {
  return `${words(date, { weekday: 'long' })}, ${full(date)}`;
}

/** Whole calendar days from now to date: -1 is yesterday. */
function dayDistance(date, now) {
  const noon = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate(), 12);
  return Math.round((noon(date) - noon(now)) / 86400000);
}

function pretty(date, now, otherwise) {
  return { '-1': 'yesterday', 0: 'today', 1: 'tomorrow' }[dayDistance(date, now)] || otherwise(date);
}

/** Says how far a time is from now, in words. */
export function ago(date, now = new Date()) {
  const seconds = Math.round((date - now) / 1000);
  const size = Math.abs(seconds);
  if (size < 45) return seconds <= 0 ? 'just now' : 'in a moment';
  const units = [['year', 31536000], ['month', 2592000], ['week', 604800], ['day', 86400], ['hour', 3600], ['minute', 60]];
  const [unit, length] = units.find(([, s]) => size >= s) || units.at(-1);
  const n = Math.max(1, Math.round(size / length));
  const phrase = `${n} ${unit}${n === 1 ? '' : 's'}`;
  return seconds < 0 ? `${phrase} ago` : `in ${phrase}`;
}

const TOKENS = {
  date_num: numeric,
  date: full,
  date_short: short,
  date_long: long,
  date_pretty: (d, now) => pretty(d, now, full),
  date_short_pretty: (d, now) => pretty(d, now, short),
  date_long_pretty: (d, now) => pretty(d, now, long),
  time: (d) => clock(d),
  time_secs: (d) => clock(d, true),
  ago,
};

/**
 * Expands the {tokens} of a date format for a Unix time in seconds. Returns
 * null where the time or a token is not understood: then the fallback counts.
 * The first letter is upper case only where the date begins a line.
 */
export function expand(seconds, format, { now = new Date(), begins = false } = {}) {
  if (!/^\d{1,11}$/.test(String(seconds))) return null;
  const date = new Date(Number(seconds) * 1000);
  let understood = true;
  const text = format.replace(/\{(\w+)\}/g, (whole, name) => {
    if (Object.hasOwn(TOKENS, name)) return TOKENS[name](date, now);
    understood = false;
    return whole;
  });
  if (!understood) return null;
  return begins ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

/** The time of a message timestamp ("1712000000.000100") as a Date. */
export function messageDate(ts) {
  return new Date(Number.parseFloat(ts) * 1000);
}

/** The time of day of a message. */
export function messageTime(ts) {
  return clock(messageDate(ts));
}

/** Date and time in full, for tooltips. */
export function fullTime(date) {
  return `${long(date)} at ${clock(date, true)}`;
}

/** The label of a day in a channel: Today, Yesterday or the date. */
export function dayLabel(ts, now = new Date()) {
  const date = messageDate(ts);
  const text = pretty(date, now, (d) => `${words(d, { weekday: 'long' })}, ${words(d, { month: 'long' })} ${ordinal(d.getDate())}`);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A key that is equal for two timestamps of the same local day. */
export function dayKey(ts) {
  return numeric(messageDate(ts));
}
