// Says in words what an event has recorded.

import { badge, el, moment, number, reservationLink, signed, stockLink } from "./dom.js";

const TYPES = {
  StockAdded: ["Added", "in", (f) => `+${number(f.quantity)}${inState(f.state)}`],
  StockRemoved: ["Removed", "out", (f) => `−${number(f.quantity)}${inState(f.state)}`],
  StockAdjusted: ["Adjusted", "count", (f) => (f.counted === undefined ? signed(f.delta) : `counted ${number(f.counted)} (${signed(f.delta)})`) + inState(f.state)],
  StockMoved: ["Moved", "count", (f) => `${number(f.quantity)} from ${f.from_state || "sellable"} to ${f.to_state || "sellable"}`],
  StockReserved: ["Reserved", "hold", (f) => `${number(f.quantity)} for ${f.customer_id}`],
  ReservationCommitted: ["Sold", "out", (f) => `${number(f.quantity)} left the store`],
  ReservationReacquired: ["Sold late", "out", (f) => `${number(f.quantity)} left the store`],
  ReservationReleased: ["Released", "in", (f) => `${number(f.quantity)} given back`],
  ReservationExpired: ["Expired", "wait", (f) => `${number(f.quantity)} given back`],
  ReservationExtended: ["Extended", "hold", (f) => `${number(f.quantity)} held longer`],
  BackorderFilled: ["Filled", "in", (f) => `${number(f.quantity)} wait no longer`],
  StockFenced: ["Fenced", "count", (f) => `${signed(f.delta)} for ${f.channel}`],
  StockTermsChanged: ["Terms", "count", () => "policy of the stock changed"],
  ProductChanged: ["Product", "count", (f) => f.name || "entry changed"],
  StoreChanged: ["Store", "count", (f) => f.name || "entry changed"],
  PolicyChanged: ["Policy", "count", () => "values set"],
};

export const TYPE_NAMES = Object.keys(TYPES);

const inState = (state) => (state && state !== "sellable" ? ` ${state}` : "");

export function typeBadge(event) {
  const [name, kind] = TYPES[event.type] || [event.type || "Unknown", "count"];
  return badge(name, kind);
}

export function change(event) {
  const words = TYPES[event.type]?.[2];
  return words ? words({ quantity: 0, delta: 0, ...event.fact }) : "";
}

export const subject = (event) =>
  event.product_id && event.after ? stockLink(event.product_id, event.store_id)
    : el("span", {}, event.subject || event.product_id || event.store_id || "–");

/**
 * Return the position that a page of events reflects, the newest first: that of its first row. The
 * head of the log is read after the rows, and may have risen meanwhile.
 */
export const newestOf = (page) => page.events[0]?.position ?? 0;

export const reservationOf = (event) => event.fact?.reservation_id || "";

export function why(event) {
  const parts = [];
  if (event.reason) parts.push(el("span", { class: "reason" }, event.reason));
  const cart = reservationOf(event);
  if (cart) parts.push(reservationLink(cart));
  if (event.actor) parts.push(el("span", { class: "faint" }, `by ${event.actor}`));
  if (event.reference) parts.push(el("span", { class: "faint" }, event.reference));
  if (event.reverses) parts.push(el("span", { class: "faint" }, `undoes ${number(event.reverses)}`));
  return el("span", { class: "why" }, parts);
}

/** The columns of tables of events. */
export const COLUMNS = [
  { name: "Position", kind: "num narrow", cell: (event) => number(event.position) },
  { name: "Time", kind: "time wide", cell: (event) => moment(event.time) },
  { name: "What", cell: (event) => el("span", { class: "what" }, typeBadge(event), el("span", {}, change(event))) },
  { name: "Stock", kind: "id", cell: subject },
  { name: "Available", kind: "num", cell: (event) => (event.after ? number(event.after.available) : "–") },
  { name: "Why and who", kind: "wide", cell: why },
];
