"""Thumbnails of the running product: made after the job, and shown by players while somebody scrubs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from embedded.client import Client, Json
from tests.acceptance.browsing import fresh_page
from tests.acceptance.playing import completed


@pytest.fixture(scope="module")
def playback(client: Client, clip: Path) -> Json:
    """The playback document of a completed video that has its images."""
    video_id = completed(client, clip, preset="ultrafast", generate_thumbnails=True)["video_id"]
    deadline = time.monotonic() + 120
    while (found := client.playback(video_id))["thumbnails"]["state"] == "pending":
        assert time.monotonic() < deadline, "the images are not made in time"
        time.sleep(0.2)
    assert found["thumbnails"]["state"] == "ready", found["thumbnails"]["error"]
    return found


@pytest.mark.parametrize("player", ["shaka-player", "dash.js"])
def test_players_find_the_image_of_a_moment(player: str, playback: Json, browser: Browser, players: str) -> None:
    sprites = playback["thumbnails"]["sprites"]
    moment = sprites["interval"] * 6 + 0.5  # in the second row
    with fresh_page(browser, players) as page:
        found = page.evaluate("([...words]) => thumbnail(...words)", [player, playback["dash_url"], moment])
    area = [found[name] for name in ("x", "y", "width", "height")]
    width, height = sprites["width"], sprites["height"]
    assert area == [width, height, width, height]
    assert found["sheet"] == [5 * width, 5 * height]
