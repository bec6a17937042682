// Corrections: a form, a look at what it will change, and the command.

import * as api from "./api.js";
import { el, number, signed, toast } from "./dom.js";

const LEVELS = [["on_hand", "On hand"], ["reserved", "Reserved"], ["available", "Available"]];
const QUANTITY = { name: "quantity", label: "Units", type: "number", min: 1, required: true };
const VERBS = {
  add: { title: "Add units", fields: [QUANTITY], why: "delivery 4711" },
  remove: { title: "Remove units", fields: [QUANTITY], why: "broken in the window" },
  adjust: { title: "Adjust to a count", fields: [{ name: "on_hand", label: "Units counted on hand", type: "number", min: 0, required: true }], why: "counted on Sunday" },
  release: { title: "Release the reservation", fields: [], why: "the customer called" },
};
const NAMES = [
  { name: "product", label: "Product", required: true, maxlength: 128 },
  { name: "store", label: "Store", required: true, maxlength: 128 },
];

/** Open the form of *verb* about a stock `{product, store}` or a cart `{reservation}`. */
export function offer(verb, about) {
  const { title, fields, why } = VERBS[verb];
  // One for the life of the form: whatever is clicked twice, or sent again, is recorded once.
  const requestId = crypto.randomUUID();
  const isNew = verb === "add" && !about.product;
  const subject = about.reservation || (isNew ? "" : `${about.product} in ${about.store}`);
  const body = el("div");
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const dialog = el("dialog", { "aria-labelledby": "change-title", onclose: () => dialog.remove() },
    el("h2", { id: "change-title" }, title, subject ? el("span", { class: "faint id" }, ` ${subject}`) : null), problem, body);

  const tell = (error) => {
    problem.hidden = !error;
    problem.textContent = error
      ? `${error.message}${error.inDoubt ? " It may have been recorded: send it again, it is recorded once." : ""}` : "";
  };

  const ask = (given = {}) => {
    const form = el("form", { method: "dialog", onsubmit: async (event) => {
      event.preventDefault();
      const values = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
      await busy(form, async () => review(values, await tried(verb, about, values, requestId)));
    } },
    [...(isNew ? NAMES : []), ...fields, { name: "reason", label: "Reason, for the log", placeholder: why, required: true, maxlength: 500 }]
      .map(({ name, label, ...attributes }) => el("div", { class: "field" },
        el("label", { for: `change-${name}` }, label),
        el("input", { id: `change-${name}`, name, value: given[name] ?? "", autocomplete: "off", ...attributes }))),
    el("div", { class: "actions" },
      el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Cancel"),
      el("button", { type: "submit", class: "main" }, "Review")));
    body.replaceChildren(form);
    form.querySelector("input").focus();
  };

  const review = (values, { form, rows }) => {
    const send = el("button", { type: "button", class: "main", onclick: () => busy(send, async () => {
      const answer = await api.post(verb, { ...form, dry_run: false });
      dialog.close();
      toast(answer.replayed ? "It was recorded before, once." : `Recorded at position ${number(answer.position)}.`, "good");
    }) }, "Record it");
    body.replaceChildren(
      el("p", {}, "This is what it changes. Nothing is recorded yet."), comparison(rows),
      el("p", { class: "note" }, "Reason: ", el("span", { class: "reason" }, form.reason)),
      el("div", { class: "actions" },
        el("button", { type: "button", class: "quiet", onclick: () => { tell(); ask(values); } }, "Back"), send));
    send.focus();
  };

  const busy = async (node, work) => {
    if (node.getAttribute("aria-busy") === "true") return;
    node.setAttribute("aria-busy", "true");
    tell();
    try {
      await work();
    } catch (error) {
      tell(error);
    }
    node.setAttribute("aria-busy", "false");
  };

  document.body.append(dialog);
  ask();
  dialog.showModal();
}

/** Try the form; return it as it is to be sent, and the levels before and after it. */
async function tried(verb, about, values, requestId) {
  const common = { reason: values.reason, request_id: requestId };
  if (verb === "release") {
    const form = { ...common, reservation_id: about.reservation };
    const [before, after] = await Promise.all([
      api.get("reservation", { reservation: about.reservation }), api.post(verb, { ...form, dry_run: true })]);
    return { form, rows: heldRows(before.reservation, after.reservation) };
  }
  const named = { product: about.product || values.product, store: about.store || values.store };
  const before = await stockOf(named);
  const number_ = verb === "adjust" ? { on_hand: Number(values.on_hand) } : { quantity: Number(values.quantity) };
  const form = { ...common, product_id: named.product, store_id: named.store, expected_version: before.version, ...number_ };
  const after = await api.post(verb, { ...form, dry_run: true });
  return { form, rows: LEVELS.map(([level, name]) => [name, before[level], after.stock[level]]) };
}

async function stockOf(named) {
  try {
    return (await api.get("stock", named)).stock;
  } catch (error) {
    if (error.reason === "STOCK_NOT_FOUND") return { version: 0, on_hand: 0, reserved: 0, available: 0 };
    throw error;
  }
}

const SHOWN_LINES = 20;

function heldRows(before, after) {
  return before.lines.slice(0, SHOWN_LINES).map((line, index) =>
    [`Held of ${line.product_id} in ${line.store_id}`, line.held, after.lines[index].held]);
}

const comparison = (rows) => el("table", { class: "compare" },
  el("caption", { class: "unseen" }, "Before and after"),
  el("thead", {}, el("tr", {}, ["", "Before", "After", "Change"].map((name, index) =>
    el("th", { scope: "col", class: index ? "num" : "" }, name)))),
  el("tbody", {}, rows.map(([name, before, after]) => el("tr", { class: before === after ? "same" : "" },
    el("th", { scope: "row" }, name), el("td", { class: "num" }, number(before)),
    el("td", { class: "num strong" }, number(after)), el("td", { class: "num" }, before === after ? "–" : signed(after - before))))));
