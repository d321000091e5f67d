// Plays the audio track that is chosen, and shows the image of a moment while somebody looks for one.
"use strict";

const HLS = "application/vnd.apple.mpegurl";

function offerAudio(tracks, player) {
  tracks.parentElement.hidden = !player.canPlayType(HLS); // only playlists have all tracks
  tracks.addEventListener("change", (event) => {
    const at = player.currentTime;
    const goesOn = !player.paused;
    player.src = event.target.value;
    player.addEventListener(
      "loadedmetadata",
      () => {
        player.currentTime = at;
        if (goesOn) player.play();
      },
      { once: true },
    );
  });
}

function offerPreview(range, shown, player) {
  const sprites = JSON.parse(range.dataset.sprites);
  range.max = (sprites.count - 1) * sprites.interval;
  range.step = sprites.interval;
  shown.style.width = `${sprites.width}px`;
  shown.style.height = `${sprites.height}px`;
  range.addEventListener("input", () => {
    const number = Math.min(Math.round(range.value / sprites.interval), sprites.count - 1);
    const perSheet = sprites.columns * sprites.rows;
    const column = number % sprites.columns;
    const row = Math.floor((number % perSheet) / sprites.columns);
    shown.style.backgroundImage = `url("${sprites.urls[Math.floor(number / perSheet)]}")`;
    shown.style.backgroundPosition = `${-column * sprites.width}px ${-row * sprites.height}px`;
    shown.ariaLabel = range.ariaValueText = `${Number(range.value).toFixed(1)} s`;
    shown.hidden = false;
  });
  range.addEventListener("change", () => {
    player.currentTime = Number(range.value);
  });
}

const media = document.querySelector("#player video, #player audio");
const audioTrack = document.querySelector("#audio-track");
const preview = document.querySelector("#preview");
if (audioTrack) offerAudio(audioTrack, media);
if (preview) offerPreview(preview, document.querySelector("#preview-image"), media);
