// The frame of the console: which page is shown, who looks, and whether it is live.

import * as api from "./api.js";
import { el, number } from "./dom.js";
import * as events from "./events.js";
import * as live from "./live.js";
import * as overview from "./overview.js";
import * as reservations from "./reservations.js";
import * as server from "./server.js";
import { signIn } from "./signin.js";
import * as stock from "./stock.js";
import * as stocks from "./stocks.js";

const PAGES = {
  "": ["overview", "Overview", overview.show],
  "stock/0": ["stock", "Stock", stocks.show],
  "stock/2": ["stock", "Stock", stock.show],
  "reservations/0": ["reservations", "Reservations", reservations.showList],
  "reservations/1": ["reservations", "Reservation", reservations.showOne],
  "events/0": ["events", "Events", events.show],
  "server/0": ["server", "Server", server.show],
};
const SAID = { connecting: "Connecting", live: "Live", away: "Server away", lost: "Console away" };

const main = document.getElementById("main");
let session = { may_look: false };
let shown = new AbortController();
let hasFailed = false;

/** Return the page in the address: `#/stock/kettle/lisbon?low=1`. */
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...parts] = path.split("/");
  return { name, parts: parts.map(decoded), query: Object.fromEntries(new URLSearchParams(query)) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function show({ isMove = false } = {}) {
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  hasFailed = false;
  if (session.signs_in && !session.may_look) {
    main.replaceChildren();
    return signIn(main, start);
  }
  const { name, parts, query } = route();
  const page = PAGES[name ? `${name}/${parts.length}` : ""];
  const root = el("div", { class: "page" });
  main.replaceChildren(root);
  mark(page?.[0] || "");
  document.title = `${[...parts, page?.[1] || "Not found"].join(" · ")} · Inventory`;
  if (!page) {
    root.append(el("h1", { tabindex: "-1" }, "There is no such page"), el("p", {}, el("a", { href: "#/" }, "Overview")));
  } else {
    const doing = page[2](root, { parts, query, session, canWrite: session.write }, signal);
    if (isMove) root.querySelector("h1")?.focus({ preventScroll: true });
    if (isMove) window.scrollTo(0, 0);
    try {
      await doing;
    } catch (error) {
      if (!signal.aborted) fail(root, error);
    }
  }
}

function fail(root, error) {
  hasFailed = true;
  const title = root.querySelector(".title");
  root.replaceChildren(...(title ? [title] : []), el("div", { class: "card pad", role: "alert" },
    el("h2", {}, error.status === 404 ? "Nothing is recorded under this name" : "This cannot be shown now"),
    el("p", { class: "note" }, error.message),
    el("p", { class: "note" }, el("button", { type: "button", onclick: () => show() }, "Try again"))));
}

function mark(name) {
  for (const link of document.querySelectorAll("[data-page]")) {
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function showState() {
  const { name, head, trouble } = live.state;
  const node = document.getElementById("live");
  if (node.dataset.state !== name) {
    node.dataset.state = name;
    document.getElementById("live-said").textContent = SAID[name];
    if (name === "live" && hasFailed) show();
  }
  node.title = trouble || "";
  document.getElementById("head").textContent = head ? `Position ${number(head)}` : "";
}

async function start() {
  try {
    session = await api.get("session");
  } catch (error) {
    main.replaceChildren();
    fail(main, error);
    return setTimeout(start, 2000);
  }
  document.getElementById("sign-out").hidden = !(session.signs_in && session.may_look);
  document.getElementById("mode").textContent = session.write ? "Corrections on" : "Read-only";
  document.body.classList.toggle("outside", session.signs_in && !session.may_look);
  if (session.may_look) await live.open();
  else live.close();
  await show();
}

window.addEventListener("hashchange", () => show({ isMove: true }));
window.addEventListener("live", showState);
window.addEventListener("otherlog", () => show());
window.addEventListener("signin", () => {
  if (session.signs_in && session.may_look) start();
});
document.getElementById("sign-out").addEventListener("click", async () => {
  await api.post("sign-out", {});
  await start();
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, dialog");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const field = document.querySelector(".filters input, .filters select");
  if (!field) return;
  event.preventDefault();
  field.focus();
});
start();
