"""The outputs of a job match the bytes of their URLs, and its progressive MP4 plays."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser

from embedded.client import Client, Json
from tests.acceptance.browsing import Theatre, fresh_page
from tests.acceptance.playing import Player, finished
from tests.ffmpeg.golden import beep_seconds, shown_numbers

SECONDS = 749 * 1001 / 30_000


@pytest.fixture(scope="module")
def outputs(client: Client, clip: Path) -> list[Json]:
    """The outputs of a ladder with progressive MP4s."""
    video = client.upload(clip, lambda _: None)
    job = finished(client, client.transcode(video["id"], {"output_format": ["hls", "mp4"], "preset": "ultrafast"}))
    assert job["state"] == "completed", job["error"]
    found: list[Json] = client.outputs(job["id"])["outputs"]
    return found


@pytest.fixture(scope="module")
def mp4(outputs: list[Json]) -> Json:
    (found,) = (output for output in outputs if output["type"] == "mp4")
    return found


def test_every_address_leads_somewhere(outputs: list[Json]) -> None:
    assert [(output["type"], output["rendition"]) for output in outputs] == [
        ("hls", None),
        ("dash", None),
        ("hls", "360p"),
        ("hls", "audio"),
        ("mp4", "360p"),
    ]
    with closing(Player()) as player:
        for output in outputs:
            assert player.get(output["url"]).content


def test_a_rendition_has_the_size_and_the_checksum_of_its_objects(outputs: list[Json]) -> None:
    with closing(Player()) as player:
        for output in outputs[2:4]:
            playlist = player.playlist(output["url"])
            objects = [player.get(url).content for url in (playlist.init, *playlist.segments)]
            lines = "".join(f"{hashlib.sha256(data).hexdigest()}\n" for data in objects)
            assert output["size"] == sum(len(data) for data in objects)
            assert output["checksum"] == {
                "algorithm": "sha256-list",
                "value": hashlib.sha256(lines.encode()).hexdigest(),
            }


def test_the_progressive_file_is_the_whole_video(mp4: Json, tmp_path: Path) -> None:
    path = tmp_path / "progressive.mp4"
    with closing(Player()) as player:
        path.write_bytes(player.get(mp4["url"]).content)
    assert path.stat().st_size == mp4["size"]
    assert mp4["checksum"] == {"algorithm": "sha256", "value": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert shown_numbers(path) == list(range(749))
    assert beep_seconds(path) == pytest.approx([1.0 + 2 * beep for beep in range(12)], abs=1 / 30)


def test_a_part_of_it_can_be_had(mp4: Json) -> None:
    ranged = httpx2.get(mp4["url"], headers={"Range": "bytes=4-7"}, follow_redirects=True, trust_env=False, timeout=120)
    assert (ranged.status_code, ranged.content) == (206, b"ftyp")


def test_a_browser_plays_it_to_the_end_and_seeks(mp4: Json, browser: Browser, players: str) -> None:
    with fresh_page(browser, players) as page:
        theatre = Theatre(page)
        assert theatre.load("browser", mp4["url"])["duration"] == pytest.approx(SECONDS, abs=0.05)
        sought = theatre.play(start=15.0, end=16.0, rate=2)
        assert sought["problems"] == []
        assert 16.0 <= sought["at"] < 20.0
        shown = theatre.play(start=0, rate=4)
        assert shown["ended"]
        assert shown["problems"] == []
        ((start, end),) = shown["buffered"]["all"]
        assert (start, end) == (0, pytest.approx(SECONDS, abs=0.05))
