// Waits until the video can be played, notices when its link is of no use any more, and reads keys.

const player = document.getElementById("player");
const stageText = document.getElementById("stage-text");
const now = document.getElementById("player-data").dataset;
const LONGEST_WAIT = 15000;

let timer = null;
let wait = 2000; // milliseconds, longer from time to time: an encode may be hours away

async function look() {
  clearTimeout(timer);
  try {
    const response = await fetch(now.state, { headers: { Accept: "application/json" } });
    if (response.ok) update(await response.json());
    else if (response.status === 404 || response.status === 410) return end();
  } catch {
    // no connection: the next look may have one
  }
  if (!now.generation) {
    timer = setTimeout(look, wait);
    wait = Math.min(wait * 1.2, LONGEST_WAIT);
  }
}

function update(found) {
  const waited = !now.generation && found.generation;
  Object.assign(now, found);
  document.dispatchEvent(new Event("page:updated"));
  if (waited) player.play().catch(() => {}); // browsers may want a click first
}

function end() {
  document.dispatchEvent(new Event("player:end"));
  stageText.textContent = "This video is not available any more.";
}

// The player found nothing at a URL: the link may have ended, or another generation may have taken the place.
document.addEventListener("player:lost", look);
if (!now.generation) look();

const actions = {
  " ": () => (player.paused ? player.play() : player.pause()),
  k: () => actions[" "](),
  ArrowLeft: () => (player.currentTime -= 5),
  ArrowRight: () => (player.currentTime += 5),
  j: () => (player.currentTime -= 10),
  l: () => (player.currentTime += 10),
  m: () => (player.muted = !player.muted),
  c: switchTexts,
  f: () => (document.fullscreenElement ? document.exitFullscreen() : player.requestFullscreen?.()),
};

// Shows the default text, or the first one; or none where one is shown.
function switchTexts() {
  const tracks = [...player.textTracks].filter((track) => track.kind === "subtitles" || track.kind === "captions");
  const isShown = tracks.some((track) => track.mode === "showing");
  for (const track of tracks) track.mode = "disabled";
  if (!isShown && tracks.length) tracks[0].mode = "showing";
}

document.addEventListener(
  "keydown",
  (event) => {
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || player.hidden || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("select, button, summary, textarea, a")) return;
    event.preventDefault(); // the browser's own controls would do it a second time
    event.stopPropagation();
    action();
  },
  true,
);

document.getElementById("embed-copy")?.addEventListener("click", async () => {
  const code = document.getElementById("embed-code");
  code.select();
  await navigator.clipboard.writeText(code.value);
  document.getElementById("embed-copied").textContent = "Copied.";
});
