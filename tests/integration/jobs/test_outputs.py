from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.models import Job
from jobs.rules.transitions import JobPhase, JobState
from tests.rows import a_job, a_video, an_mp4, an_owner
from videos.assets.services import assets_publish
from videos.models import Rendition
from videos.services import VerifiedRendition, generation_complete, video_mark_deleting

pytestmark = pytest.mark.django_db


def a_completed_job(*, width: int = 1280, height: int = 720, seconds: int = 40, output_format: str = "mp4") -> Job:
    """Renditions of 1000, 1001 … bytes at 500 kb/s, and a file of 2000, 2001 … bytes for each rung."""
    job = a_job(a_video(seconds=seconds, width=width, height=height), output_format=output_format)
    assert job.generation is not None
    renditions = list(job.generation.renditions.order_by("position"))
    generation_complete(generation=job.generation, verified=[measured(row) for row in renditions])
    for row in renditions:
        if output_format == "mp4" and row.kind == "video":
            mp4_file = an_mp4(row, size_bytes=2000 + row.position, sha256="f" * 64)
            assets_publish(generation_id=row.generation_id, assets=[mp4_file])
    Job.objects.filter(id=job.id).update(state=JobState.COMPLETED, phase=JobPhase.ENDED, finished_at=job.created_at)
    return job


def measured(row: Rendition) -> VerifiedRendition:
    return VerifiedRendition(
        rendition_id=row.id,
        peak_bitrate=600_000,
        avg_bitrate=500_000,
        size_bytes=1000 + row.position,
        sha256=str(row.position) * 64,
    )


def read(client: Client, job: Job) -> dict[str, Any]:
    response = client.get(f"/api/v1/jobs/{job.id}/outputs")
    assert response.status_code == 200, response.content
    document: dict[str, Any] = json.loads(response.content)
    return document


def kinds(outputs: Sequence[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(output["type"], output["rendition"]) for output in outputs]


def test_everything_is_listed(client: Client) -> None:
    document = read(client, a_completed_job())
    assert document["state"] == "completed"
    assert document["expires_at"] is not None
    rungs = ["720p", "480p", "360p"]
    assert kinds(document["outputs"]) == [
        ("hls", None),
        ("dash", None),
        *(("hls", name) for name in [*rungs, "audio"]),
        *(("mp4", name) for name in rungs),
    ]


def test_an_output_tells_what_it_is(client: Client) -> None:
    outputs = read(client, a_completed_job())["outputs"]
    whole, dash, rung, mp4 = outputs[0], outputs[1], outputs[2], outputs[6]
    assert whole["size"] == dash["size"] == 1000 + 1001 + 1002 + 1003
    digests = "".join(f"{str(position) * 64}\n" for position in range(4))
    assert (
        whole["checksum"]
        == dash["checksum"]
        == {
            "algorithm": "sha256-list",
            "value": hashlib.sha256(digests.encode()).hexdigest(),
        }
    )
    assert whole["codecs"].split(",")[-1] == "mp4a.40.2"
    assert (whole["width"], whole["bitrate"]) == (None, None)

    assert (rung["width"], rung["height"], rung["frame_rate"]) == (1280, 720, "25")
    assert (rung["bitrate"], rung["peak_bitrate"], rung["size"]) == (500_000, 600_000, 1000)
    assert rung["checksum"] == {"algorithm": "sha256-list", "value": "0" * 64}
    assert rung["codecs"].startswith("avc1.")

    assert (mp4["rendition"], mp4["size"], mp4["height"]) == ("720p", 2000, 720)
    assert mp4["checksum"] == {"algorithm": "sha256", "value": "f" * 64}
    assert mp4["codecs"] == f"{rung['codecs']},mp4a.40.2"
    assert (mp4["bitrate"], mp4["peak_bitrate"]) == (1_000_000, 1_200_000)


def test_every_address_is_signed_and_of_the_job_s_own_generation(client: Client) -> None:
    job = a_completed_job()
    paths = [output["url"].partition("/play/")[2].split("/") for output in read(client, job)["outputs"]]
    assert len({token for token, *_ in paths}) == 1
    assert {number for _, number, *_ in paths} == {"1"}
    assert ["/".join(rest) for _, _, *rest in paths] == [
        "master.m3u8",
        "manifest.mpd",
        *(f"{name}/index.m3u8" for name in ("720p", "480p", "360p", "audio")),
        *(f"{name}.mp4" for name in ("720p", "480p", "360p")),
    ]


@pytest.mark.parametrize("requested", ["hls", "dash"])
def test_without_files_there_are_both_kinds_of_streams(requested: str, client: Client) -> None:
    job = a_completed_job(output_format=requested)
    assert {output["type"] for output in read(client, job)["outputs"]} == {"hls", "dash"}
    playback = client.get(f"/api/v1/videos/{job.video_id}/playback").json()
    assert playback["hls_url"].endswith("/master.m3u8")
    assert playback["dash_url"].endswith("/manifest.mpd")


def test_there_is_nothing_before_the_end(client: Client) -> None:
    job = a_job()
    assert read(client, job) == {"job_id": str(job.id), "state": "queued", "expires_at": None, "outputs": []}


def test_there_is_nothing_of_a_deleted_video(client: Client) -> None:
    job = a_completed_job()
    video_mark_deleting(video=job.video)
    assert read(client, job)["outputs"] == []


def test_another_s_job_is_not_there(client: Client) -> None:
    for job_id in (a_job(a_video(an_owner("other"))).id, uuid4()):
        response = client.get(f"/api/v1/jobs/{job_id}/outputs")
        assert (response.status_code, json.loads(response.content)["code"]) == (404, "job_not_found")


def test_the_number_of_queries_does_not_grow(client: Client) -> None:
    client.get("/api/v1/jobs")  # notes the first use of the key
    counts = []
    read(client, a_completed_job())  # what is looked up once, whoever asks, is known from here on
    for job in (
        a_completed_job(width=640, height=360, output_format="hls"),
        a_completed_job(width=1920, height=1080, seconds=3000),
    ):
        with CaptureQueriesContext(connection) as queries:
            read(client, job)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 5


def test_a_job_links_to_its_outputs(client: Client) -> None:
    job = a_job()
    document = json.loads(client.get(f"/api/v1/jobs/{job.id}").content)
    assert document["links"]["outputs"] == f"/api/v1/jobs/{job.id}/outputs"
