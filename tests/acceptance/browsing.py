"""Players in a real browser: a page on an origin of its own, controlled by the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

from playwright.sync_api import Browser, Page, expect, sync_playwright

from embedded.home import REPOSITORY

Json = dict[str, Any]
TIMEOUT_MS = 120_000
"""Timeout in milliseconds for immediate reactions of a page, on a busy machine."""
expect.set_options(timeout=TIMEOUT_MS)
CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def pages(folder: Path = REPOSITORY / "tests" / "browser") -> Iterator[str]:
    """Serve the browser's pages on an origin other than the product's, and yield its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser without pages."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def fresh_page(browser: Browser, address: str) -> Iterator[Page]:
    """Open a page in a window of its own, so that it stays in the foreground."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.goto(address)
        yield page


class Evaluating(Protocol):
    """A page of any browser."""

    def evaluate(self, expression: str, arg: Any = None, /) -> Any:  # noqa: ANN401 - Playwright's signature
        """Call a function of JavaScript with an argument, and wait for its result."""


class Theatre:
    """The page with the players; players.html defines the reports."""

    def __init__(self, page: Evaluating) -> None:
        self._page = page

    def load(self, player: str, address: str, codec: str = "") -> Json:
        """Load a URL into a player and wait for the first frame. `codec`: a sample entry that it should prefer."""
        return self._call("load", player, address, codec)

    def play(self, *, start: float | None = None, end: float = 1e9, rate: float = 1) -> Json:
        """Play from `start` (None: the current position) to `end` or the end of the video. Times are in seconds."""
        return self._call("play", start, end, rate)

    def begin(self, *, end: float) -> None:
        """Start playing up to `end`, without waiting; `played` waits for it."""
        self._page.evaluate("(end) => { window.playing = play(null, end, 1); }", end)

    def played(self) -> Json:
        """Report of the playback since `begin`."""
        report: Json = self._page.evaluate("() => window.playing")
        return report

    def buffered_to(self, seconds: float) -> Json:
        """Wait until every source buffer reaches this far."""
        reached = "Object.values(state().buffered).every((ranges) => ranges.length && ranges.at(-1)[1] >= end)"
        self._page.evaluate(f"(end) => until(() => {reached})", seconds)
        return self._call("state")

    def offered(self, player: str) -> Json:
        """List the audio tracks and the texts from which a player lets people choose."""
        return self._call("offered", player)

    def tone(self, player: str, index: int, *, start: float) -> Json:
        """Play with one of the audio tracks, and measure the loudest tone in hertz."""
        return self._call("listen", player, index, start)

    def words(self, player: str, index: int, times: list[float]) -> Json:
        """Show one of the texts, and read what is shown at these times."""
        return self._call("readTexts", player, index, times)

    def cues(self, player: str, index: int, *, count: int) -> Json:
        """Show one of the texts, and read its cues once there are so many: start, end, text."""
        return self._call("cuesOf", player, index, count)

    def scrubbed(self, player: str, times: list[float]) -> Json:
        """Scrub to these times: pairs of the time and the number of the shown frame, and the requested files."""
        return self._call("scrub", player, times)

    def _call(self, name: str, *arguments: object) -> Json:
        report: Json = self._page.evaluate(f"(given) => {name}(...given)", list(arguments))
        return report
