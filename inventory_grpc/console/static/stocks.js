// The list of stocks.

import * as api from "./api.js";
import { offer } from "./change.js";
import { badge, el, moment, number, stockLink } from "./dom.js";
import { follow } from "./live.js";
import { filters, pager, table } from "./table.js";

const SHOWN = { "": {}, low: { low: 1 }, short: { short: 1 }, backordered: { backordered: 1 } };
const FIELDS = [
  { name: "product", label: "Product", placeholder: "kettle" },
  { name: "store", label: "Store", placeholder: "lisbon" },
  { name: "max_available", label: "Available at most", type: "number" },
  { name: "show", label: "Show", options: [["", "All"], ["low", "Low"], ["short", "Short"], ["backordered", "Backordered"]] },
];

export const COLUMNS = [
  { name: "Product", kind: "id", cell: (stock) => stockLink(stock.product_id, stock.store_id, stock.product_id) },
  { name: "Store", kind: "id", cell: (stock) => stock.store_id },
  { name: "Available", kind: "num strong", cell: (stock) => number(stock.available) },
  { name: "On hand", kind: "num wide", cell: (stock) => number(stock.on_hand) },
  { name: "Reserved", kind: "num wide", cell: (stock) => number(stock.reserved) },
  { name: "Notes", kind: "flags", cell: flags },
  { name: "Changed", kind: "time wide", cell: (stock) => moment(stock.update_time) },
];

export function flags(stock) {
  return el("span", { class: "badges" },
    stock.retired ? badge("Retired", "count") : null,
    stock.shortfall ? badge(`Short ${number(stock.shortfall)}`, "bad") : null,
    stock.low_stock ? badge("Low", "wait") : null,
    !stock.low_stock && !stock.shortfall && !stock.available && !stock.retired ? badge("Out", "wait") : null,
    stock.backordered ? badge(`${number(stock.backordered)} waiting`, "hold") : null);
}

export const keyOf = (stock) => `${stock.product_id}@${stock.store_id}`;

/** Return the stock after *event*, as far as events show it. */
export const stockAfter = (event) => ({
  product_id: event.product_id, store_id: event.store_id, version: event.version,
  update_time: event.time, ...event.after });

export async function show(root, { query, canWrite }, signal) {
  const { show: shown = "", ...given } = query;
  const rows = table(COLUMNS, "Stocks", "No stock matches.", keyOf);
  const pages = el("div");
  root.append(
    el("div", { class: "title" }, el("h1", { tabindex: "-1" }, "Stock"),
      canWrite ? el("div", { class: "actions" }, el("button", { type: "button", onclick: () => offer("add", {}) }, "Add")) : null),
    filters(FIELDS, query, (values) => { location.hash = `#/stock?${new URLSearchParams(values)}`; }),
    el("section", { class: "card" }, rows.node, pages));
  let isLast = true;

  const load = async () => {
    const page = await api.get("stocks", { ...given, ...SHOWN[shown] }, signal);
    rows.set(page.stocks);
    isLast = !page.next_page_token;
    pages.replaceChildren(pager("/stock", query, page.next_page_token, `${number(page.stocks.length)} stocks${isLast ? "" : ", and more"}`));
    return page.as_of_position;
  };
  const apply = (events) => {
    for (const event of events) {
      if (!event.after) continue;
      const stock = stockAfter(event);
      if (rows.has(keyOf(stock))) rows.update(stock);
      else if (event.version === 1 && isLast && !query.page_token && matches(stock, query)) {
        rows.insert(stock, (a, b) => isBefore(a, b));
      }
    }
  };
  await follow(load, apply, signal);
}

function isBefore(key, other) {
  const [a, b] = [key.split("@"), other.split("@")];
  return a[0] === b[0] ? a[1] < b[1] : a[0] < b[0];
}

const matches = (stock, query) =>
  (!query.product || query.product === stock.product_id) &&
  (!query.store || query.store === stock.store_id) &&
  (!query.max_available || stock.available <= Number(query.max_available)) &&
  (!query.show || { low: stock.low_stock, short: stock.shortfall, backordered: stock.backordered }[query.show]);
