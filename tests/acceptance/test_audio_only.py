"""An audio file from its upload to the end of its playback, in common players."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from embedded.client import Client, Json
from tests.acceptance.browsing import Theatre, fresh_page
from tests.acceptance.playing import Player, finished
from tests.ffmpeg.golden import beep_seconds
from tests.ffmpeg.sources import beeps

SECONDS = 12


@pytest.fixture(scope="module")
def job(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """Three segments of an MP3 with a cover, and an MP4."""
    folder = tmp_path_factory.mktemp("source")
    source = beeps(folder / "track.mp3", SECONDS, "-c:a", "libmp3lame", "-b:a", "64k", cover=True)
    video = client.upload(source, lambda _: None)
    job = finished(client, client.transcode(video["id"], {"output_format": "mp4"}))
    assert job["state"] == "completed", job["error"]
    return job


@pytest.fixture(scope="module")
def playback(client: Client, job: Json) -> Json:
    return client.playback(job["video_id"])


def test_the_documents_say_that_there_is_no_video(client: Client, job: Json, playback: Json) -> None:
    video = client.video(job["video_id"])
    assert (video["width"], video["height"], video["frame_rate"]) == (None, None, None)
    assert (video["codec"], video["duration"]) == ("mp3", pytest.approx(SECONDS, abs=0.1))
    assert [(each["name"], each["kind"], each["codecs"]) for each in playback["renditions"]] == [
        ("audio", "audio", "mp4a.40.2")
    ]


def test_what_goes_in_comes_out(playback: Json, tmp_path: Path) -> None:
    with closing(Player()) as player:
        addresses = player.renditions(playback["hls_url"])
        assert set(addresses) == {"audio"}
        path = player.save(addresses["audio"], tmp_path / "audio.mp4")
    assert beep_seconds(path) == pytest.approx([1.0, 3.0, 5.0, 7.0, 9.0, 11.0], abs=0.01)


@pytest.mark.parametrize(
    ("player", "kind"),
    [("hls.js", "hls_url"), ("shaka-player", "hls_url"), ("shaka-player", "dash_url"), ("dash.js", "dash_url")],
)
def test_it_plays_to_the_end_and_seeks(player: str, kind: str, playback: Json, browser: Browser, players: str) -> None:
    with fresh_page(browser, players) as page:
        theatre = Theatre(page)
        assert theatre.load(player, playback[kind])["problems"] == []
        whole = theatre.buffered_to(SECONDS - 0.1)
        assert whole["duration"] == pytest.approx(SECONDS, abs=0.1)
        assert set(whole["buffered"]) == {"audio", "all"}
        for ranges in whole["buffered"].values():
            ((start, end),) = ranges
            assert (start, end) == (pytest.approx(0, abs=1e-6), pytest.approx(SECONDS, abs=0.1))
        sought = theatre.play(start=7.6, end=8.4)
        assert (sought["at"] >= 8.4, sought["problems"]) == (True, [])
        played = theatre.play(start=0, rate=4)
        assert (played["ended"], played["problems"]) == (True, [])


def test_a_browser_plays_the_mp4(client: Client, job: Json, browser: Browser, players: str) -> None:
    (mp4,) = (each for each in client.outputs(job["id"])["outputs"] if each["type"] == "mp4")
    with closing(Player()) as player:
        assert player.get(mp4["url"]).headers["content-type"] == "audio/mp4"
    with fresh_page(browser, players) as page:
        theatre = Theatre(page)
        assert theatre.load("browser", mp4["url"])["duration"] == pytest.approx(SECONDS, abs=0.1)
        played = theatre.play(start=9.0, rate=2)
        assert (played["ended"], played["problems"]) == (True, [])
