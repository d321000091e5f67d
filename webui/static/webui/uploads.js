// The uploader: files that are dropped or chosen, a row for each, and what becomes of them.

import { Uppy } from "./vendor/uppy.min.mjs";
import { api, data, say } from "./page.js";
import { isPassing, protocolFor, reasonOf, uploadIdOf } from "./protocols.js";
import { forget, isSameFile, remember, remembered } from "./remembered.js";
import { Row, sizeText } from "./upload_row.js";

const AGAIN_MS = 5000; // after a cut connection
const CUT = "The connection is cut. The upload continues when it is there again.";

const drop = document.getElementById("drop");
const input = document.getElementById("files");

const uppy = new Uppy({ autoProceed: true });
const protocol = protocolFor(uppy);
const rows = new Map(); // by the file's id in Uppy
const unfinished = new Map(); // by the upload's id: of an earlier visit to this page

// ---- files ---------------------------------------------------------------------------------------------------------

function transcodeRequest() {
  if (!document.getElementById("transcode").checked) return null;
  return document.getElementById("mp4").checked ? { output_format: ["hls", "mp4"] } : {};
}

function refusalOf(file) {
  if (!file.size) return "The file is empty.";
  if (file.size > Number(data.maxBytes)) return `The file is larger than ${sizeText(Number(data.maxBytes))}.`;
  if (/^(image|text)\/|^application\/(pdf|zip)$/.test(file.type)) return "This is no video, and no audio.";
  return "";
}

function add(files) {
  for (const file of files) {
    const refusal = refusalOf(file);
    const known = remembered().find((each) => unfinished.has(each.id) && isSameFile(each, file));
    if (refusal) say(`${file.name}: ${refusal}`);
    else if (uppy.getFiles().some((each) => isSameFile(each.data, file))) say(`${file.name} is being uploaded already.`);
    else if (known) resume(known.id, file);
    else open(file, new Row(file.name, file.size), transcodeRequest(), null);
  }
}

function resume(id, file) {
  const row = unfinished.get(id);
  unfinished.delete(id);
  open(file, row, null, id);
}

async function open(file, row, transcode, id) {
  row.say("Starting");
  row.offer({});
  try {
    const uploadId = await protocol.open(file, transcode, id);
    const meta = transcode ? { transcode: JSON.stringify(transcode) } : {};
    const fileId = uppy.addFile({ name: file.name, type: file.type, data: file, meta });
    rows.set(fileId, row);
    protocol.attach(fileId, uploadId);
    if (uploadId) remember(uploadId, file);
    offerRunning(fileId);
  } catch (error) {
    if (id && !isPassing(error)) forget(id);
    row.say(reasonOf(error), { bad: true });
    row.offer({ Retry: () => open(file, row, transcode, isPassing(error) ? id : null), Remove: () => row.remove() });
  }
}

function takeChosen() {
  add(input.files);
  input.value = "";
}

input.addEventListener("change", takeChosen);
for (const type of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(type, (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    drop.classList.toggle("over", type === "dragover");
    if (type === "drop") add(event.dataTransfer.files);
  });
}

// ---- what happens to them ------------------------------------------------------------------------------------------

function offerRunning(fileId) {
  rows.get(fileId).offer({ Pause: () => uppy.pauseResume(fileId), Cancel: () => cancel(fileId) });
}

function cancel(fileId) {
  const id = uploadIdOf(uppy.getFile(fileId));
  if (id) forget(id);
  uppy.removeFile(fileId); // which aborts the upload
  rows.get(fileId).remove();
  rows.delete(fileId);
}

function rateOf(file, bytes) {
  const seconds = (Date.now() - file.progress.uploadStarted) / 1000;
  const row = rows.get(file.id);
  row.first ??= bytes; // what was there before counts for nothing
  return seconds > 2 ? (bytes - row.first) / seconds : 0;
}

uppy.on("upload-progress", (file, { bytesUploaded }) => {
  const now = file && uppy.getFile(file.id);
  if (!now || now.isPaused || !navigator.onLine) return;
  const id = uploadIdOf(now);
  if (id && !remembered().some((each) => each.id === id)) remember(id, now.data);
  rows.get(file.id)?.progress(bytesUploaded, rateOf(now, bytesUploaded));
});
uppy.on("upload-pause", (file, isPaused) => {
  if (!isPaused) {
    offerRunning(file.id);
    return;
  }
  rows.get(file.id).say("Paused");
  rows.get(file.id).offer({ Resume: () => uppy.pauseResume(file.id), Cancel: () => cancel(file.id) });
});
uppy.on("upload-error", (file, error) => {
  const row = rows.get(file?.id);
  if (!row) return;
  const retry = () => {
    if (!rows.has(file.id)) return;
    offerRunning(file.id);
    row.say("Continuing", { aloud: false });
    uppy.retryUpload(file.id).catch(() => {}); // reported as another error
  };
  if (isPassing(error)) {
    row.say(CUT, { bad: true });
    row.offer({ Cancel: () => cancel(file.id) });
    setTimeout(retry, AGAIN_MS);
  } else {
    row.say(reasonOf(error), { bad: true });
    row.offer({ Retry: retry, Remove: () => cancel(file.id) });
  }
});
uppy.on("upload-success", async (file, response) => {
  const row = rows.get(file.id);
  rows.delete(file.id);
  row.bar.value = 100;
  row.offer({});
  const id = uploadIdOf(file);
  try {
    const upload = await protocol.finished(file, response);
    if (upload.video_id) row.link(`${data.pageOfVideo}${upload.video_id}`);
    row.say(endOf(upload), { bad: Boolean(upload.error) });
  } catch (error) {
    row.say(`Uploaded. ${reasonOf(error)}`);
  }
  if (id) forget(id);
  uppy.removeFile(file.id); // so that the same file may come again
  document.dispatchEvent(new Event("page:refresh"));
});

function endOf(upload) {
  if (upload.error) return upload.error.detail;
  if (upload.state === "verifying") return "Uploaded, and being checked";
  return upload.job_id ? "Uploaded, and being transcoded" : "Uploaded";
}

window.addEventListener("offline", () => {
  for (const row of rows.values()) row.say(CUT, { bad: true });
});

window.addEventListener("beforeunload", (event) => {
  if (uppy.getFiles().some((file) => !file.progress.uploadComplete)) event.preventDefault();
});

// ---- uploads of an earlier visit -----------------------------------------------------------------------------------

async function showUnfinished({ id, name, size }) {
  let upload;
  try {
    upload = await api("GET", `${data.uploads}/${id}`);
  } catch (error) {
    if (error.status === 404) forget(id);
    return;
  }
  if (upload.state !== "open" || upload.protocol !== data.protocol) {
    forget(id);
    return;
  }
  const row = new Row(name, size);
  unfinished.set(id, row);
  row.progress(upload.received);
  row.say(`Interrupted at ${row.percent} %. Choose the file again, and it continues there.`);
  row.offer({
    "Choose the file": () => input.click(),
    Discard: async () => {
      unfinished.delete(id);
      forget(id);
      row.remove();
      await api("DELETE", `${data.uploads}/${id}`).catch((error) => say(error.message));
    },
  });
}

await Promise.all(remembered().map(showUnfinished));
takeChosen(); // what was chosen before this script was there
