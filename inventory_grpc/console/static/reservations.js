// Reservations: the list, and one with its lines and its events.

import * as api from "./api.js";
import { offer } from "./change.js";
import { badge, el, moment, number, reservationLink, stockLink } from "./dom.js";
import { follow } from "./live.js";
import { filters, pager, table, throttled } from "./table.js";
import { COLUMNS as EVENTS, newestOf, reservationOf } from "./told.js";

const STATES = { ACTIVE: ["Active", "hold"], COMMITTED: ["Sold", "in"], RELEASED: ["Released", "count"], EXPIRED: ["Expired", "wait"] };
const FIELDS = [
  { name: "state", label: "State", options: [["", "All"], ...Object.entries(STATES).map(([state, [name]]) => [state, name])] },
  { name: "customer", label: "Customer", placeholder: "ana" },
  { name: "product", label: "Product", placeholder: "kettle" },
  { name: "store", label: "Store", placeholder: "lisbon" },
  { name: "order", label: "Order" },
];
const LINES_SHOWN = 3;

const COLUMNS = [
  { name: "Reservation", kind: "id", cell: (one) => reservationLink(one.reservation_id) },
  { name: "State", cell: (one) => stateBadge(one.state) },
  { name: "Customer", kind: "id", cell: (one) => one.customer_id },
  { name: "Lines", kind: "id wide", cell: lines },
  { name: "Units", kind: "num", cell: (one) => number(one.lines.reduce((sum, line) => sum + line.quantity, 0)) },
  { name: "Made", kind: "time wide", cell: (one) => moment(one.create_time) },
  { name: "Until", kind: "time wide", cell: (one) => (one.expire_time ? moment(one.expire_time) : "no end") },
];

const stateBadge = (state) => badge(...(STATES[state] || [state, ""]));

function lines(one) {
  const shown = one.lines.slice(0, LINES_SHOWN).map((line) => `${number(line.quantity)} ${line.product_id}`);
  const more = one.lines.length - shown.length;
  return shown.join(", ") + (more > 0 ? `, and ${more} more` : "");
}

export async function showList(root, { query }, signal) {
  const rows = table(COLUMNS, "Reservations, the newest first", "No reservation matches.", (one) => one.reservation_id);
  const pages = el("div");
  root.append(
    el("div", { class: "title" }, el("h1", { tabindex: "-1" }, "Reservations"), el("p", { class: "faint" }, "The newest first")),
    filters(FIELDS, query, (values) => { location.hash = `#/reservations?${new URLSearchParams(values)}`; }),
    el("section", { class: "card" }, rows.node, pages));
  const load = async () => {
    const page = await api.get("reservations", query, signal);
    rows.set(page.reservations);
    const more = page.next_page_token;
    pages.replaceChildren(pager("/reservations", query, more, `${number(page.reservations.length)} reservations${more ? ", and more" : ""}`));
    return page.as_of_position;
  };
  const again = throttled(() => load().catch(() => {}), 1000, signal);
  await follow(load, (events) => events.some(reservationOf) && again(), signal);
}

export async function showOne(root, { parts: [id], canWrite }, signal) {
  const body = el("div", { class: "stack" });
  const actions = el("div", { class: "actions" });
  const marks = el("span", { class: "badges" });
  const history = table(EVENTS, `Events of ${id}`, "No events.", (event) => String(event.position));
  root.append(
    el("nav", { class: "crumbs", "aria-label": "Above this page" }, el("a", { href: "#/reservations" }, "Reservations")),
    el("div", { class: "title" }, el("h1", { tabindex: "-1", class: "id" }, id), marks, actions),
    body,
    el("section", { class: "card" }, el("h2", { class: "pad" }, "History"), history.node));
  const load = async () => {
    const [page, answer] = await Promise.all([
      api.get("events", { reservation: id, newest_first: 1 }, signal),
      api.get("reservation", { reservation: id }, signal)]);
    const one = answer.reservation;
    history.set(page.events);
    marks.replaceChildren(stateBadge(one.state));
    actions.replaceChildren(...(canWrite && one.state === "ACTIVE"
      ? [el("button", { type: "button", onclick: () => offer("release", { reservation: id }) }, "Release")] : []));
    body.replaceChildren(facts(one), lineTable(one));
    return newestOf(page);
  };
  const again = throttled(() => load().catch(() => {}), 300, signal);
  await follow(load, (events) => events.some((event) => reservationOf(event) === id) && again(), signal);
}

function facts(one) {
  const known = [
    ["Customer", one.customer_id], ["Order", one.order_id], ["Channel", one.channel], ["Reference", one.reference],
    ["Made", moment(one.create_time)], ["Held until", one.expire_time ? moment(one.expire_time) : "no end"]];
  return el("dl", { class: "facts card pad" },
    known.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function lineTable(one) {
  const level = (name) => ({ name: name[0].toUpperCase() + name.slice(1), kind: "num", cell: (line) => number(line[name]) });
  const rows = table([
    { name: "Stock", kind: "id", cell: (line) => stockLink(line.product_id, line.store_id) },
    { ...level("quantity"), name: "Units" }, level("held"), { ...level("committed"), name: "Sold" },
    { ...level("released"), kind: "num wide" }, { ...level("expired"), kind: "num wide" },
  ], "Lines", "No lines.", (line) => `${line.product_id}@${line.store_id}`);
  rows.set(one.lines.slice(0, 200));
  const more = one.lines.length - 200;
  return el("section", { class: "card" }, el("h2", { class: "pad" }, "Lines"), rows.node,
    more > 0 ? el("p", { class: "note faint pad" }, `The first 200 are shown, of ${number(one.lines.length)}.`) : null);
}
