"""Playback of a video during its encode, across the boundaries of chunks.

Whether a player waits depends on how busy the machine is: `make bench ARGS="--only watching"` counts that.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser

from embedded.client import Client, Json
from tests.acceptance.browsing import Theatre, fresh_page
from tests.acceptance.playing import finished, playable
from tests.pacing import PacedFfmpeg

CHUNK_SECONDS = 8
"""Length of the chunks of this stack."""
SEAMS = 1
PACE = 2
"""Speed of each of two slots, times real time: the encoder stays ahead of the player, and takes half a minute."""
PLAYERS = (("hls.js", "hls_url"), ("shaka-player", "hls_url"), ("shaka-player", "dash_url"), ("dash.js", "dash_url"))


def test_it_is_watched_while_it_is_encoded(
    client: Client, long_clip: Path, browser: Browser, players: str, ffmpeg: PacedFfmpeg
) -> None:
    """Four players at once, whose pages are open before the video is playable."""
    video = client.upload(long_clip, lambda _: None)
    with ExitStack() as stack:
        theatres = {each: Theatre(stack.enter_context(fresh_page(browser, players))) for each in PLAYERS}
        ffmpeg.pace(PACE)
        stack.callback(ffmpeg.pace, 0)
        job = playable(client, client.transcode(video["id"], {"preset": "ultrafast"}))
        playback = client.playback(video["id"])
        assert playback["state"] == "building"
        for (player, url), theatre in theatres.items():
            assert theatre.load(player, playback[url])["problems"] == []
        started = {name: theatre.play(end=1) for name, theatre in theatres.items()}
        assert client.job(job["id"])["state"] == "processing", "it was encoded before it was watched: nothing is shown"
        end = CHUNK_SECONDS * SEAMS + 2
        for theatre in theatres.values():
            theatre.begin(end=end)
        for name, theatre in theatres.items():
            _was_seen(started[name], theatre.played(), end)
    assert finished(client, job)["state"] == "completed"


def _was_seen(started: Json, seen: Json, end: float) -> None:
    assert seen["problems"] == []
    assert started["at"] < CHUNK_SECONDS
    assert seen["at"] >= end
    assert all(len(ranges) == 1 and ranges[0][0] < 0.001 for ranges in seen["buffered"].values()), seen["buffered"]
