"""Lists are narrowed down and ordered, documents echo what clients said of things, and are not sent twice."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.test import Client

from access.services import default_owner
from events.webhooks.services import endpoint_create
from jobs.models import Job
from jobs.rules.transitions import JobState
from tests.rows import a_job, a_key, a_video, an_uploaded_video
from videos.models import Video
from videos.services import video_reject

pytestmark = pytest.mark.django_db

LISTS = ("/api/v1/videos", "/api/v1/jobs")
PLAIN_LISTS = ("/api/v1/keys", "/api/v1/webhooks", "/api/v1/live/sessions")


def ids(client: Client, path: str) -> list[str]:
    response = client.get(path)
    assert response.status_code == 200, response.content
    return [each["id"] for each in response.json()["results"]]


def fields(client: Client, path: str) -> list[str]:
    response = client.get(path)
    assert response.status_code == 422, response.content
    return [error["field"] for error in response.json()["errors"]]


def three_jobs() -> list[Job]:
    """Made yesterday, an hour ago and now."""
    jobs = [a_job() for _ in range(3)]
    for job, age in zip(jobs, (timedelta(days=1), timedelta(hours=1), timedelta(0)), strict=True):
        Job.objects.filter(id=job.id).update(created_at=Now() - age)
        Video.objects.filter(id=job.video_id).update(created_at=Now() - age)
        job.refresh_from_db()
    return jobs


def test_lists_can_be_ordered_oldest_first(client: Client) -> None:
    oldest = [str(job.id) for job in three_jobs()]
    assert ids(client, "/api/v1/jobs?order=created_at") == oldest
    assert ids(client, "/api/v1/jobs?order=-created_at") == ids(client, "/api/v1/jobs") == oldest[::-1]
    first = client.get("/api/v1/jobs?order=created_at&limit=2").json()
    assert [job["id"] for job in first["results"]] == oldest[:2]
    assert ids(client, first["next"]) == oldest[2:]


@pytest.mark.parametrize("path", LISTS)
def test_lists_can_be_filtered_by_time(client: Client, path: str) -> None:
    jobs = three_jobs()
    second = jobs[1].created_at if "jobs" in path else jobs[1].video.created_at
    when = second.isoformat().replace("+00:00", "Z")
    newest = [str(job.id if "jobs" in path else job.video_id) for job in jobs][::-1]
    assert ids(client, f"{path}?created_after={when}") == newest[:2]
    assert ids(client, f"{path}?created_before={when}") == newest[2:]
    assert ids(client, f"{path}?created_after={when}&created_before={when}") == []


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("query", "field"),
    [("order=id", "order"), ("created_after=yesterday", "created_after"), ("created=2026", "created"),
     ("offset=-1", "offset"), ("offset=10001", "offset"), ("external_id=%00", "external_id")],
)  # fmt: skip
def test_unknown_parameters_of_a_list_are_refused(client: Client, path: str, query: str, field: str) -> None:
    assert fields(client, f"{path}?{query}") == [field]


@pytest.mark.parametrize("path", PLAIN_LISTS)
@pytest.mark.parametrize(
    ("query", "field"),
    [("order=id", "order"), ("page=2", "page"), ("external_id=x", "external_id"), ("limit=0", "limit")],
)
def test_lists_without_external_ids_refuse_that_parameter(client: Client, path: str, query: str, field: str) -> None:
    assert fields(client, f"{path}?{query}") == [field]
    assert client.get(f"{path}?order=created_at&created_after=2026-01-01T00:00:00Z").status_code == 200


def test_the_error_names_the_known_parameters(client: Client) -> None:
    error = client.get("/api/v1/webhooks?page=2").json()["detail"]
    assert error == "page: unknown parameter; known are: created_after, created_before, cursor, limit, offset, order"


def test_lists_accept_an_offset(client: Client) -> None:
    newest = [str(a_job().id) for _ in range(5)][::-1]
    assert ids(client, "/api/v1/jobs?limit=20&offset=0") == newest
    page = client.get("/api/v1/jobs?limit=2&offset=1").json()
    assert [job["id"] for job in page["results"]] == newest[1:3]
    assert ids(client, page["next"]) == newest[3:]


def test_videos_can_be_filtered_by_status(client: Client) -> None:
    rejected, _ = an_uploaded_video(), a_video()
    video_reject(video=rejected, code="input_rejected", detail="no")
    assert ids(client, "/api/v1/videos?status=rejected") == [str(rejected.id)]
    assert fields(client, "/api/v1/videos?status=deleted") == ["status"]


def transcode(client: Client, video: Video, **body: object) -> tuple[int, dict[str, Any]]:
    path = f"/api/v1/videos/{video.id}/transcode"
    response = client.post(path, data=json.dumps(body), content_type="application/json")
    return response.status_code, response.json()


def test_external_id_and_metadata_are_stored_shown_and_searched(client: Client) -> None:
    video = a_video()
    said = {"customer": 17, "tags": ["a", {"b": None}], "ü": "日本", "": 1.5}
    status, job = transcode(client, video, external_id=" order 4711 ", metadata=said)
    assert status == 202
    planned = {"gpu_fallback": True, "fallback_reason": "no_gpu"}
    assert (job["external_id"], job["metadata"]) == (" order 4711 ", said | planned)
    assert "external_id" not in job["request"]
    transcode(client, video, external_id="order 4711")
    transcode(client, video)
    for path in ("/api/v1/jobs", f"/api/v1/videos/{video.id}/jobs"):
        assert ids(client, f"{path}?external_id=%20order%204711%20") == [job["id"]]
    Job.objects.filter(id=job["id"]).update(metadata={"gpu_enabled": False})
    shown = client.get(f"/api/v1/jobs/{job['id']}").json()
    assert shown["metadata"] == said | {"gpu_enabled": False}


@pytest.mark.parametrize(
    "metadata",
    [[], "text", None, {"gpu_enabled": True}, {"x": "y" * 17_000}, {str(number): 0 for number in range(101)},
     {"x": "\0"}, {"\0": 1}, {"x": "\ud800"}, {"a": {"b": [[[[[[[[[[1]]]]]]]]]]}}],
)  # fmt: skip
def test_metadata_is_an_object_of_limited_size(client: Client, metadata: object) -> None:
    status, problem = transcode(client, a_video(), metadata=metadata)
    assert (status, [error["field"] for error in problem["errors"]]) == (422, ["metadata"])
    assert not Job.objects.exists()


def test_a_string_of_digits_is_refused_as_a_number(client: Client) -> None:
    path = f"/api/v1/videos/{a_video().id}/transcode"
    response = client.post(path, data='{"metadata": {"x": 1e999}}', content_type="application/json")
    assert response.status_code == 422


def test_the_jobs_of_a_video(client: Client) -> None:
    video = a_video()
    mine = [str(a_job(video).id) for _ in range(3)]
    a_job()
    Job.objects.filter(id=mine[0]).update(state=JobState.PROCESSING)
    assert ids(client, f"/api/v1/videos/{video.id}/jobs") == mine[::-1]
    assert ids(client, f"/api/v1/videos/{video.id}/jobs?state=processing") == mine[:1]
    assert client.get("/api/v1/videos/00000000-0000-0000-0000-000000000000/jobs").status_code == 404


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/videos", "job", "video"])
def test_an_unchanged_document_is_answered_with_304(client: Client, path: str) -> None:
    job = a_job()
    path = {"job": f"/api/v1/jobs/{job.id}", "video": f"/api/v1/videos/{job.video_id}"}.get(path, path)
    first = client.get(path)
    etag = first.headers["ETag"]
    assert "private" in first.headers["Cache-Control"]
    same = client.get(path, headers={"If-None-Match": etag})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
    Job.objects.update(priority=1)
    Video.objects.update(filename="other.mp4")
    changed = client.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_a_problem_is_never_answered_with_304(client: Client) -> None:
    path = "/api/v1/jobs/00000000-0000-0000-0000-000000000000"
    assert client.get(path, headers={"If-None-Match": "*"}).status_code == 404


@pytest.mark.parametrize("path", ["/api/v1/webhooks", "/api/v1/keys"])
def test_lists_of_keys_and_webhooks_can_be_ordered_and_filtered(client: Client, path: str) -> None:
    for number in range(2):
        endpoint_create(owner=default_owner(), url=f"https://{number}.example/")
        a_key()
    newest = ids(client, path)
    assert ids(client, f"{path}?order=created_at") == newest[::-1]
    assert ids(client, f"{path}?created_before=2020-01-01T00:00:00Z") == []
    assert fields(client, f"{path}?state=x") == ["state"]


def test_a_compressed_document_is_refused(client: Client) -> None:
    response = client.post("/api/v1/keys", "{}", content_type="application/json", headers={"Content-Encoding": "gzip"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["/api/v1/events", f"/api/v1/jobs/{uuid4()}/events"])
def test_a_stream_does_not_support_head(client: Client, path: str) -> None:
    response = client.head(path)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, OPTIONS")
