"""Players of today with live streams of the relay: part of `make browsers`.

    python -m tests.browser.live

Sources are sent in real time. That of the transcode is what no browser plays: interlaced MPEG-2 with MP2; that of the
remux is H.264 with AC-3 in 5.1. Prints a table of what was seen. The exit code is 1 if anything failed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser
from playwright.sync_api import Error as PlaywrightError

from embedded.stack import API_KEY, Stack
from tests.acceptance.browsing import Theatre, chromium, fresh_page, pages
from tests.browser.programs import mpv, version, vlc
from tests.live_media import TONES, Live, stream_of
from tests.live_sources import a_live_server
from tests.servers import locked_home

SOURCES = {
    "transcode": Live(seconds=60, video="interlaced", audio="mp2", tones=True),
    "remux": Live(seconds=60, audio="ac3", layout="5.1", tones=True),
}
"""Sources by the path at the relay."""
FAILED = "FAILED"
PLAYED_SECONDS = 4
_RATE = 25
_NEAR_HERTZ = 12
_MAX_REASON = 300

Check = Callable[[str], str]
"""Plays a URL and returns what was seen. Raises AssertionError."""


def main() -> int:
    with pages() as origin, _relay(origin) as url_of, chromium() as browser:
        checks: dict[str, Check] = {
            f"mpegts.js, Chromium {browser.version}": partial(_in_chromium, browser, f"{origin}/players.html"),
            f"mpv {version('mpv')}": _in_mpv,
            f"VLC {version('vlc')}": _in_vlc,
        }
        rows = [[player, *(_cell(player, path, check, url_of) for path in SOURCES)] for player, check in checks.items()]
    for row in (["player", *SOURCES], ["---"] * (1 + len(SOURCES)), *rows):
        sys.stdout.write(f"| {' | '.join(row)} |\n")
    return int(any(cell.startswith(FAILED) for row in rows for cell in row))


@contextmanager
def _relay(origin: str) -> Iterator[Callable[[str], str]]:
    """Start sources, an installation and its relay, and yield a function from a path to the URL of a stream."""
    with a_live_server() as sources, locked_home(f"{os.getpid()}-live-players") as home:
        for name, live in SOURCES.items():
            sources.serve(name, stream_of(live), seconds=live.seconds)
        for service in ("api", "relay"):
            home.port(service)  # any free one: the usual one may be somebody's
        settings = {
            "TRANSCODER_SOURCE_NETWORKS": "127.0.0.0/8",
            "TRANSCODER_RELAY_FALLBACK": "cpu",
            "TRANSCODER_CORS_ORIGINS": origin,
        }
        stack = Stack(home, durable=False, environ={"PATH": os.environ["PATH"], **settings})
        try:
            stack.start_live(_report)
            stack.client().close()  # makes a key
            key = home.find_secret(API_KEY) or ""
            yield lambda path: f"{stack.relay.url}/{path}?{urlencode({'source_url': sources.url(path), 'key': key})}"
        finally:
            stack.close()


def _cell(player: str, path: str, check: Check, url_of: Callable[[str], str]) -> str:
    try:
        cell = check(url_of(path))
    except (AssertionError, PlaywrightError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        cell = f"{FAILED}: {reason}"[:_MAX_REASON]
    _report(f"{player}, {path}: {cell}")
    return cell


def _in_chromium(browser: Browser, page_url: str, url: str) -> str:
    """Play with frames, without stalls, and with the tone of the source."""
    with fresh_page(browser, page_url) as page:
        theatre = Theatre(page)
        theatre.load("mpegts.js", url)
        shown = theatre.play(end=PLAYED_SECONDS)
        assert not shown["problems"], shown["problems"]
        assert shown["at"] >= PLAYED_SECONDS, f"stands at {shown['at']:.1f} s"
        assert shown["frames"] >= (PLAYED_SECONDS - 1) * _RATE, f"{shown['frames']} frames"
        tone = theatre.tone("mpegts.js", 0, start=shown["at"])["tone"]
        assert any(abs(tone - hertz) < _NEAR_HERTZ for hertz in TONES.values()), f"{tone} Hz"
        return f"{shown['width']} wide, {tone} Hz"


def _in_mpv(url: str) -> str:
    with tempfile.TemporaryDirectory(prefix="vodmill-player-") as folder, mpv(url, Path(folder)) as player:
        start = player.property("time-pos")
        player.set("pause", value=False)
        player.until(lambda: player.property("time-pos") > start + PLAYED_SECONDS, "stands still")
        codecs = [player.property(f"current-tracks/{kind}/codec") for kind in ("video", "audio")]
        assert codecs == ["h264", "aac"], codecs
        assert not player.errors(), "; ".join(player.errors()[:3])
        return ", ".join(codecs)


def _in_vlc(url: str) -> str:
    with (
        tempfile.TemporaryDirectory(prefix="vodmill-player-", ignore_cleanup_errors=True) as folder,
        vlc(url, Path(folder), live=True) as player,
    ):
        player.until(lambda: player.frames_decoded() > PLAYED_SECONDS * _RATE, "decodes no video")
        assert player.statistic("audio decoded"), "decodes no audio"
        assert not player.errors(), "; ".join(player.errors()[:3])
        return f"{player.frames_decoded():.0f} frames, audio"


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
