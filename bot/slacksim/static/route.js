// The address of the page: #/U0ALICE/c/C0ACCESS/1712.0001 is Alice, looking at
// a channel with a thread open; #/U0ALICE/home is the Home tab of the app;
// #/c/C0ACCESS/1712.0001 leaves open who looks.

/** Reads a hash into {user, home, channel, thread}; what is absent is ''. */
export function parse(hash) {
  const parts = hash.replace(/^#\/?/, '').split('/').map(safeDecode);
  if (parts[0] === 'c') parts.unshift('');
  const route = { user: parts[0] || '', home: parts[1] === 'home', channel: '', thread: '' };
  if (parts[1] === 'c') {
    route.channel = parts[2] || '';
    route.thread = parts[3] || '';
  }
  return route;
}

/** Writes a route as a hash. */
export function format({ user, home, channel, thread }) {
  const parts = [user];
  if (home) parts.push('home');
  else if (channel) parts.push('c', channel);
  if (!home && channel && thread) parts.push(thread);
  return `#/${parts.map(encodeURIComponent).join('/')}`;
}

/**
 * Reads a permalink of this origin (/archives/C1/p1712000000000100?thread_ts=…)
 * into {channel, ts, thread}; null for any other address.
 */
export function permalink(address) {
  let url;
  try {
    url = new URL(address, location.href);
  } catch {
    return null;
  }
  const match = /^\/archives\/([^/]+)\/p(\d{7,})$/.exec(url.pathname);
  if (url.origin !== location.origin || !match) return null;
  const ts = `${match[2].slice(0, -6)}.${match[2].slice(-6)}`;
  return { channel: match[1], ts, thread: url.searchParams.get('thread_ts') || ts };
}

function safeDecode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
