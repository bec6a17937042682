// One stock: its levels, why so many are available, its history as a plot and a table.

import * as api from "./api.js";
import { offer } from "./change.js";
import { el, moment, number, reservationLink, signed } from "./dom.js";
import { follow } from "./live.js";
import { plot } from "./plot.js";
import { flags, stockAfter } from "./stocks.js";
import { MAX_ROWS, table, throttled } from "./table.js";
import { COLUMNS, newestOf, reservationOf } from "./told.js";

const HISTORY = COLUMNS.filter(({ name }) => name !== "Stock").toSpliced(4, 0,
  { name: "On hand", kind: "num wide", cell: (event) => number(event.after?.on_hand) },
  { name: "Reserved", kind: "num wide", cell: (event) => number(event.after?.reserved) });

export async function show(root, { parts, canWrite }, signal) {
  const [product, store] = parts;
  const named = { product, store };
  const levels = el("div", { class: "tiles three" });
  const reasons = el("section", { class: "card pad", "aria-labelledby": "why" });
  const carts = el("section", { class: "card", "aria-labelledby": "carts" });
  const chart = plot(`${product} in ${store}`);
  const history = table(HISTORY, `History of ${product} in ${store}`, "No events yet.", (event) => String(event.position));
  const older = el("div");
  const marks = el("span", { class: "badges" });
  let stock = { product_id: product, store_id: store, version: 0 };
  let events = []; // newest last, at most MAX_ROWS

  root.append(
    el("nav", { class: "crumbs", "aria-label": "Above this page" }, el("a", { href: "#/stock" }, "Stock"), " / ",
      el("a", { href: `#/stock?${new URLSearchParams({ product })}` }, product)),
    el("div", { class: "title" },
      el("h1", { tabindex: "-1", class: "id" }, product, el("span", { class: "faint" }, ` in ${store}`)), marks,
      canWrite ? el("div", { class: "actions" },
        ["add", "remove", "adjust"].map((verb) => el("button", { type: "button", onclick: () => offer(verb, named) }, VERBS[verb]))) : null),
    levels,
    el("section", { class: "card pad" }, el("h2", {}, "Levels over time"), chart.node),
    el("div", { class: "columns" }, reasons, carts),
    el("section", { class: "card" }, el("h2", { class: "pad" }, "History"), history.node, older));

  const draw = () => {
    levels.replaceChildren(tile("Available", stock.available, "strong"), tile("On hand", stock.on_hand), tile("Reserved", stock.reserved));
    marks.replaceChildren(flags(stock));
    reasons.replaceChildren(...explained(stock, events.at(-1)));
    chart.draw(events);
  };
  const drawCarts = async () => {
    const page = await api.get("reservations", { ...named, state: "ACTIVE" }, signal);
    carts.replaceChildren(el("h2", { class: "pad", id: "carts" }, "Reservations that hold units"), ...held(page, named));
  };
  const carted = throttled(() => drawCarts().catch(() => {}), 1000, signal);
  const drawOlder = (token) => older.replaceChildren(token && events.length < MAX_ROWS
    ? el("nav", { class: "pager" }, el("span"), el("button", { type: "button", onclick: () => addOlder(token) }, "Older events"))
    : el("nav", { class: "pager" }, el("a", { class: "button", href: `#/events?${new URLSearchParams(named)}` }, "All events of this stock")));
  const addOlder = async (token) => {
    const page = await api.get("events", { ...named, newest_first: 1, page_token: token }, signal);
    const room = page.events.slice(0, MAX_ROWS - events.length);
    events = [...room.toReversed(), ...events];
    history.append(room);
    draw();
    drawOlder(page.next_page_token);
  };

  const load = async () => {
    const page = await api.get("events", { ...named, newest_first: 1 }, signal);
    const [found] = await Promise.all([
      api.get("stock", named, signal), drawCarts()]);
    stock = found.stock;
    events = page.events.toReversed();
    history.set(page.events);
    draw();
    drawOlder(page.next_page_token);
    return newestOf(page);
  };
  const apply = (news) => {
    const ours = news.filter((event) => event.product_id === product && event.store_id === store && event.after);
    if (!ours.length) return;
    stock = { ...stock, states: [], fences: [], ...zero, ...stockAfter(ours.at(-1)) };
    events = [...events, ...ours].slice(-MAX_ROWS);
    history.prepend(ours);
    draw();
    if (ours.some(reservationOf)) carted();
  };
  await follow(load, apply, signal);
}

const VERBS = { add: "Add", remove: "Remove", adjust: "Adjust" };
const zero = { shortfall: 0, backordered: 0, backorderable: 0, ring_fenced: 0, safety_stock: 0, low_stock: false, retired: false };

const tile = (name, value, kind = "") =>
  el("div", { class: `tile ${kind}` }, el("p", { class: "faint" }, name), el("p", { class: "figure" }, number(value)));

/** Return the sum that ends at what is available. The last line is the server's word. */
function explained(stock, last) {
  const lines = [["On hand", stock.on_hand]];
  for (const { state, units } of stock.states || []) lines.push([`in the state ${state}`, -units]);
  lines.push(["reserved for customers", -stock.reserved]);
  for (const { channel, units } of stock.fences || []) lines.push([`set aside for ${channel}`, -units]);
  if (stock.safety_stock) lines.push(["kept back as safety stock", -stock.safety_stock]);
  const left = lines.reduce((sum, [, units]) => sum + units, 0);
  if (stock.retired) lines.push(["retired, so nothing is promised", stock.available - left]);
  else if (stock.available !== left) lines.push(["promised beyond what is there", stock.available - left]);
  const notes = [
    stock.shortfall ? `${number(stock.shortfall)} promised units are missing.` : "",
    stock.backordered ? `${number(stock.backordered)} reserved units wait for goods.` : "",
    stock.backorderable ? `${number(stock.backorderable)} more can be promised as backordered.` : "",
  ].filter(Boolean);
  return [
    el("h2", { id: "why" }, `Why is available ${number(stock.available)}?`),
    el("table", { class: "sum" }, el("caption", { class: "unseen" }, "From on hand to available"),
      el("tbody", {}, lines.map(([name, units], index) =>
        el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "num" }, index ? signed(units) : number(units))))),
      el("tfoot", {}, el("tr", {}, el("th", { scope: "row" }, "Available"), el("td", { class: "num" }, number(stock.available))))),
    ...notes.map((note) => el("p", { class: "note" }, note)),
    last ? el("p", { class: "note faint" }, "Last changed ", moment(last.time), ` at position ${number(last.position)}, version ${number(stock.version)}.`) : null,
  ].filter(Boolean);
}

function held(page, { product, store }) {
  if (!page.reservations.length) return [el("p", { class: "none" }, "No reservation holds any of it.")];
  const rows = table([
    { name: "Reservation", kind: "id", cell: (one) => reservationLink(one.reservation_id) },
    { name: "Customer", kind: "id", cell: (one) => one.customer_id },
    { name: "Held", kind: "num", cell: (one) => number(lineOf(one, product, store)?.held) },
    { name: "Until", kind: "time wide", cell: (one) => (one.expire_time ? moment(one.expire_time) : "no end") },
  ], "Reservations that hold units", "", (one) => one.reservation_id);
  rows.set(page.reservations);
  return [rows.node, page.next_page_token ? el("p", { class: "note faint pad" }, "The newest are shown; there are more.") : ""];
}

const lineOf = (one, product, store) =>
  one.lines.find((line) => line.product_id === product && line.store_id === store);
