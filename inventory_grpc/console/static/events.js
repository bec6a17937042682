// The log: live at its end, or from any position.

import * as api from "./api.js";
import { el, number, say } from "./dom.js";
import { follow } from "./live.js";
import { filters, table } from "./table.js";
import { COLUMNS, newestOf, reservationOf, TYPE_NAMES } from "./told.js";

const FIELDS = [
  { name: "type", label: "What", options: [["", "Everything"], ...TYPE_NAMES.map((name) => [name, name])] },
  { name: "product", label: "Product", placeholder: "kettle" },
  { name: "store", label: "Store", placeholder: "lisbon" },
  { name: "reservation", label: "Reservation" },
  { name: "from", label: "From position", type: "number" },
];
const SAY_EVERY_MS = 3000;

export async function show(root, { query }, signal) {
  const { from, page_token: token, ...given } = query;
  const isLive = !from && !token;
  const rows = table(COLUMNS, "Events", "No event matches.", (event) => String(event.position));
  const foot = el("nav", { class: "pager", "aria-label": "Pages of the list" });
  const pause = el("button", { type: "button", id: "pause", "aria-pressed": "false", hidden: !isLive }, "Pause");
  const route = (values) => { location.hash = `#/events?${new URLSearchParams(values)}`; };
  root.append(
    el("div", { class: "title" }, el("h1", { tabindex: "-1" }, "Events"),
      el("p", { class: "faint" }, isLive ? "The newest first, live" : from ? `From position ${number(Number(from))} on` : "The newest first"),
      el("div", { class: "actions" }, pause)),
    filters(FIELDS, query, route),
    el("section", { class: "card" }, rows.node, foot));

  if (!isLive) {
    const range = from ? { after: Math.max(0, Number(from) - 1) } : { newest_first: 1 };
    const page = await api.get("events", { ...given, ...range, page_token: token }, signal);
    rows.set(page.events);
    fill(foot, page, query, from);
    return;
  }

  let waiting = null; // a number while it is paused
  let begin = () => {};
  pause.addEventListener("click", () => {
    waiting = waiting === null ? 0 : null;
    pause.setAttribute("aria-pressed", String(waiting !== null));
    pause.textContent = waiting === null ? "Pause" : "Resume";
    if (waiting === null) begin();
  });
  let unsaid = 0;
  const timer = setInterval(() => {
    if (unsaid) say(`${unsaid} new events`);
    unsaid = 0;
  }, SAY_EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer));

  const load = async () => {
    const page = await api.get("events", { ...given, newest_first: 1 }, signal);
    rows.set(page.events);
    fill(foot, page, query, from);
    return newestOf(page);
  };
  begin = () => load().catch(() => {});
  await follow(load, (events) => {
    const ours = events.filter((event) => matches(event, given) && !rows.has(String(event.position)));
    if (!ours.length) return;
    if (waiting !== null) {
      waiting += ours.length;
      pause.textContent = `Resume, ${number(waiting)} new`;
      return;
    }
    unsaid += ours.length;
    rows.prepend(ours);
  }, signal);
}

function fill(foot, page, query, from) {
  const at = (values) => `#/events?${new URLSearchParams(values)}`;
  const { page_token: _, from: __, ...live } = query;
  foot.replaceChildren(
    el("span", { class: "faint" }, `The log ends at position ${number(page.head_position)}`),
    ...(from || query.page_token ? [el("a", { class: "button", href: at(live) }, "Newest, live")] : []),
    ...(page.next_page_token
      ? [el("a", { class: "button", href: at({ ...query, page_token: page.next_page_token }) }, from ? "Next page" : "Older")] : []));
}

const matches = (event, given) =>
  (!given.type || given.type === event.type) &&
  (!given.product || given.product === event.product_id) &&
  (!given.store || given.store === event.store_id) &&
  (!given.reservation || given.reservation === reservationOf(event));
