"""The admin in a browser: find a failed job, read its error, retry it, watch it complete."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Dialog, Page, expect

from embedded.client import Client, Json
from embedded.home import REPOSITORY
from embedded.stack import Stack
from tests.acceptance.playing import finished
from tests.pacing import PacedFfmpeg

SAID = "Cannot allocate memory: this machine is out of luck"
IMAGES = REPOSITORY / "docs" / "images"


@pytest.fixture
def failed(client: Client, clip: Path, ffmpeg: PacedFfmpeg) -> Json:
    """A job that failed because of a fault of the machine that is repaired by now."""
    with ExitStack() as mended:
        mended.callback(ffmpeg.mend)
        ffmpeg.break_down(SAID)
        video = client.upload(clip, lambda _: None)
        job = finished(client, client.transcode(video["id"], {"output_format": ["hls", "mp4"], "preset": "ultrafast"}))
        assert job["state"] == "failed", job
    return job


@pytest.fixture
def screenshot(request: pytest.FixtureRequest, admin_page: Page) -> Callable[[str], None]:
    """Save screenshots for docs/ if pytest has --screenshots."""

    def save(name: str) -> None:
        if request.config.getoption("--screenshots"):
            IMAGES.mkdir(exist_ok=True)
            admin_page.screenshot(path=IMAGES / f"admin-{name}.png")

    return save


def test_a_failed_job_is_found_read_retried_and_completes(
    failed: Json, admin_page: Page, stack: Stack, screenshot: Callable[[str], None]
) -> None:
    page = admin_page
    page.goto(f"{stack.api.url}/admin/")
    expect(page.get_by_text("Steps by queue")).to_be_visible()
    screenshot("overview")
    page.locator("#errors-by-code").get_by_text("encoder_failed").click()
    found = page.get_by_role("link", name=failed["id"])
    expect(found).to_be_visible()
    screenshot("jobs")
    found.click()
    expect(page.get_by_text(SAID).first).to_be_visible()
    screenshot("job")
    page.get_by_role("link", name="chunk 0").click()
    expect(page.get_by_text(SAID).first).to_be_visible()
    expect(page.get_by_text("libx264").first).to_be_visible()
    screenshot("step")
    page.goto(f"{stack.api.url}/admin/jobs/job/{failed['id']}/change/")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("Retry: done.")).to_be_visible()
    _watch(page)
    page.goto(f"{stack.api.url}/admin/videos/video/{UUID(failed['video_id'])}/change/")
    _plays(page)
    _has_stills(page)
    screenshot("video")


def _watch(page: Page) -> None:
    """Reload the page until the job is completed, as people do."""
    state = page.get_by_text("completed", exact=True).first
    for _ in range(120):
        if state.count():
            return
        page.wait_for_timeout(500)
        page.reload()
    expect(state).to_be_visible()


def _plays(page: Page) -> None:
    """Wait until the video plays, for the screenshot."""
    video = page.locator("#player video")
    video.evaluate("(video) => { video.muted = true; return video.play(); }")
    page.wait_for_function(
        """() => {
            const video = document.querySelector("#player video");
            return video.currentTime > 1 && video.getVideoPlaybackQuality().totalVideoFrames > 10;
        }""",
    )
    video.evaluate("(video) => video.pause()")


def _has_stills(page: Page) -> None:
    """Compare screenshots of the stills."""
    stills = page.locator("#stills canvas")
    expect(stills).to_have_count(8)
    assert len({still.screenshot() for still in stills.all()}) == 8


def test_a_person_reads_documents_and_sends_requests_in_the_browser(
    failed: Json, admin_page: Page, stack: Stack
) -> None:
    page = admin_page
    page.goto(f"{stack.api.url}/api/")
    page.get_by_role("link", name="/api/v1/jobs", exact=True).click()
    page.locator(f"#document a[href$='/api/v1/jobs/{failed['id']}']").first.click()
    cancel = page.locator(f"form[action='/api/v1/jobs/{failed['id']}/cancel']")
    cancel.get_by_role("button").click()
    expect(cancel.locator("output")).to_contain_text("409")
    _deletes_only_after_a_confirmation(page, f"{stack.api.url}/api/v1/videos/{failed['video_id']}")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def _deletes_only_after_a_confirmation(page: Page, url: str) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method) if request.method == "DELETE" else None)
    page.goto(url)
    delete = page.locator("form[data-method=DELETE]").first
    said: list[str] = []

    def refuse(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    page.once("dialog", refuse)
    delete.get_by_role("button").click()
    assert "cannot be undone" in said[0]
    assert sent == []
    page.once("dialog", lambda dialog: dialog.accept())
    delete.get_by_role("button").click()
    expect(delete.locator("output")).to_contain_text("20")
    assert sent == ["DELETE"]


def test_a_key_is_revoked_after_a_confirmation(client: Client, admin_page: Page, stack: Stack) -> None:
    page = admin_page
    session = client._http
    key = session.post("/api/v1/keys", json={"name": "for a moment", "scopes": ["jobs:read"]}).json()
    page.goto(f"{stack.api.url}/admin/access/apikey/{key['id']}/change/")
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("A revoked key never works again.")).to_be_visible()
    expect(page.locator("#confirmation").get_by_text("for a moment")).to_be_visible()
    page.get_by_role("link", name="No, go back").click()
    expect(page.get_by_text("active", exact=True)).to_be_visible()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Yes: Revoke").click()
    expect(page.get_by_text("Revoke: done.")).to_be_visible()
    expect(page.get_by_text("revoked", exact=True)).to_be_visible()
