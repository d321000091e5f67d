// Keeps the page current. Whenever something happens to the owner's videos, the page is read again, and its parts that
// have `data-live` are replaced where they differ. `page:updated` is sent afterwards, `page:refresh` has it read at once.

import { data } from "./page.js";

const GATHER_MS = 400; // several events are one reading
const SLOW_MS = 15000; // without a stream
const STREAM_PAUSE_MS = 5000;

let timer = null;
let reading = false;
let again = false;

function refreshSoon(delay = GATHER_MS) {
  timer ??= setTimeout(refresh, delay);
}

async function refresh() {
  clearTimeout(timer);
  timer = null;
  if (reading) {
    again = true;
    return;
  }
  reading = true;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (response.redirected) location.reload(); // signed out meanwhile
    else if (response.ok) replaceParts(new DOMParser().parseFromString(await response.text(), "text/html"));
    else if (response.status === 404) location.assign(document.querySelector(".brand").href);
  } catch {
    refreshSoon(STREAM_PAUSE_MS); // the connection is cut
  } finally {
    reading = false;
    if (again) {
      again = false;
      refreshSoon();
    }
  }
}

function replaceParts(page) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = page.getElementById(part.id);
    if (now && now.outerHTML !== part.outerHTML) replacePart(part, now);
  }
  for (const part of document.querySelectorAll("[data-live-text]")) {
    const now = page.getElementById(part.id);
    if (now && now.textContent !== part.textContent) part.textContent = now.textContent; // is read aloud
  }
  document.dispatchEvent(new Event("page:updated"));
}

function replacePart(part, now) {
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  part.replaceWith(document.adoptNode(now));
  if (focused) document.getElementById(focused)?.focus();
}

function isAboutThisPage(message) {
  if (!data.video || !message.data) return true;
  const { data: about } = JSON.parse(message.data);
  return !about.video_id || about.video_id === data.video;
}

function listen() {
  const stream = new EventSource(data.events);
  const onEvent = (message) => isAboutThisPage(message) && refreshSoon();
  for (const type of [...data.eventTypes.split(" "), "reset"]) stream.addEventListener(type, onEvent);
  stream.addEventListener("open", () => refreshSoon()); // something may have happened before
  stream.addEventListener("error", () => {
    if (stream.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
    refreshSoon(SLOW_MS);
    setTimeout(listen, SLOW_MS);
  });
}

document.addEventListener("page:refresh", refresh);
listen();
