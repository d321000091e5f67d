"""A video is watched while it is still being encoded, over the seams of its chunks, without a wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from embedded.client import Client, Json
from tests.acceptance.browsing import Theatre, chromium_page, pages
from tests.acceptance.playing import finished
from tests.ffmpeg.sources import AAC, H264, Card, make

SECONDS = 72
CHUNK_SECONDS = 8
"""As the stack of these tests cuts chunks."""
SEAMS = 3


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to be watched while it is encoded, and small enough to be encoded faster than it is watched."""
    card = Card(rate=Fraction(25), frames=25 * SECONDS, width=480, height=272)
    return make(tmp_path_factory.mktemp("early") / "source.mp4", card, *H264, *AAC)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with pages() as address:
        yield f"{address}/players.html"


def playable(client: Client, job: Json, *, seconds: float = 60) -> Json:
    """The job as soon as its beginning can be watched."""
    deadline = time.monotonic() + seconds
    while not job["playable_at"]:
        assert job["state"] not in ("failed", "cancelled"), job["error"]
        assert time.monotonic() < deadline, "not playable in time"
        time.sleep(0.05)
        job = client.job(job["id"])
    return job


@pytest.mark.parametrize("player", ["hls.js", "shaka-player"])
def test_it_is_watched_while_it_is_encoded(player: str, client: Client, source: Path, address: str) -> None:
    video = client.upload(source, lambda _: None)
    with chromium_page(address) as page:
        theatre = Theatre(page)
        job = playable(client, client.transcode(video["id"], {"preset": "veryslow"}))
        playback = client.playback(video["id"])
        assert playback["state"] == "building"
        assert theatre.load(player, playback["hls_url"])["problems"] == []
        begun = theatre.play(end=1)
        assert client.job(job["id"])["state"] == "processing", "it was encoded before it was watched: nothing is shown"
        end = CHUNK_SECONDS * SEAMS + 2
        seen = theatre.play(end=end)
        assert seen["problems"] == []
        assert begun["at"] < CHUNK_SECONDS
        assert seen["at"] >= end
        assert seen["waits"] == 0
        assert all(len(ranges) == 1 and ranges[0][0] < 0.001 for ranges in seen["buffered"].values()), seen["buffered"]
    assert finished(client, job)["state"] == "completed"
