// Frames of the video that a page plays, taken by the browser at even distances; a click plays from there.
"use strict";

const COUNT = 8;
const WIDTH = 160;

function frame(video, player) {
  const at = video.currentTime;
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = Math.round((WIDTH * video.videoHeight) / video.videoWidth);
  canvas.title = `${at.toFixed(1)} s`;
  canvas.style.cursor = "pointer";
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  canvas.addEventListener("click", () => {
    player.currentTime = at;
    player.play();
  });
  return canvas;
}

function take(player, strip) {
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  const next = () => {
    const taken = strip.childElementCount;
    if (taken < COUNT && Number.isFinite(video.duration)) {
      video.currentTime = (video.duration * (taken + 0.5)) / COUNT;
    } else {
      video.replaceChildren();
      video.load(); // lets go of what it has read
    }
  };
  video.addEventListener("loadedmetadata", next, { once: true });
  video.addEventListener("seeked", () => {
    strip.append(frame(video, player));
    next();
  });
  video.append(...[...player.querySelectorAll("source")].map((source) => source.cloneNode()));
}

take(document.querySelector("#player video"), document.querySelector("#frames"));
