import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from embedded.client import Client
from embedded.pipeline import run_pipeline
from embedded.terminal import Terminal

T0 = "2026-11-01T12:00:00.000000Z"
RENDITIONS = [
    {"name": "720p", "kind": "video", "width": 1280, "height": 720, "bitrate": 3_000_000, "codecs": "avc1"},
    {"name": "audio", "kind": "audio", "width": None, "height": None, "bitrate": 128_000, "codecs": "mp4a"},
]


def a_job(state: str, **changes: object) -> dict[str, Any]:
    job = {
        "id": "j",
        "video_id": "v",
        "state": state,
        "phase": "",
        "progress": 0,
        "playable_at": None,
        "finished_at": None,
    }
    return {**job, "error": None, **changes}


class FakeClient:
    """Client that returns prepared documents."""

    def __init__(self, *jobs: dict[str, Any]) -> None:
        self._jobs: Iterator[dict[str, Any]] = iter(jobs)

    def upload(self, path: Path, on_bytes: Callable[[int], None]) -> dict[str, Any]:
        on_bytes(path.stat().st_size)
        return {"id": "v", "created_at": T0}

    def transcode(self, video_id: str) -> dict[str, Any]:
        return a_job("queued")

    def job(self, job_id: str) -> dict[str, Any]:
        return next(self._jobs)

    def playback(self, video_id: str) -> dict[str, Any]:
        return {"hls_url": "http://x/master.m3u8", "renditions": RENDITIONS}


@pytest.fixture
def follow(tmp_path: Path) -> Callable[..., tuple[dict[str, Any], str]]:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"video")

    def run(*jobs: dict[str, Any], check: Callable[[], None] = lambda: None) -> tuple[dict[str, Any], str]:
        screen = io.StringIO()
        client = cast("Client", FakeClient(*jobs))
        result = run_pipeline(path, client=client, terminal=Terminal(screen), check=check, poll_seconds=0)
        return result, screen.getvalue()

    return run


def test_a_completed_job_has_its_playback_url_and_durations(
    follow: Callable[..., tuple[dict[str, Any], str]],
) -> None:
    result, _ = follow(
        a_job("processing", progress=50),
        a_job("completed", playable_at="2026-11-01T12:00:02.5Z", finished_at="2026-11-01T12:00:09Z"),
    )
    assert result == {
        "video_id": "v",
        "job_id": "j",
        "state": "completed",
        "hls_url": "http://x/master.m3u8",
        "renditions": [{"name": "720p", "width": 1280, "height": 720, "bitrate": 3_000_000}],
        "seconds_to_playable": 2.5,
        "seconds_total": 9.0,
        "error": None,
    }


def test_a_failed_job_has_its_error_and_no_playback_url(follow: Callable[..., tuple[dict[str, Any], str]]) -> None:
    error = {"code": "input_rejected", "detail": "no video stream", "retryable": False}
    result, _ = follow(a_job("failed", error=error, finished_at="2026-11-01T12:00:01Z"))
    assert (result["state"], result["error"], result["hls_url"], result["renditions"]) == ("failed", error, None, [])
    assert (result["seconds_to_playable"], result["seconds_total"]) == (None, 1.0)


def test_an_exception_of_the_check_ends_the_wait(
    follow: Callable[..., tuple[dict[str, Any], str]],
) -> None:
    def dead() -> None:
        raise RuntimeError("worker ended")

    with pytest.raises(RuntimeError, match="worker ended"):
        follow(a_job("processing"), check=dead)


def test_the_playback_url_is_printed_once_when_playable(
    follow: Callable[..., tuple[dict[str, Any], str]],
) -> None:
    playable = a_job("processing", playable_at="2026-11-01T12:00:02Z", progress=30)
    _, screen = follow(playable, playable, {**playable, "state": "completed"})
    assert screen.count("playable from the beginning") == 1
