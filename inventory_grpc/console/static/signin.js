// The sign-in, with a token of the server. The token is sent once and kept by the console alone.

import * as api from "./api.js";
import { el } from "./dom.js";

export function signIn(root, done) {
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const token = el("input", { id: "token", name: "token", type: "password", required: true, autocomplete: "off", maxlength: "512" });
  const button = el("button", { type: "submit", class: "main" }, "Sign in");
  const form = el("form", { class: "card pad signin", onsubmit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    problem.hidden = true;
    try {
      await api.post("sign-in", { token: token.value });
      token.value = "";
      await done();
    } catch (error) {
      problem.textContent = error.reason === "UNAUTHENTICATED" ? "The server does not know this token." : error.message;
      problem.hidden = false;
      button.disabled = false;
    }
  } },
  el("h1", { tabindex: "-1" }, "Sign in"),
  el("p", { class: "note" }, "With your token of the inventory server. You see and do what it may, for 8 hours."),
  problem,
  el("div", { class: "field" }, el("label", { for: "token" }, "Token"), token), button);
  root.append(form);
  token.focus();
}
