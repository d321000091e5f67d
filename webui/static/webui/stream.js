// Pages of live streams: a player at the live edge, and forms with `data-key`, whose response is the only one that shows
// the stream key.

import Hls from "./vendor/hls.min.mjs";
import { api, confirmed, say } from "./page.js";

const REFRESH_MS = 5000; // health and viewers have no events

const player = document.getElementById("stream-player");
let hls = null;
let broadcast = "";

function show() {
  const now = document.getElementById("stream-data")?.dataset;
  if (!now?.broadcast || now.broadcast === broadcast) return;
  broadcast = now.broadcast;
  hls?.destroy();
  player.hidden = false;
  if (!Hls.isSupported()) {
    player.src = now.hls;
    return;
  }
  hls = new Hls({ enableWorker: false, lowLatencyMode: true });
  hls.on(Hls.Events.ERROR, recover);
  hls.loadSource(now.hls);
  hls.attachMedia(player);
}

function recover(_, error) {
  if (!error.fatal) return;
  if (error.type === Hls.ErrorTypes.NETWORK_ERROR) setTimeout(() => hls?.startLoad(), 2000);
  else if (error.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.dataset.key === undefined) return;
  event.preventDefault();
  if (form.dataset.question && !(await confirmed(form.dataset.question))) return;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    showKey(form, await api("POST", form.action, Object.fromEntries(new FormData(form))));
    form.reset();
    document.dispatchEvent(new Event("page:refresh"));
  } catch (error) {
    say(error.message);
  } finally {
    button.disabled = false;
  }
});

function showKey(form, stream) {
  document.getElementById("new-key").hidden = false;
  document.getElementById("new-key-server").value = stream.ingest.rtmp_url;
  document.getElementById("new-key-text").value = stream.ingest.stream_key;
  const link = document.getElementById("new-key-page");
  link.hidden = !form.dataset.key;
  link.href = `${form.dataset.key}/${stream.id}`;
}

document.addEventListener("page:updated", show);
show();
if (player) setInterval(() => document.hidden || document.dispatchEvent(new Event("page:refresh")), REFRESH_MS);
