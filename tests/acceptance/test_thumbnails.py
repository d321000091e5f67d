"""Thumbnails of the running product: made after the job, and shown by players while somebody scrubs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from embedded.client import Client, Json
from embedded.stack import Stack
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


def test_the_admin_shows_the_image_of_a_moment_and_seeks(playback: Json, admin_page: Page, stack: Stack) -> None:
    """By the keyboard: the image of each step, and the video stands there."""
    sprites = playback["thumbnails"]["sprites"]
    admin_page.goto(f"{stack.api.url}/admin/videos/video/{playback['video_id']}/change/")
    video = admin_page.locator("#player video")
    assert "/poster.jpg" in (video.get_attribute("poster") or "")
    expect(admin_page.locator("#stills button img")).to_have_count(10)
    slider = admin_page.get_by_label("Preview")
    shown = []
    for _ in range(2):
        slider.press("ArrowRight")
        image = admin_page.locator("#preview-image")
        expect(image).to_be_visible()
        shown.append(image.evaluate("(image) => image.style.backgroundPosition"))
    assert shown == [f"-{column * sprites['width']}px 0px" for column in (1, 2)]
    sheet = image.evaluate("""(image) => new Promise((resolve) => {
        const sheet = new Image();
        sheet.onload = () => resolve(sheet.naturalWidth);
        sheet.onerror = () => resolve(0);
        sheet.src = image.style.backgroundImage.slice(5, -2);
    })""")
    assert sheet == sprites["columns"] * sprites["width"]
    admin_page.wait_for_function(
        "(at) => Math.abs(document.querySelector('#player video').currentTime - at) < 0.1", arg=2 * sprites["interval"]
    )
