"""A video is watched while it is still being encoded, over the seams of its chunks, without a wait."""

from __future__ import annotations

import time
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from embedded.client import Client, Json
from tests.acceptance.browsing import Theatre, fresh_page
from tests.acceptance.playing import finished
from tests.ffmpeg.sources import AAC, Card, make
from tests.pacing import PacedFfmpeg

SECONDS = 120
CHUNK_SECONDS = 8
"""As the stack of these tests cuts chunks."""
SEAMS = 3
PACE = 4
"""Times real time, in each of two slots: the encoder stays ahead of who watches, and takes a quarter of a minute."""
PLAYERS = ("hls.js", "shaka-player")
SMALL = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "50")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to be watched while it is encoded, and so small that this costs the machine little."""
    card = Card(rate=Fraction(25), frames=25 * SECONDS, width=192, height=108)
    return make(tmp_path_factory.mktemp("early") / "source.mp4", card, *SMALL, *AAC)


def playable(client: Client, job: Json, *, seconds: float = 120) -> Json:
    """The job as soon as its beginning can be watched."""
    deadline = time.monotonic() + seconds
    while not job["playable_at"]:
        assert job["state"] not in ("failed", "cancelled"), job["error"]
        assert time.monotonic() < deadline, "not playable in time"
        time.sleep(0.05)
        job = client.job(job["id"])
    return job


def test_it_is_watched_while_it_is_encoded(
    client: Client, source: Path, browser: Browser, players: str, ffmpeg: PacedFfmpeg
) -> None:
    """By two players at once, whose pages are open before there is anything to see."""
    video = client.upload(source, lambda _: None)
    with ExitStack() as stack:
        theatres = {name: Theatre(stack.enter_context(fresh_page(browser, players))) for name in PLAYERS}
        ffmpeg.pace(PACE)
        stack.callback(ffmpeg.pace, 0)
        job = playable(client, client.transcode(video["id"], {"preset": "ultrafast"}))
        playback = client.playback(video["id"])
        assert playback["state"] == "building"
        for name, theatre in theatres.items():
            assert theatre.load(name, playback["hls_url"])["problems"] == []
        begun = {name: theatre.play(end=1) for name, theatre in theatres.items()}
        assert client.job(job["id"])["state"] == "processing", "it was encoded before it was watched: nothing is shown"
        end = CHUNK_SECONDS * SEAMS + 2
        for theatre in theatres.values():
            theatre.begin(end=end)
        for name, theatre in theatres.items():
            _was_seen(begun[name], theatre.played(), end)
    assert finished(client, job)["state"] == "completed"


def _was_seen(begun: Json, seen: Json, end: float) -> None:
    assert seen["problems"] == []
    assert begun["at"] < CHUNK_SECONDS
    assert seen["at"] >= end
    assert seen["waits"] == 0
    assert all(len(ranges) == 1 and ranges[0][0] < 0.001 for ranges in seen["buffered"].values()), seen["buffered"]
