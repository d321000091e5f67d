// Forms with `data-api` send their request to the API; what cannot be undone is confirmed first. The plan is read on demand.

import { api, confirmed, data, say } from "./page.js";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.api) return;
  event.preventDefault();
  if (form.dataset.confirm && !(await confirmed(form.dataset.confirm))) return;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await api(form.dataset.api, form.action, form.dataset.api === "DELETE" ? undefined : {});
    if (form.dataset.then) location.assign(form.dataset.then);
    else document.dispatchEvent(new Event("page:refresh"));
  } catch (error) {
    say(error.message);
  } finally {
    button.disabled = false;
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    say("The link is copied.");
  } catch {
    window.prompt("Copy this link:", button.dataset.copy); // pages by plain HTTP have no clipboard
  }
});

const plan = document.getElementById("plan");
plan?.addEventListener("toggle", async () => {
  if (!plan.open) return;
  const content = document.getElementById("plan-content");
  content.textContent = "Loading…";
  const response = await fetch(data.plan, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const text = page.querySelector("main .narrow p")?.textContent; // a problem is a page of its own
  content.replaceChildren(...(response.ok ? page.body.childNodes : [text || "The plan cannot be read."]));
});
