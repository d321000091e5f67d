"""A client's run of the whole pipeline for one video: upload, transcode, follow the job."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from embedded.client import Client, Json
from embedded.terminal import Terminal

FINAL_STATES = {"completed", "failed", "cancelled"}
POLL_SECONDS = 0.25


class JobFailed(Exception):
    """The job failed or was cancelled; the message is the job's error."""


def run_pipeline(
    path: Path,
    *,
    client: Client,
    terminal: Terminal,
    check: Callable[[], None],
    poll_seconds: float = POLL_SECONDS,
) -> Json:
    """Upload a file, transcode it and follow the job. Returns the entries of last-run.json, for failed jobs too.

    `check` is called with every poll and raises to end the wait.
    """
    video = _upload(path, client, terminal)
    job = _follow(client.transcode(video["id"])["id"], client, terminal, check, poll_seconds)
    playback = client.playback(video["id"]) if job["state"] == "completed" else {}
    return {
        "video_id": video["id"],
        "job_id": job["id"],
        "state": job["state"],
        "hls_url": playback.get("hls_url"),
        "renditions": [_rendition(each) for each in _played(playback.get("renditions", []))],
        "seconds_to_playable": _seconds_between(video["created_at"], job["playable_at"]),
        "seconds_total": _seconds_between(video["created_at"], job["finished_at"]),
        "error": job["error"],
    }


def _upload(path: Path, client: Client, terminal: Terminal) -> Json:
    size = path.stat().st_size
    video = client.upload(path, lambda sent: terminal.bar("upload   ", 100 * sent / max(size, 1)))
    terminal.line(f"uploaded {path.name}, {size:,} bytes: video {video['id']}")
    return video


def _follow(job_id: str, client: Client, terminal: Terminal, check: Callable[[], None], poll_seconds: float) -> Json:
    playable = False
    while True:
        job = client.job(job_id)
        if job["state"] in FINAL_STATES:
            return job
        if job["playable_at"] and not playable:
            playable = True
            terminal.line(f"playable from the beginning: {client.playback(job['video_id'])['hls_url']}")
        terminal.bar("transcode", job["progress"], job["phase"])
        check()
        time.sleep(poll_seconds)


def _played(renditions: list[Json]) -> list[Json]:
    """Return the renditions of video, or all of a file that has audio alone."""
    return [each for each in renditions if each["kind"] == "video"] or renditions


def _rendition(rendition: Json) -> Json:
    return {name: rendition[name] for name in ("name", "width", "height", "bitrate")}


def _seconds_between(start: str, end: str | None) -> float | None:
    if end is None:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3)
