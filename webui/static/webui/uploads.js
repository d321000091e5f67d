// The uploader: files that are dropped or chosen, a row with progress and buttons for each, and what becomes of them.

import { Uppy } from "./vendor/uppy.min.mjs";
import { api, data, say } from "./page.js";
import { useProtocol } from "./protocols.js";

const list = document.getElementById("uploads");
const spoken = document.getElementById("uploads-spoken");
const drop = document.getElementById("drop");
const input = document.getElementById("files");

const uppy = new Uppy({ autoProceed: true, restrictions: { maxFileSize: Number(data.maxBytes) } });
useProtocol(uppy, data);

function transcodeRequest() {
  if (!document.getElementById("transcode").checked) return null;
  return document.getElementById("mp4").checked ? { output_format: ["hls", "mp4"] } : {};
}

function add(files) {
  for (const file of files) {
    try {
      uppy.addFile({ name: file.name, type: file.type, data: file, meta: { transcode: transcodeRequest() } });
    } catch (error) {
      say(`${file.name}: ${error.message}`);
    }
  }
}

input.addEventListener("change", () => {
  add(input.files);
  input.value = "";
});
for (const type of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(type, (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    drop.classList.toggle("over", type === "dragover");
    if (type === "drop") add(event.dataTransfer.files);
  });
}

// ---- rows ----------------------------------------------------------------------------------------------------------

const rows = new Map();

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

class Row {
  constructor(file) {
    this.name = file.name;
    this.percent = -1;
    this.bar = element("progress", { max: 100, value: 0, ariaLabel: `Upload of ${file.name}` });
    this.text = element("span", { className: "quiet said", textContent: "Waiting" });
    this.buttons = element("span", { className: "buttons" });
    this.title = element("span", { className: "name", textContent: file.name, title: file.name });
    this.item = element("li", {}, this.title, this.buttons, this.bar, this.text);
    list.prepend(this.item);
  }

  say(text, { bad = false, aloud = true } = {}) {
    this.text.textContent = text;
    this.text.classList.toggle("bad", bad);
    if (aloud) spoken.textContent = `${this.name}: ${text}`;
  }

  // Offers these actions, by their names; a button that stays keeps the focus.
  offer(actions) {
    const focused = this.buttons.contains(document.activeElement);
    this.buttons.replaceChildren(
      ...Object.entries(actions).map(([name, action]) =>
        element("button", { type: "button", textContent: name, ariaLabel: `${name}: ${this.name}`, onclick: action }),
      ),
    );
    if (focused) (this.buttons.querySelector("button") || input).focus();
  }

  progress(done, total) {
    const percent = total ? Math.floor((100 * done) / total) : 0;
    this.bar.value = percent;
    const aloud = Math.floor(percent / 10) !== Math.floor(this.percent / 10);
    this.percent = percent;
    this.say(`${percent} % of ${size(total)}`, { aloud });
  }

  remove() {
    if (this.item.contains(document.activeElement)) input.focus();
    this.item.remove();
  }
}

function size(bytes) {
  return bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

function offerRunning(file) {
  const canPause = uppy.getState().capabilities.resumableUploads;
  rows.get(file.id).offer({
    ...(canPause ? { Pause: () => uppy.pauseResume(file.id) } : {}),
    Cancel: () => uppy.removeFile(file.id),
  });
}

uppy.on("file-added", (file) => {
  rows.set(file.id, new Row(file));
  offerRunning(file);
});
uppy.on("upload-start", (files) => files.forEach(offerRunning));
uppy.on("upload-progress", (file, { bytesUploaded, bytesTotal }) => {
  if (file && !uppy.getFile(file.id)?.isPaused) rows.get(file.id)?.progress(bytesUploaded, bytesTotal);
});
uppy.on("upload-pause", (file, isPaused) => {
  if (!isPaused) return offerRunning(file);
  rows.get(file.id).say("Paused");
  rows.get(file.id).offer({ Resume: () => uppy.pauseResume(file.id), Cancel: () => uppy.removeFile(file.id) });
});
uppy.on("file-removed", (file) => {
  if (file.progress.uploadComplete) return;
  rows.get(file.id)?.remove();
  rows.delete(file.id);
});
uppy.on("upload-error", (file, error, response) => {
  const row = rows.get(file.id);
  row.say(response?.body?.detail || error.message, { bad: true });
  row.offer({ Retry: () => uppy.retryUpload(file.id), Remove: () => uppy.removeFile(file.id) });
});
uppy.on("upload-success", async (file, response) => {
  const row = rows.get(file.id);
  row.bar.value = 100;
  const videoId = response.body.id;
  row.say("Uploaded");
  row.offer({});
  row.title.replaceChildren(element("a", { href: `${data.pageOfVideo}${videoId}`, textContent: file.name }));
  uppy.removeFile(file.id); // the same file may come again
  if (file.meta.transcode) {
    try {
      await api("POST", `${data.videos}/${videoId}/transcode`, file.meta.transcode);
      row.say("Uploaded, and being transcoded");
    } catch (error) {
      row.say(`Uploaded, but not transcoded: ${error.message}`, { bad: true });
    }
  }
  document.dispatchEvent(new Event("page:refresh"));
});

window.addEventListener("beforeunload", (event) => {
  if (uppy.getFiles().some((file) => file.progress.uploadStarted && !file.progress.uploadComplete)) event.preventDefault();
});
