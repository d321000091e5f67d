"""Players of today with live streams that people publish: part of `make browsers`.

    python -m tests.browser.livestreams

Each player watches a stream in real time, over a worker that takes over, to its end. Prints a table of how far behind
the newest frame they were. The exit code is 1 if anything failed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise

from imageio_ffmpeg import get_ffmpeg_exe
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page

from embedded.home import REPOSITORY
from embedded.stack import Stack
from tests.acceptance.browsing import chromium, fresh_page, pages
from tests.servers import locked_home

TITLE = "stream: "
LATENCIES = ("low", "normal")
FAILED = "FAILED"
WORKERS = ("24.5", "24.5")
"""Seconds for which each worker encodes; the half GOP at the end is lost with it."""
MASTER, MPD = "master.m3u8", "dash/manifest.mpd"
PLAYERS = (("hls.js", MASTER), ("shaka-player", MASTER), ("shaka-player", MPD), ("dash.js", MPD))
_UNCOUNTED_STATES = 10
_MIN_PLAYED_SECONDS = 20
_WAIT_SECONDS = 60


def main() -> int:
    cells: dict[str, list[str]] = {}
    with _installation() as (url, environ), pages() as origin, chromium() as browser:
        for latency in LATENCIES:
            with _broadcast(latency, environ) as path, ExitStack() as windows:
                screens = [windows.enter_context(fresh_page(browser, f"{origin}/live.html")) for _ in PLAYERS]
                for (player, file), page in zip(PLAYERS, screens, strict=True):
                    page.evaluate("(given) => begin(...given)", [player, f"{url}{path}/{file}", latency == "low"])
                demuxer = windows.enter_context(_demuxer(f"{url}{path}/{MASTER}"))
                for (player, file), report in zip(PLAYERS, _watched(screens), strict=True):
                    cells.setdefault(f"{player}, {file}", []).append(report)
                cells.setdefault(f"ffmpeg, {MASTER}", []).append(_demuxed(demuxer))
    for row in (["player", *LATENCIES], ["---"] * 3, *([name, *found] for name, found in cells.items())):
        sys.stdout.write(f"| {' | '.join(row)} |\n")
    return int(any(cell.startswith(FAILED) for found in cells.values() for cell in found))


@contextmanager
def _installation() -> Iterator[tuple[str, dict[str, str]]]:
    """Start an installation; yield the URL of its API and the environment of its processes."""
    with locked_home(f"{os.getpid()}-livestreams") as home:
        home.port("api")
        stack = Stack(home, durable=False, environ={"PATH": os.environ["PATH"], "TRANSCODER_RATE_PLAY_PER_MINUTE": "0"})
        try:
            stack.start(_report)
            environ = {**stack.dispatcher.environ(), "DJANGO_SETTINGS_MODULE": "transcoder_site.settings"}
            yield stack.api.url, environ
        finally:
            stack.close(_report)


@contextmanager
def _broadcast(latency: str, environ: dict[str, str]) -> Iterator[str]:
    """Broadcast, and yield the path of the stream once it can be played."""
    command = [sys.executable, "-m", "tests.broadcasting", latency, *WORKERS]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            path = next(line for line in process.stdout if line.startswith(TITLE)).removeprefix(TITLE).strip()
            time.sleep(8)
            yield path
        finally:
            process.terminate()


@contextmanager
def _demuxer(url: str) -> Iterator[subprocess.Popen[str]]:
    """Start an ffmpeg that lists the frames of the first video rendition until the stream ends."""
    command = [get_ffmpeg_exe(), "-v", "error", "-i", url, "-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def _demuxed(process: subprocess.Popen[str]) -> str:
    """Check that no frame is missing between any two."""
    listed, _ = process.communicate(timeout=_WAIT_SECONDS)
    times = [int(line.split(",")[1]) for line in listed.splitlines() if not line.startswith("#")]
    steps = {later - earlier for earlier, later in pairwise(times)}
    return f"{len(times)} frames" if len(steps) == 1 else f"{FAILED}: {len(times)} frames, steps {sorted(steps)}"


def _watched(screens: list[Page]) -> list[str]:
    """Watch until all have ended or stand still; return a cell for each."""
    seen: list[list[dict[str, object]]] = [[] for _ in screens]
    ends = time.monotonic() + sum(map(float, WORKERS)) + _WAIT_SECONDS
    while time.monotonic() < ends:
        for page, states in zip(screens, seen, strict=True):
            states.append(page.evaluate("() => state()"))
        if all(states[-1]["ended"] for states in seen):
            break
        time.sleep(0.5)
    return [_cell(states) for states in seen]


def _cell(states: list[dict[str, object]]) -> str:
    last = states[-1]
    played = [later for earlier, later in pairwise(states[_UNCOUNTED_STATES:]) if later["at"] != earlier["at"]]
    behind = [float(str(each["behind"])) for each in played if each["behind"] is not None]
    usual = statistics.median(behind) if behind else 0.0
    text = f"{usual:.1f} s behind, {last['frames']} frames, {last['stalls']} stalls, ended {last['ended']}"
    if last["problems"] or float(str(last["at"])) < _MIN_PLAYED_SECONDS:
        return f"{FAILED}: {text}, at {last['at']}, {last['ranges']}, {last['problems']}"
    return text


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PlaywrightError as error:
        sys.exit(str(error))
