// Tables, filters and pages.

import { el } from "./dom.js";

export const MAX_ROWS = 200;

/**
 * Return a table with the *columns* `{name, kind, cell}`. A kind is a class, such as `num`, or
 * `wide` for a column that narrow screens leave out. It has at most *most* rows.
 */
export function table(columns, caption, empty, key, most = MAX_ROWS) {
  const body = el("tbody");
  const none = el("p", { class: "none", hidden: true }, empty);
  const head = el("tr", {}, columns.map(({ name, kind }) => el("th", { scope: "col", class: kind }, name)));
  const node = el("div", { class: "table" },
    el("table", {}, el("caption", { class: "unseen" }, caption), el("thead", {}, head), body), none);
  const rows = new Map();

  const made = (item) => {
    const row = el("tr", { "data-key": key(item) },
      columns.map(({ kind, cell }) => el("td", { class: kind }, cell(item))));
    rows.set(key(item), row);
    return row;
  };
  const bounded = (fromEnd) => {
    while (body.children.length > most) {
      const gone = fromEnd ? body.lastChild : body.firstChild;
      rows.delete(gone.dataset.key);
      gone.remove();
    }
    none.hidden = body.children.length > 0;
    node.classList.toggle("empty", !none.hidden);
  };
  return {
    node,
    has: (id) => rows.has(id),
    set(items) {
      rows.clear();
      body.replaceChildren(...items.map(made));
      bounded(true);
    },
    append(items) {
      body.append(...items.map(made));
      bounded(false);
    },
    /** Put the newest items on top, the last one first. */
    prepend(items) {
      const news = items.slice(-most).map(made);
      for (const row of news) row.classList.add("moved");
      body.prepend(...news.reverse());
      bounded(true);
    },
    update(item) {
      const old = rows.get(key(item));
      const row = made(item);
      row.classList.add("moved");
      old.replaceWith(row);
    },
    /** Insert an item where its key belongs, in the order of *isBefore*. */
    insert(item, isBefore) {
      const next = [...body.children].find((row) => isBefore(key(item), row.dataset.key));
      const row = made(item);
      row.classList.add("moved");
      body.insertBefore(row, next || null);
      bounded(true);
    },
  };
}

/**
 * Return a form of *fields* `{name, label, type, options, placeholder}` whose values are those of
 * *query*; it calls `go` with what was given.
 */
export function filters(fields, query, go) {
  const form = el("form", { class: "filters", role: "search", onsubmit: (event) => {
    event.preventDefault();
    submit();
  } });
  const submit = () => {
    const given = [...new FormData(form)].map(([name, value]) => [name, value.trim()]);
    go(Object.fromEntries(given.filter(([, value]) => value)));
  };
  for (const { name, label, type = "text", options, placeholder = "" } of fields) {
    const id = `filter-${name}`;
    const control = options
      ? el("select", { id, name, onchange: submit }, options.map(([value, text]) =>
        el("option", { value, selected: (query[name] || "") === value }, text)))
      : el("input", { id, name, type, placeholder, value: query[name] || "", min: "0", autocomplete: "off", spellcheck: "false" });
    form.append(el("div", { class: "field" }, el("label", { for: id }, label), control));
  }
  const isFiltered = fields.some(({ name }) => query[name]);
  form.append(el("div", { class: "field buttons" },
    el("button", { type: "submit" }, "Filter"),
    isFiltered ? el("button", { type: "button", class: "quiet", onclick: () => go({}) }, "Clear") : null));
  return form;
}

/** Return the links of a page of a list, which are routes of their own. */
export function pager(route, query, token, shown) {
  const at = (more) => `#${route}?${new URLSearchParams({ ...query, ...more })}`;
  const first = { ...query };
  delete first.page_token;
  return el("nav", { class: "pager", "aria-label": "Pages of the list" },
    el("span", { class: "faint" }, shown),
    query.page_token ? el("a", { class: "button", href: `#${route}?${new URLSearchParams(first)}` }, "First page") : null,
    token ? el("a", { class: "button", href: at({ page_token: token }) }, "Next page") : null);
}

/** Return *call*, run at most once in *ms*, the last time after the last call. */
export function throttled(call, ms, signal) {
  let timer = 0;
  let last = 0;
  signal.addEventListener("abort", () => clearTimeout(timer));
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      last = Date.now();
      if (!signal.aborted) call();
    }, Math.max(0, last + ms - Date.now()));
  };
}
