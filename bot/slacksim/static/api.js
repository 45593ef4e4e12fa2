// Talking to the simulator: reads, acts and the stream of what changed.

/** A refusal or a fault of the server, in a sentence that can be shown. */
export class APIError extends Error {}

/** Passes over a failed read whose result is fetched again when the stream is back; mistakes in this program stay loud. */
export function tolerate(error) {
  if (!(error instanceof APIError)) throw error;
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new APIError('The local Slack cannot be reached. Is it still running?');
  }
  let body = null;
  try {
    body = await response.json();
  } catch {
    throw new APIError(`The local Slack answered ${response.status} without JSON.`);
  }
  if (!response.ok || (body && body.error)) {
    throw new APIError((body && body.error) || `The local Slack answered ${response.status}.`);
  }
  return body;
}

/** Reads /sim/<what> with the given query. */
export function read(what, query = {}) {
  const params = new URLSearchParams(query).toString();
  return request(`/sim/${what}${params ? `?${params}` : ''}`, { headers: { Accept: 'application/json' } });
}

/** Does something as a person; throws APIError when it is refused. */
export function act(as, body) {
  return request('/sim/act', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ as, ...body }),
  });
}

/**
 * Follows the event stream of one person. changed(list) receives what to fetch
 * again, state(connected) whether the stream is up; a stream that was lost
 * reports ['*'] once it is back. Returns a function that ends it.
 */
export function follow(as, { changed, state }) {
  let source = null;
  let timer = 0;
  let lost = false;
  const open = () => {
    source = new EventSource(`/sim/events?as=${encodeURIComponent(as)}`);
    source.onopen = () => {
      state(true);
      if (lost) changed(['*']);
      lost = false;
    };
    source.onmessage = (event) => changed(JSON.parse(event.data).what || []);
    source.onerror = () => {
      lost = true;
      state(false);
      if (source.readyState !== EventSource.CLOSED) return;
      clearTimeout(timer);
      timer = setTimeout(open, 1000);
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

/** Wraps an async function so that calls while it runs lead to exactly one further run. */
export function coalesce(run) {
  let running = null;
  let again = false;
  const loop = async () => {
    do {
      again = false;
      await run();
    } while (again);
  };
  return () => {
    if (running) {
      again = true;
      return running;
    }
    running = loop().finally(() => { running = null; });
    return running;
  };
}
