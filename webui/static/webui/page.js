// What all scripts of the pages share: the page's data, requests to the API, and messages.

const data = document.getElementById("page-data").dataset;

export { data };

// The problem of a refused request: `message` is for people, `code` for programs.
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || `The server responded ${status}.`);
    this.status = status;
    this.code = problem.code || "";
    this.retryable = status >= 500 || Boolean(problem.retryable);
  }
}

// Sends a request as the signed-in person. Returns the document of the response, or null without one.
export async function api(method, url, body, options = {}) {
  const headers = { Accept: "application/json", "X-CSRFToken": data.csrf, ...options.headers };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(url, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: options.signal,
  });
  const text = await response.text();
  let found = null;
  try {
    found = text ? JSON.parse(text) : null;
  } catch {
    found = {};
  }
  if (!response.ok) throw new Refused(response.status, found || {});
  return found;
}

export function say(text) {
  const line = document.createElement("p");
  line.textContent = text;
  document.getElementById("messages").append(line);
  setTimeout(() => line.remove(), 8000);
}

export function confirmed(text) {
  const dialog = document.getElementById("confirmation");
  document.getElementById("confirmation-text").textContent = text;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
