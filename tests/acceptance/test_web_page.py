"""The page in a browser: a file becomes a video that plays, and uploads survive a cut connection and a reload."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from configuration.other_names import overridden
from embedded.client import Client, Json
from embedded.home import REPOSITORY
from embedded.product import Api
from embedded.stack import Stack
from tests.acceptance.browsing import TIMEOUT_MS
from tests.pacing import PacedFfmpeg

AXE = REPOSITORY / "tests" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
IMAGES = REPOSITORY / "docs" / "images"
DESKTOP: ViewportSize = {"width": 1280, "height": 860}
PHONE: ViewportSize = {"width": 360, "height": 740}
PART_BYTES = 5 << 20
"""Size of the parts of this stack's uploads."""
SECONDS_OF_UPLOAD = 40
"""Of a slow connection, which is cut when a tenth has been sent: there is time for that on a busy machine."""
PACE = 4
"""Speed of each of two slots, times real time: the whole takes a few seconds, and the beginning is there before."""


@contextmanager
def _signed_in(browser: Browser, url: str, stack: Stack, **context: Any) -> Iterator[Page]:  # noqa: ANN401 - Playwright's
    """Yield the front page. Fails the test when a page violates its content policy or raises an error."""
    name, password = stack.admin_login()
    with browser.new_context(**{"viewport": DESKTOP, **context}) as opened:
        page = opened.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        refused: list[str] = []
        page.on("console", lambda said: refused.append(said.text) if "Content Security" in said.text else None)
        page.on("pageerror", lambda error: refused.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())  # leaves the page during an upload
        page.on("requestfailed", lambda request: print(request.method, request.url, request.failure))  # noqa: T201 - shown where a test fails
        page.goto(f"{url}/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Library")).to_be_visible()
        yield page
        assert refused == []


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    with _signed_in(browser, stack.api.url, stack) as page:
        yield page


class ProxyingApi(Api):
    """Another API process of the stack, whose clients cannot reach the store."""

    name = "proxying-api"

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack.home, stack.api.environ())
        self.stack = stack

    def environ(self) -> Mapping[str, str]:
        return overridden(super().environ(), {"TRANSCODER_PLAYBACK_DELIVERY": "proxy"})


@pytest.fixture(scope="module")
def proxying(stack: Stack) -> Iterator[ProxyingApi]:
    api = ProxyingApi(stack)
    api.start()
    try:
        api.wait_ready()
        yield api
    finally:
        api.close()


@pytest.fixture
def screenshot(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Save screenshots for docs/ if pytest has --screenshots."""

    def save(page: Page, name: str) -> None:
        if request.config.getoption("--screenshots"):
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=IMAGES / f"page-{name}.jpg", type="jpeg", quality=82)

    return save


@pytest.fixture
def film(request: pytest.FixtureRequest, clip: Path) -> Path:
    """The clip; for screenshots the one of `make run`, which is nicer to look at."""
    nicer = REPOSITORY / ".vodmill" / "media" / "clip.mp4"
    return nicer if request.config.getoption("--screenshots") else clip


@pytest.fixture(scope="module")
def large_clip(request: pytest.FixtureRequest, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with a box of random bytes, which programs skip: as large as --upload-mib says."""
    content = clip.read_bytes()
    size = request.config.getoption("--upload-mib") << 20
    free = size - len(content)
    path = tmp_path_factory.mktemp("large") / "holiday.mp4"
    with path.open("wb") as file:
        file.write(content + free.to_bytes(4, "big") + b"free")
        random = Random(7)  # noqa: S311 - any bytes
        for _ in range((free - 8) // PART_BYTES):
            file.write(random.randbytes(PART_BYTES))
        file.write(random.randbytes((free - 8) % PART_BYTES))
    return path


def test_a_video_is_uploaded_by_the_keyboard_and_watched_while_it_is_encoded(
    page: Page, client: Client, film: Path, ffmpeg: PacedFfmpeg, screenshot: Callable[[Page, str], None]
) -> None:
    page.on("filechooser", lambda chooser: chooser.set_files(film))
    _press_tab_up_to(page, "mp4")
    page.keyboard.press("Space")
    expect(page.locator("#mp4")).to_be_checked()
    _press_tab_up_to(page, "files", back=True)
    ffmpeg.pace(PACE)
    try:
        page.keyboard.press("Enter")
        row = page.locator("#uploads li")
        expect(row).to_contain_text("being transcoded")
        card = page.locator("a.card").first
        expect(card).to_contain_text("clip.mp4")
        card.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#state")).to_contain_text("Transcoding")
        expect(page.locator("#progress li").first).to_be_visible()
        expect(page.locator("#player-data")).to_have_attribute("data-growing", "true")
        _plays(page)
        screenshot(page, "playable")
    finally:
        ffmpeg.pace(0)
    expect(page.locator("#state")).to_have_text("Ready")
    expect(page.locator("#spoken")).to_have_text("Ready, can be watched.")
    expect(page.locator("#history")).to_contain_text("Complete: all outputs are verified")
    expect(page.locator("#progress .percent").last).to_have_text("100 %")
    with page.expect_download() as download:
        page.get_by_role("link", name="(MP4)").first.click()
    assert Path(download.value.path()).read_bytes()[4:8] == b"ftyp"
    page.locator("#plan summary").click()
    expect(page.locator("#plan-content dt").first).to_be_visible()
    page.locator("#plan summary").click()
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Open it").click()
    expect(popup.value.locator("#player")).to_be_visible()
    _is_accessible(popup.value, lambda _page, _name: None, "watch")
    popup.value.close()
    _is_accessible(page, screenshot, "video")
    client.make_thumbnails(page.url.rpartition("/")[2])
    page.get_by_role("link", name="Videos").first.click()
    expect(page.locator("a.card").first).to_contain_text("Ready")
    expect(page.locator("a.card img").first).to_be_visible()
    _is_accessible(page, screenshot, "library")


def test_a_video_is_deleted_after_a_confirmation(page: Page, stack: Stack, client: Client, clip: Path) -> None:
    video = client.upload(clip, lambda _: None)
    page.goto(f"{stack.api.url}/videos/{video['id']}")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="No, go back").click()
    assert client.video(video["id"])["id"] == video["id"]
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_role("heading", name="Library")).to_be_visible()
    expect(page.locator(f"#video-{video['id']}")).to_have_count(0)


def test_a_person_signs_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert _serious(page) == []


@pytest.mark.parametrize("protocol", ["parts", "tus"])
def test_an_upload_continues_after_a_cut_connection_and_a_reload(
    protocol: str, browser: Browser, proxying: ProxyingApi, client: Client, large_clip: Path
) -> None:
    stack = proxying.stack
    url = stack.api.url if protocol == "parts" else proxying.url
    size = large_clip.stat().st_size
    with _signed_in(browser, url, stack) as page:
        assert page.locator("#page-data").get_attribute("data-protocol") == protocol
        page.get_by_label("Transcode at once").uncheck()
        with _cut_in_the_middle(page, size) if protocol == "parts" else _cut_while_slow(page, size):
            page.set_input_files("#files", large_clip)
        again = _visited_again(page, url)
        row = again.locator("#uploads li")
        expect(row).to_contain_text("Interrupted at")
        upload = client._http.get("/api/v1/uploads", params={"state": "open", "limit": 1}).json()["results"][0]
        received = client._http.get(f"/api/v1/uploads/{upload['id']}").json()["received"]
        assert 0 < received < size
        sent: list[str] = []
        again.on("request", lambda request: sent.append(request.url) if request.method in ("PUT", "PATCH") else None)
        again.set_input_files("#files", large_clip)
        expect(row).to_contain_text("Uploaded")
        missing = -(-size // upload["part_size"]) - received // upload["part_size"] if protocol == "parts" else 1
        assert 0 < len(sent) <= missing
        video_id = (row.get_by_role("link").get_attribute("href") or "").rpartition("/")[2]
    original = client._http.get(f"/api/v1/videos/{video_id}/original", follow_redirects=True)
    assert hashlib.sha256(original.content).digest() == hashlib.sha256(large_clip.read_bytes()).digest()
    client.delete(video_id)


@contextmanager
def _cut_in_the_middle(page: Page, size: int) -> Iterator[None]:
    """Cut the connection once the first half of the parts is there. The others never arrive."""
    last = size // PART_BYTES // 2
    held: list[Route] = []

    def is_late(url: str) -> bool:
        number = re.search(r"[?&]partNumber=(\d+)", url)
        return number is not None and int(number[1]) > last

    def hold(route: Route) -> None:
        held.append(route)

    page.route(is_late, hold)
    yield
    _wait_for_progress(page, 100 * last * PART_BYTES // size - 1)
    page.context.set_offline(True)
    for route in held:
        route.abort("internetdisconnected")
    expect(page.locator("#uploads li")).to_contain_text("connection is cut")


@contextmanager
def _cut_while_slow(page: Page, size: int) -> Iterator[None]:
    """Cut a slow connection when a tenth has been sent."""
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    limits = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": size // SECONDS_OF_UPLOAD}
    network.send("Network.emulateNetworkConditions", {"offline": False, **limits})
    yield
    _wait_for_progress(page, 10)
    page.context.set_offline(True)
    expect(page.locator("#uploads li")).to_contain_text("connection is cut")


def _visited_again(page: Page, url: str) -> Page:
    """Leave a page without a connection, and visit it again with one: nothing goes on in between."""
    context = page.context
    page.close()
    context.set_offline(False)
    again = context.new_page()
    again.set_default_timeout(TIMEOUT_MS)
    again.goto(f"{url}/")
    return again


def _wait_for_progress(page: Page, percent: int) -> None:
    script = f"() => document.querySelector('#uploads progress')?.value >= {percent}"
    page.wait_for_function(script)


def _press_tab_up_to(page: Page, id_: str, *, back: bool = False) -> None:
    for _ in range(20):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate("document.activeElement.id") == id_:
            return
    pytest.fail(f"the keyboard does not reach {id_}")


def _plays(page: Page) -> None:
    player = page.locator("#player")
    expect(player).to_be_visible()
    player.evaluate("(video) => { video.muted = true; return video.play(); }")
    page.wait_for_function(
        """() => {
            const video = document.querySelector("#player");
            return video.currentTime > 1 && video.getVideoPlaybackQuality().totalVideoFrames > 10;
        }""",
    )
    player.evaluate("(video) => video.pause()")


def _is_accessible(page: Page, screenshot: Callable[[Page, str], None], name: str) -> None:
    """Check a page in light, dark and on a phone, where nothing may be wider than the screen."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert _serious(page) == []
        screenshot(page, f"{name}-{scheme}")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert _serious(page) == []
    screenshot(page, f"{name}-phone")
    page.set_viewport_size(DESKTOP)


def _serious(page: Page) -> list[str]:
    """List what axe-core finds that keeps people from using a page."""
    page.evaluate(AXE.read_text())
    found: Json = page.evaluate("() => axe.run()")
    return [
        f"{each['id']}: {json.dumps([node['html'][:200] for node in each['nodes'][:3]])}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
