"""Every example of the documents that this platform has to live up to (SEEDS.md A2) works as written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from jobs.models import Job
from storage.protocol import ObjectStore
from tests.rows import a_job, a_video
from videos.uploads.idempotency import PATH as UPLOAD

FILE = bytes.fromhex("0000001c") + b"ftypisom" + bytes(1000)
SHOWN = {
    "id", "filename", "original_url", "size", "duration", "width", "height", "codec", "bitrate", "frame_rate",
    "metadata", "status",
}  # fmt: skip


def test_a_video_is_uploaded(api: httpx2.Client, store: ObjectStore, tmp_path: Path) -> None:
    """curl -X POST …/api/v1/videos/upload -F "video=@test.mp4" """
    path = tmp_path / "test.mp4"
    path.write_bytes(FILE)
    with path.open("rb") as file:
        response = api.post(UPLOAD, files={"video": file})
    assert response.status_code == 201
    assert response.json().keys() >= SHOWN
    assert (response.json()["filename"], response.json()["size"]) == ("test.mp4", len(FILE))


def test_a_video_shows_its_client_s_metadata(api: httpx2.Client, store: ObjectStore) -> None:
    said = {"external_id": "asset 17", "metadata": '{"project": "summer", "audio_codec_wanted": null}'}
    shown = api.post(UPLOAD, files={"video": ("a.mp4", FILE)}, data=said).json()
    assert shown["external_id"] == "asset 17"
    assert shown["metadata"] == {"project": "summer", "audio_codec_wanted": None}
    found = api.get("/api/v1/videos", params={"external_id": "asset 17"}).json()["results"]
    assert [video["id"] for video in found] == [shown["id"]]


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"external_id": "x" * 256}, "external_id"), ({"metadata": "{"}, "metadata"), ({"metadata": "[]"}, "metadata"),
     ({"metadata": '{"rotation": 90}'}, "metadata"), ({"metadata": " " * 20_000}, "metadata"),
     ({"title": "x"}, "title")],
)  # fmt: skip
def test_errors_of_an_upload_form_name_the_field(
    api: httpx2.Client, store: ObjectStore, fields: dict[str, str], field: str
) -> None:
    response = api.post(UPLOAD, files={"video": ("a.mp4", FILE)}, data=fields)
    assert (response.status_code, [error["field"] for error in response.json()["errors"]]) == (422, [field])
    assert list(store.list("videos/")) == []


@pytest.mark.parametrize(
    "body",
    [
        {"resolution": "1080p", "codec": "h264", "preset": "medium", "bitrate": 5000000},
        {"resolution": "720p", "codec": "h264", "preset": "fast"},
        {"resolution": "1080p", "output_format": "mp4", "codec": "h264", "bitrate": 5000000, "preset": "medium",
         "priority": 5},
        {"resolution": "360p", "output_format": "hls", "codec": "libx264", "priority": 10},
        {"resolution": "144p", "priority": 0},
        {"resolution": "4k", "codec": "h265", "preset": "cpu"},
    ],
)  # fmt: skip
def test_a_transcode_is_requested(api: httpx2.Client, body: dict[str, Any]) -> None:
    video = a_video(width=1920, height=1080)
    response = api.post(f"/api/v1/videos/{video.id}/transcode", json=body)
    assert response.status_code == 202, response.text
    job = response.json()
    assert api.get(f"/api/v1/jobs/{job['id']}").json()["status"] == "queued"
    assert job["priority"] == body.pop("priority", 50)
    assert job["request"].items() >= body.items()


def test_jobs_and_outputs_are_looked_up(api: httpx2.Client) -> None:
    job = a_job()
    assert [each["id"] for each in api.get(f"/api/v1/videos/{job.video_id}/jobs").json()["results"]] == [str(job.id)]
    assert api.get(f"/api/v1/videos/{job.video_id}/outputs").json()["results"] == []
    assert api.get("/api/v1/videos?limit=20&offset=0").json()["results"][0]["id"] == str(job.video_id)
    assert api.post(f"/api/v1/jobs/{job.id}/cancel").json()["status"] == "cancelled"
    assert api.delete(f"/api/v1/videos/{job.video_id}").status_code == 204
    assert Job.objects.get().state == "cancelled"
