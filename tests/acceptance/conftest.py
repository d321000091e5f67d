"""The whole product, started as by `make run`, with intervals short enough for tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from embedded.client import Client
from embedded.home import Home
from embedded.stack import Stack
from tests.acceptance.browsing import TIMEOUT_MS, chromium, pages
from tests.ffmpeg.sources import AAC, H264, Card, make
from tests.migrated import load_into
from tests.pacing import PacedFfmpeg
from tests.servers import locked_home

SHORT_TIMES = {
    "TRANSCODER_DISPATCHER_TICK_SECONDS": "0.5",
    "TRANSCODER_NODE_HEARTBEAT_SECONDS": "0.5",
    "TRANSCODER_RETRY_BASE_SECONDS": "0.2",
    "TRANSCODER_PUBLISH_SECONDS": "0.5",
    "TRANSCODER_MAX_CHUNK_SECONDS": "8",
    "TRANSCODER_UPLOAD_PART_BYTES": str(5 << 20),
    "TRANSCODER_MAX_UPLOAD_BYTES": str(40 << 30),
}


@pytest.fixture(scope="session")
def home() -> Iterator[Home]:
    with locked_home(f"{os.getpid()}-stack") as home:
        yield home


@pytest.fixture(scope="session")
def ffmpeg(home: Home) -> PacedFfmpeg:
    """The ffmpeg of the stack. Its speed is unlimited unless a test limits it."""
    ffmpeg = PacedFfmpeg(home.folder / "bin")
    ffmpeg.install()
    return ffmpeg


@pytest.fixture(scope="session")
def stack(home: Home, ffmpeg: PacedFfmpeg) -> Iterator[Stack]:
    """The running product with servers of its own."""
    by_request = {"TRANSCODER_THUMBNAILS": "false"}
    sources = {"TRANSCODER_SOURCE_NETWORKS": "127.0.0.0/8"}
    environ = {"PATH": os.environ["PATH"], **ffmpeg.environ, **SHORT_TIMES, **by_request, **sources}
    home.port("api")  # any free one: the usual one may be somebody's `make run`
    stack = Stack(home, durable=False, environ=environ)
    try:
        load_into(stack)
        stack.start()
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="session")
def client(stack: Stack) -> Iterator[Client]:
    with closing(stack.client()) as client:
        yield client


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def admin_page(stack: Stack, browser: Browser) -> Iterator[Page]:
    """The admin's first page after a login. Fails the test when a page violates its content policy."""
    name, password = stack.admin_login()
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
        page.on("pageerror", lambda error: refused.append(str(error)))
        page.goto(f"{stack.api.url}/admin/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("link", name="Jobs").first).to_be_visible()
        yield page
        assert refused == []


@pytest.fixture(scope="session")
def players() -> Iterator[str]:
    """URL of the page with the players."""
    with pages() as address:
        yield f"{address}/players.html"


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-five seconds of numbered frames with beeps, at 29.97 frames per second: seven segments, three chunks."""
    card = Card(rate=Fraction(30000, 1001), frames=749, width=640, height=360)
    return make(tmp_path_factory.mktemp("clip") / "clip.mp4", card, *H264, *AAC)


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes of tiny frames, which take little CPU: thirty segments, fifteen chunks."""
    card = Card(rate=Fraction(25), frames=25 * 120, width=192, height=108)
    small = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "50")
    return make(tmp_path_factory.mktemp("long") / "clip.mp4", card, *small, *AAC)
