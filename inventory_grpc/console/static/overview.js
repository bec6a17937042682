// How it is going: the log, the stocks that need somebody, and the latest events.

import * as api from "./api.js";
import { el, number, reservationLink, stockLink } from "./dom.js";
import { follow, listen } from "./live.js";
import { bars } from "./plot.js";
import { infoOf } from "./server.js";
import { flags, keyOf } from "./stocks.js";
import { table, throttled } from "./table.js";
import { COLUMNS, newestOf } from "./told.js";

const SECONDS = 60;
const LATEST = 15;
const NEEDING = 8;

export async function show(root, _, signal) {
  const tiles = Object.fromEntries(["events", "low", "short", "held"].map((name) => [name, el("div", { class: "tile" })]));
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const latest = table(COLUMNS.filter(({ name }) => !["Why and who"].includes(name)), "Latest events", "No events yet: the first delivery shows up here.", (event) => String(event.position), LATEST);
  const needing = el("div");
  root.append(
    el("div", { class: "title" }, el("h1", { tabindex: "-1" }, "Overview")), problem,
    el("div", { class: "tiles" }, Object.values(tiles)),
    el("div", { class: "columns wide-first" },
      el("section", { class: "card", "aria-labelledby": "latest" }, el("div", { class: "head" }, el("h2", { id: "latest" }, "Latest events"), el("a", { href: "#/events" }, "All events")), latest.node),
      el("section", { class: "card", "aria-labelledby": "needing" }, el("h2", { class: "pad", id: "needing" }, "Needs attention"), needing)));

  pulse(tiles.events, signal);
  const loadLists = async () => {
    const [low, short, held, risk] = await Promise.all([
      api.get("stocks", { low: 1 }, signal), api.get("stocks", { short: 1 }, signal),
      api.get("reservations", { state: "ACTIVE" }, signal), api.get("at-risk", {}, signal)]);
    tiles.low.replaceChildren(...tile("Low stocks", low, "stocks", "#/stock?show=low"));
    tiles.short.replaceChildren(...tile("Stocks short of goods", short, "stocks", "#/stock?show=short"));
    tiles.held.replaceChildren(...tile("Active reservations", held, "reservations", "#/reservations?state=ACTIVE"));
    needing.replaceChildren(needed(low.stocks, short.stocks, risk.lines));
  };
  const loadState = async () => {
    const info = await infoOf(signal);
    problem.hidden = !info || info.writes !== "REFUSED";
    problem.textContent = problem.hidden ? "" : `The server refuses commands: ${info.writes_refused_reason}`;
  };
  const load = async () => {
    const [page] = await Promise.all([api.get("events", { newest_first: 1 }, signal), loadLists(), loadState()]);
    latest.set(page.events.slice(0, LATEST));
    return newestOf(page);
  };
  const again = throttled(() => Promise.all([loadLists(), loadState()]).catch(() => {}), 2000, signal);
  const timer = setInterval(again, 10_000);
  signal.addEventListener("abort", () => clearInterval(timer));
  await follow(load, (events) => {
    latest.prepend(events.slice(-LATEST));
    again();
  }, signal);
}

function tile(name, page, rows, href) {
  const more = page.next_page_token ? "+" : "";
  return [el("p", { class: "faint" }, name), el("a", { class: "figure", href }, `${number(page[rows].length)}${more}`)];
}

/** Show the events of the last minute as they come. */
function pulse(node, signal) {
  let counts = new Array(SECONDS).fill(0);
  let began = Date.now();
  const draw = () => {
    const gone = Math.min(SECONDS, Math.floor((Date.now() - began) / 1000));
    began += gone * 1000;
    if (gone) counts = [...counts.slice(gone), ...new Array(gone).fill(0)];
    const sum = counts.reduce((all, one) => all + one, 0);
    node.replaceChildren(el("p", { class: "faint" }, "Events in the last minute"),
      el("div", { class: "pulse" }, el("p", { class: "figure" }, number(sum)), bars(counts, `${sum} events in the last minute, a bar for each second`)));
  };
  listen(({ events }) => { counts[SECONDS - 1] += events.length; }, signal);
  const timer = setInterval(draw, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  draw();
}

function needed(low, short, risk) {
  const stocks = [...new Map([...short, ...low].map((stock) => [keyOf(stock), stock])).values()].slice(0, NEEDING);
  if (!stocks.length && !risk.length) return el("p", { class: "none" }, "Nothing. No stock is low or short of goods.");
  const rows = table([
    { name: "Stock", kind: "id", cell: (stock) => stockLink(stock.product_id, stock.store_id) },
    { name: "Available", kind: "num", cell: (stock) => number(stock.available) },
    { name: "Notes", kind: "flags", cell: flags },
  ], "Stocks that are low or short", "", keyOf);
  rows.set(stocks);
  return el("div", {}, stocks.length ? rows.node : null,
    risk.length ? el("div", { class: "pad" }, el("h3", {}, "Promises at risk"),
      el("ul", { class: "plain" }, risk.slice(0, NEEDING).map((line) =>
        el("li", {}, reservationLink(line.reservation_id), ` ${number(line.at_risk)} of ${line.product_id} in ${line.store_id}`)))) : null);
}
