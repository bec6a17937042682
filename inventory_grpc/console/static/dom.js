// Makes elements. All text goes in as text nodes: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element: `el("a", {class: "x", href: "#/"}, "text", child)`. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

const NUMBER = new Intl.NumberFormat("en");

/** Return a number with separators, and with a real minus sign. */
export function number(value) {
  return NUMBER.format(value ?? 0).replace("-", "−");
}

export function signed(value) {
  return value > 0 ? `+${number(value)}` : number(value);
}

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const SHORT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("sv-SE", { year: "numeric", month: "2-digit", day: "2-digit" });

/** Return a moment in the time zone of the browser: the time of today, or the day and the time. */
export function moment(text) {
  if (!text) return "–";
  const date = new Date(text);
  const isToday = DAY.format(date) === DAY.format(new Date());
  const shown = isToday ? TIME.format(date) : SHORT.format(date).replace(",", "");
  return el("time", { datetime: text, title: `${DAY.format(date)} ${TIME.format(date)}` }, shown);
}

/** Return a span of seconds as people say it. */
export function span(seconds) {
  const size = Math.abs(seconds);
  if (size < 60) return `${Math.round(seconds * 10) / 10} s`;
  if (size < 3600) return `${Math.round(seconds / 60)} min`;
  if (size < 86400) return `${Math.round(seconds / 360) / 10} h`;
  return `${Math.round(seconds / 8640) / 10} days`;
}

export function badge(text, kind = "") {
  return el("span", { class: `badge ${kind}` }, text);
}

/** Show a message for some seconds; it is read aloud. */
export function toast(text, kind = "") {
  const node = el("p", { class: `toast ${kind}` }, text);
  const toasts = document.getElementById("toasts");
  while (toasts.children.length > 2) toasts.firstChild.remove();
  toasts.append(node);
  setTimeout(() => node.remove(), 6000);
}

/** Read *text* aloud, without showing it. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

export const stockLink = (product, store, ...content) =>
  el("a", { href: `#/stock/${encodeURIComponent(product)}/${encodeURIComponent(store)}` },
    ...(content.length ? content : [product, el("span", { class: "faint" }, ` · ${store}`)]));

export const reservationLink = (id) =>
  el("a", { href: `#/reservations/${encodeURIComponent(id)}`, class: "id" }, id);
