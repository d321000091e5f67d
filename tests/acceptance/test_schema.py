"""Responses during an encode match the OpenAPI document: the job runs, and the generation is incomplete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from embedded.client import Client, Json
from embedded.stack import Stack
from tests.acceptance.playing import finished, playable
from tests.fuzzing import fuzz
from tests.pacing import PacedFfmpeg

CRAWL = 0.1
"""Speed, times real time: the rest of the video would take eight minutes in two slots, longer than all requests."""


@contextmanager
def being_encoded(stack: Stack, client: Client, long_clip: Path, ffmpeg: PacedFfmpeg) -> Iterator[Json]:
    """A job whose video is playable and far from complete. It is cancelled after the test."""
    video = client.upload(long_clip, lambda _: None)
    ffmpeg.pace(1)
    job = client.transcode(video["id"], {"preset": "ultrafast"})
    try:
        job = playable(client, job)
        ffmpeg.pace(CRAWL)
        yield job
    finally:
        ffmpeg.pace(0)
        cancel = f"{stack.api.url}/api/v1/jobs/{job['id']}/cancel"
        httpx2.post(cancel, headers={"X-API-Key": client.api_key}, trust_env=False).raise_for_status()
    assert finished(client, job)["state"] == "cancelled"


def test_nothing_undocumented_is_answered_while_a_video_is_encoded(
    stack: Stack, client: Client, long_clip: Path, ffmpeg: PacedFfmpeg, tmp_path: Path
) -> None:
    with being_encoded(stack, client, long_clip, ffmpeg) as job:
        ids = {"job_id": job["id"], "video_id": job["video_id"]}
        reads = ["--include-method", "GET", "--exclude-path-regex", "/events$|/webhooks|/keys"]
        key = ["--header", f"X-API-Key: {client.api_key}", "--header", f"Authorization: Bearer {client.api_key}"]
        assert client.playback(job["video_id"])["state"] == "building"
        fuzz(stack.api.url, tmp_path, *reads, *key, "--phases", "examples,fuzzing", ids=ids)
        assert client.playback(job["video_id"])["state"] == "building"
        assert client.job(job["id"])["state"] == "processing"
