// The server and the console, as they are now.

import * as api from "./api.js";
import { badge, el, moment, number, span } from "./dom.js";

const EVERY_MS = 5000;
const WRITES = { ACCEPTED: ["Accepted", "in"], REFUSED: ["Refused", "bad"], WAITING: ["Waiting", "wait"] };

export async function show(root, { session }, signal) {
  const body = el("div", { class: "stack" });
  root.append(el("div", { class: "title" }, el("h1", { tabindex: "-1" }, "Server")), body);
  const load = async () => body.replaceChildren(...shown(await infoOf(signal), session));
  const timer = setInterval(() => load().catch((error) => {
    if (!signal.aborted) body.replaceChildren(el("p", { class: "problem", role: "alert" }, error.message));
  }), EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  await load();
}

/** Return the state of the server; null to a caller who may not see it. */
export async function infoOf(signal) {
  try {
    return await api.get("server", {}, signal);
  } catch (error) {
    if (error.reason === "PERMISSION_DENIED") return null;
    throw error;
  }
}

export const writesBadge = (info) => badge(...(WRITES[info.writes] || [info.writes, ""]));

function shown(info, session) {
  const own = facts("Console", [
    ["Version", session.version],
    ["Calls", session.server],
    ["Corrections", session.write ? "offered" : "not offered: start it with --write"],
    ["People", session.signs_in ? "sign in with a token of their own" : "everybody on this machine"],
  ]);
  if (!info) {
    return [el("section", { class: "card pad" }, el("h2", {}, "Server"),
      el("p", { class: "note" }, "Only a caller with the role admin may see the state of the server.")), own];
  }
  return [facts("Server", [
    ["Commands", writesBadge(info)],
    ["Why", info.writes_refused_reason],
    ["Version", info.version],
    ["Started", moment(info.start_time)],
    ["Circuit breaker", `${info.circuit_breaker?.state.toLowerCase().replace("_", " ")}${info.circuit_breaker?.retry_delay ? `, tries again in ${span(info.circuit_breaker.retry_delay)}` : ""}`],
    ["Waiting for the file", info.write_lock_wait ? span(info.write_lock_wait) : ""],
  ]), facts("Log", [
    ["Id", el("span", { class: "id" }, info.log_id)],
    ["Last position", number(info.head_position)],
    ["Durability", info.durability === "FULL" ? "full: an answer means it is on disk" : "relaxed: a power cut may lose the last moments"],
    ["Overdue expiries", info.expiry_lag ? `late by ${span(info.expiry_lag)}` : "none"],
    ["Wall clock", `${span(info.clock_difference || 0)} from the clock of the log`],
    ["Changes to be shown", info.unsettled_changes ? number(info.unsettled_changes) : "none"],
  ]), own];
}

const facts = (name, known) =>
  el("section", { class: "card pad" }, el("h2", {}, name),
    el("dl", { class: "facts" }, known.filter(([, value]) => value).map(([said, value]) =>
      el("div", {}, el("dt", {}, said), el("dd", {}, value)))));
