// Calls of the console. An error has the reason and the message of the server.

export class Refused extends Error {
  constructor(status, answer) {
    super(answer.message || `The console answered ${status}.`);
    this.status = status;
    this.reason = answer.reason || "";
    this.inDoubt = answer.in_doubt || false;
  }
}

/** Return the answer to `GET /api/<name>`; parameters without a value are left out. */
export function get(name, parameters = {}, signal = undefined) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined);
  const query = new URLSearchParams(given).toString();
  return answered(fetch(`/api/${name}${query ? `?${query}` : ""}`, { signal }));
}

export function post(name, form) {
  const body = JSON.stringify(form);
  return answered(fetch(`/api/${name}`, { method: "POST", headers: { "content-type": "application/json" }, body }), true);
}

async function answered(fetching, writes = false) {
  let response;
  try {
    response = await fetching;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { reason: "CONSOLE_AWAY", message: "The console cannot be reached.", in_doubt: writes });
  }
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    if (response.ok) throw new Refused(response.status, { message: "The answer was cut off.", in_doubt: writes });
  }
  if (response.ok) return answer;
  if (response.status === 401) window.dispatchEvent(new Event("signin"));
  throw new Refused(response.status, answer);
}
