"""The page for viewers in a real browser: while the video is encoded, in a frame of another site, and after its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from embedded.client import Client, Json
from tests.acceptance.browsing import fresh_page, pages
from tests.acceptance.playing import finished, playable
from tests.ffmpeg.sources import H264, SILENT, Card, make, with_tones
from tests.pacing import PacedFfmpeg

SECONDS = 12
SRT = b"1\n00:00:01,000 --> 00:00:04,000\neins\n"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds in two languages: three segments, two chunks of this stack."""
    folder = tmp_path_factory.mktemp("watched")
    card = Card(rate=Fraction(25), frames=25 * SECONDS, width=320, height=180)
    return with_tones(make(folder / "card.mp4", card, *H264, *SILENT), folder / "clip.mkv", {"eng": 440, "deu": 880})


@pytest.fixture(scope="module")
def video(client: Client, source: Path) -> Json:
    return client.upload(source, lambda _: None)


@pytest.fixture
def watched(browser: Browser, client: Client, video: Json) -> Iterator[Page]:
    """The page of the video. Fails the test when it violates its content policy."""
    with fresh_page(browser, "about:blank") as page:
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
        page.on("pageerror", lambda error: refused.append(str(error)))
        page.goto(client.playback(video["id"])["watch_url"])
        yield page
        assert refused == []


@pytest.fixture
def complete(client: Client, video: Json) -> Json:
    """The video after its job, with a text."""
    if client.playback(video["id"])["state"] != "complete":
        client.add_text(video["id"], SRT, language="de", label="Deutsch")
        assert finished(client, client.transcode(video["id"], {"preset": "ultrafast"}))["state"] == "completed"
    return video


def plays(page: Page | Frame, *, beyond: float) -> None:
    page.wait_for_function("(time) => document.getElementById('player').currentTime > time", arg=beyond)


def test_it_starts_while_the_video_is_encoded_and_plays_to_the_end(
    client: Client, video: Json, watched: Page, ffmpeg: PacedFfmpeg
) -> None:
    expect(watched.locator("#stage-text")).to_have_text("The video starts here as soon as its beginning is there.")
    expect(watched.locator("#player")).to_be_hidden()
    client.add_text(video["id"], SRT, language="de", label="Deutsch")
    with ExitStack() as stack:
        ffmpeg.pace(1)
        stack.callback(ffmpeg.pace, 0)
        job = playable(client, client.transcode(video["id"], {"preset": "ultrafast"}))
        watched.locator("#player").wait_for()  # without a click or a reload
        plays(watched, beyond=0.5)
        assert client.job(job["id"])["state"] == "processing", "it was encoded before it was watched: nothing is shown"
    assert finished(client, job)["state"] == "completed"
    watched.evaluate("document.getElementById('player').playbackRate = 4")
    watched.wait_for_function("() => document.getElementById('player').ended")
    assert watched.evaluate("document.getElementById('player').duration") == pytest.approx(SECONDS, abs=0.1)


def test_it_is_used_by_the_keyboard(complete: Json, watched: Page) -> None:
    player = watched.locator("#player")
    player.wait_for()
    watched.keyboard.press("k")
    plays(watched, beyond=0.2)
    watched.keyboard.press("k")
    watched.wait_for_function("() => document.getElementById('player').paused")
    watched.keyboard.press("ArrowRight")
    plays(watched, beyond=5)
    watched.keyboard.press("m")
    assert player.evaluate("(video) => video.muted")
    watched.wait_for_function("() => document.getElementById('player').textTracks.length > 0")
    watched.keyboard.press("c")
    assert player.evaluate("(video) => [...video.textTracks].map((each) => [each.label, each.mode])") == [
        ["Deutsch", "showing"]
    ]
    audio = watched.get_by_label("Audio")
    assert audio.locator("option").count() == 2
    audio.select_option(index=1)
    watched.locator("#embed summary").click()
    assert "<iframe" in watched.get_by_label("Put this into another page:").input_value()


def test_another_site_frames_it_until_it_is_revoked(
    client: Client, complete: Json, browser: Browser, tmp_path: Path
) -> None:
    playback = client.playback(complete["id"])
    (tmp_path / "index.html").write_text(f"<!doctype html><body>{playback['embed_html']}", encoding="utf-8")
    with pages(tmp_path) as site, fresh_page(browser, site) as page:
        element = page.locator("iframe")
        box = element.bounding_box()
        assert box is not None
        assert box["width"] / box["height"] == pytest.approx(16 / 9, abs=0.02)
        frame = page.frame(url=f"{playback['watch_url']}*")
        assert frame is not None
        frame.locator("#player").wait_for()
        frame.evaluate("document.getElementById('player').muted = true")
        frame.evaluate("document.getElementById('player').play()")
        plays(frame, beyond=0.5)
        assert frame.locator("#embed").count() == 0
        assert frame.evaluate("document.documentElement.scrollHeight <= window.innerHeight"), "no scroll bars"
        client.revoke_playback(complete["id"])
        frame.get_by_label("Audio").select_option(index=1)  # its segments were not fetched before
        expect(frame.locator("#stage-text")).to_have_text("This video is not available any more.")
        expect(frame.locator("#player")).to_be_hidden()
        requests = "performance.getEntriesByType('resource').length"
        before = frame.evaluate(requests)
        page.wait_for_timeout(2500)  # longer than the player waits before it tries again
        assert frame.evaluate(requests) == before
        frame.goto(f"{playback['watch_url']}?embed=1")
        expect(frame.locator("#reason")).to_have_text("This video is not available any more.")
