// Plays the video as soon as its beginning is there, and switches to what takes its place.

import Hls from "./vendor/hls.min.mjs";

const player = document.getElementById("player");
const stageText = document.getElementById("stage-text");
const quality = document.getElementById("quality");
const audio = document.getElementById("audio");

let hls = null;
let generation = "";
let lost = false; // a request failed since the last one that did not

function show() {
  const now = document.getElementById("player-data").dataset;
  if (!now.generation || now.generation === generation) return;
  if (generation && !player.paused && !lost) return; // whoever watches is not interrupted
  generation = now.generation;
  hls?.destroy();
  hls = null;
  player.hidden = false;
  player.crossOrigin = "anonymous";
  if (now.poster) player.poster = now.poster;
  if (now.hls && Hls.isSupported()) playByHls(now.hls);
  else player.src = now.hls && player.canPlayType("application/vnd.apple.mpegurl") ? now.hls : now.mp4;
}

function playByHls(url) {
  hls = new Hls({ enableWorker: false, startPosition: 0 });
  hls.on(Hls.Events.MANIFEST_PARSED, offerQualities);
  hls.on(Hls.Events.AUDIO_TRACKS_UPDATED, offerAudio);
  hls.on(Hls.Events.ERROR, recover);
  hls.on(Hls.Events.FRAG_LOADED, () => (lost = false));
  hls.loadSource(url);
  hls.attachMedia(player);
}

function recover(_, error) {
  if (!error.fatal) return;
  if (error.type === Hls.ErrorTypes.NETWORK_ERROR) {
    lost = true;
    document.dispatchEvent(new Event("player:lost"));
    setTimeout(() => hls?.startLoad(), 2000);
  } else if (error.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
  else fail();
}

function stop() {
  hls?.destroy();
  hls = null;
  player.pause();
  player.removeAttribute("src");
  player.load();
  player.hidden = true;
  document.getElementById("player-bar").hidden = true;
}

function fail() {
  player.hidden = true;
  stageText.textContent = "This browser cannot play the video.";
}

function option(value, text, chosen) {
  return new Option(text, value, chosen, chosen);
}

function offerQualities() {
  const levels = hls.levels.map((level, index) => [index, level.height ? `${level.height}p` : `${Math.round(level.bitrate / 1000)} kbit/s`]);
  quality.replaceChildren(option(-1, "Automatic", true), ...levels.reverse().map(([index, text]) => option(index, text, false)));
  document.getElementById("player-bar").hidden = hls.levels.length < 2 && hls.audioTracks.length < 2;
}

function offerAudio() {
  const tracks = hls.audioTracks;
  document.getElementById("audio-choice").hidden = tracks.length < 2;
  audio.replaceChildren(...tracks.map((track, index) => option(index, track.name || track.lang, index === hls.audioTrack)));
  offerQualities();
}

quality.addEventListener("change", () => (hls.currentLevel = Number(quality.value)));
audio.addEventListener("change", () => (hls.audioTrack = Number(audio.value)));
player.addEventListener("error", () => hls || fail());
document.addEventListener("page:updated", show);
document.addEventListener("player:end", stop);
show();
