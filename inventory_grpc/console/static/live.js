// The stream of events that all views share. It resumes after the last position it has seen.

const listeners = new Set();
const RETRY_MS = 2000;
const SILENT_MS = 7000; // the console sends a beat every 2 seconds

/** The state of the stream: `connecting`, `live`, `away` (the server) or `lost` (the console). */
export const state = { name: "connecting", head: 0, logId: "", trouble: "" };

let source = null;
let position = null;
let heard = 0;
let retry = 0;

/** Call `on({events, head})` for each message, until *signal* is aborted. */
export function listen(on, signal) {
  listeners.add(on);
  signal.addEventListener("abort", () => listeners.delete(on));
}

/** Open the stream; the promise is kept when it is open, or after 3 seconds. */
export function open() {
  close();
  const query = new URLSearchParams();
  if (position !== null) query.set("after", position);
  if (state.logId) query.set("log", state.logId);
  source = new EventSource(`/events?${query}`);
  heard = Date.now();
  for (const kind of ["events", "beat", "missed", "reset", "refused"]) {
    source.addEventListener(kind, (message) => received(kind, message));
  }
  source.addEventListener("error", lost);
  return new Promise((resolve) => {
    source.addEventListener("beat", resolve, { once: true });
    source.addEventListener("events", resolve, { once: true });
    setTimeout(resolve, 3000);
  });
}

export function close() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

function lost() {
  turn("lost");
  if (source?.readyState === EventSource.CLOSED) again(); // such as a 503, after which browsers give up
}

function again() {
  close();
  retry = setTimeout(open, RETRY_MS);
}

function received(kind, message) {
  const data = JSON.parse(message.data);
  heard = Date.now();
  if (kind === "reset") return begin();
  if (kind === "refused") {
    close();
    state.trouble = data.message;
    turn("away");
    return window.dispatchEvent(new Event("signin"));
  }
  if (message.lastEventId) position = Number(message.lastEventId);
  if (kind === "missed") return tell({ events: [], missed: data });
  if (data.log_id) {
    state.logId = data.log_id;
    state.head = data.head;
  }
  state.trouble = data.trouble;
  turn(data.away || data.trouble ? "away" : data.log_id ? "live" : "connecting");
  if (kind === "events") tell(data);
}

/** Begin anew, because the server has another log. */
function begin() {
  close();
  position = null;
  state.logId = "";
  window.dispatchEvent(new Event("otherlog"));
  open();
}

function tell(data) {
  for (const on of [...listeners]) on(data);
}

function turn(name) {
  state.name = name;
  window.dispatchEvent(new Event("live"));
}

setInterval(() => {
  if (source && Date.now() - heard > SILENT_MS) {
    turn("lost");
    again();
  }
}, 1000);

// A hidden page needs no stream. Browsers allow six connections to one host over HTTP/1.1.
let hiding = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(close, 10_000);
  else if (!source && state.name !== "connecting") open();
});

const MOST_WAITING = 20_000; // events; a view that has missed more is loaded anew
const APPLY_EVERY_MS = 60; // a busy log must not keep the page from being used

/**
 * Load a view, then apply the events after it: none is missing and none comes twice.
 *
 * `load()` returns the position that the view reflects.
 */
export async function follow(load, apply, signal) {
  let waiting = [];
  let loaded = null; // the position that the view reflects; null while it is loading
  let timer = 0;

  const applyWaiting = () => {
    timer = 0;
    if (signal.aborted || loaded === null) return;
    const news = waiting.filter((event) => event.position > loaded);
    waiting = [];
    if (!news.length) return;
    loaded = news.at(-1).position;
    apply(news);
  };
  const reload = async () => {
    do {
      loaded = null;
      waiting = [];
      const at = await load();
      if (signal.aborted) return;
      loaded = at;
    } while (waiting.length >= MOST_WAITING);
    applyWaiting();
  };
  listen(({ events, missed }) => {
    const isTooMuch = missed || waiting.length + events.length > MOST_WAITING;
    if (!isTooMuch) waiting.push(...events);
    else if (loaded !== null) return void reload().catch(() => {});
    else waiting = new Array(MOST_WAITING); // `reload` begins again
    timer ||= setTimeout(applyWaiting, APPLY_EVERY_MS);
  }, signal);
  await reload();
}
