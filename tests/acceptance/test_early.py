"""Playback of a video during its encode, across the boundaries of chunks, without stalls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event, Thread

from playwright.sync_api import Browser

from embedded.client import Client, Json
from jobs.rules.playable import MARGIN
from tests.acceptance.browsing import Theatre, fresh_page
from tests.acceptance.playing import Player, finished, playable
from tests.pacing import PacedFfmpeg

SEGMENT_SECONDS = 4

CHUNK_SECONDS = 8
"""Length of the chunks of this stack."""
SEAMS = 3
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
        published = stack.enter_context(_watched_playlists(playback["hls_url"]))
        for (player, url), theatre in theatres.items():
            assert theatre.load(player, playback[url])["problems"] == []
        started = {name: theatre.play(end=1) for name, theatre in theatres.items()}
        assert client.job(job["id"])["state"] == "processing", "it was encoded before it was watched: nothing is shown"
        end = CHUNK_SECONDS * SEAMS + 2
        for theatre in theatres.values():
            theatre.begin(end=end)
        for name, theatre in theatres.items():
            seen = theatre.played()
            _was_seen(started[name], seen, end)
            assert [each for each in seen["waits"] if published.in_time(each[1])] == [], published.ends
    assert finished(client, job)["state"] == "completed"


class _Published:
    """Ends of all playlists of a video over time: a busy machine may encode slower than players play."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []
        """Seconds since the epoch, and seconds of media."""

    def look(self, player: Player, master_url: str) -> None:
        """Note how far the shortest playlist reaches now."""
        playlists = map(player.playlist, player.renditions(master_url).values())
        end = min(sum(playlist.durations) for playlist in playlists)
        self.ends.append((time.time(), end))

    def in_time(self, until: float) -> bool:
        """Tell whether, up to a moment, publication was as fast as is presumed of a video that is playable."""
        first_at, first_end = self.ends[0]
        return all(
            end >= first_end + MARGIN * (at - first_at) - SEGMENT_SECONDS for at, end in self.ends if at <= until
        )


@contextmanager
def _watched_playlists(master_url: str) -> Iterator[_Published]:
    published, stop = _Published(), Event()

    def look_again() -> None:
        with closing(Player()) as player:
            while not stop.wait(0.25):
                published.look(player, master_url)

    with closing(Player()) as player:
        published.look(player, master_url)
    thread = Thread(target=look_again)
    thread.start()
    try:
        yield published
    finally:
        stop.set()
        thread.join()


def _was_seen(started: Json, seen: Json, end: float) -> None:
    assert seen["problems"] == []
    assert started["at"] < CHUNK_SECONDS
    assert seen["at"] >= end
    assert all(len(ranges) == 1 and ranges[0][0] < 0.001 for ranges in seen["buffered"].values()), seen["buffered"]
