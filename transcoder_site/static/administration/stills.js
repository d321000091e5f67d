// Shows stills of the page's video, at even distances where the page has no thumbnails; a click plays from there.
"use strict";

const COUNT = 8;
const WIDTH = 160;

function still(video, player) {
  const at = video.currentTime;
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = Math.round((WIDTH * video.videoHeight) / video.videoWidth);
  canvas.title = `${at.toFixed(1)} s`;
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  const button = document.createElement("button");
  button.type = "button";
  button.ariaLabel = `Play from ${at.toFixed(1)} s`;
  button.append(canvas);
  playFrom(button, at, player);
  return button;
}

function playFrom(button, at, player) {
  button.addEventListener("click", () => {
    player.currentTime = at;
    player.play();
  });
}

function takeStills(player, strip) {
  const video = document.createElement("video");
  video.muted = true;
  video.crossOrigin = player.crossOrigin;
  video.preload = "auto";
  const next = () => {
    const taken = strip.childElementCount;
    if (taken < COUNT && Number.isFinite(video.duration)) {
      video.currentTime = (video.duration * (taken + 0.5)) / COUNT;
    } else {
      video.replaceChildren();
      video.load(); // frees the buffered media
    }
  };
  video.addEventListener("loadedmetadata", next, { once: true });
  video.addEventListener("seeked", () => {
    strip.append(still(video, player));
    next();
  });
  video.append(...[...player.querySelectorAll("source")].map((source) => source.cloneNode()));
}

const shown = document.querySelector("#player video");
const strip = document.querySelector("#stills");
if (strip.childElementCount) {
  for (const button of strip.children) playFrom(button, Number(button.dataset.time), shown);
} else {
  takeStills(shown, strip);
}
