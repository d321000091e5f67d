from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from configuration import RankConfig, RetryConfig
from jobs.leasing.steps import step_begin, step_publish
from jobs.lifecycle.failures import step_fail
from jobs.models import Job, Step
from jobs.rules.retry import Failure
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JobState
from tests.rows import a_job, a_policy, a_run, a_video, an_owner, an_uploaded_video, claimed
from videos.models import Rendition, Video
from videos.services import video_reject

pytestmark = pytest.mark.django_db


class Answer(Protocol):
    """The parts of the test client's responses that these tests read."""

    status_code: int
    content: bytes

    @property
    def headers(self) -> Mapping[str, str]: ...


def _transcode(client: Client, video_id: object, body: object = None) -> Answer:
    return client.post(
        f"/api/v1/videos/{video_id}/transcode", data=json.dumps(body or {}), content_type="application/json"
    )


def _read(response: Answer) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(response.content)
    return document


def _problem(response: Answer, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    return _read(response)


def test_a_job_is_accepted_and_can_be_followed(client: Client) -> None:
    video = a_video()
    response = _transcode(client, video.id)
    document = _read(response)
    assert response.status_code == 202
    assert response.headers["Location"] == f"/api/v1/jobs/{document['id']}"
    assert _read(client.get(response.headers["Location"])) == document
    assert (document["state"], document["phase"], document["progress"]) == ("queued", "planned", 0)
    assert (document["video_id"], document["priority"], document["error"]) == (str(video.id), 50, None)
    assert document["request"] == {"codec": "h264", "output_format": "hls"}
    assert document["links"]["playback"] == f"/api/v1/videos/{video.id}/playback"


def test_a_job_is_accepted_before_the_video_is_inspected(client: Client) -> None:
    document = _read(_transcode(client, an_uploaded_video().id, {"priority": "high"}))
    assert (document["phase"], document["priority"]) == ("inspecting", 80)


def test_one_rendition_can_be_requested(client: Client) -> None:
    body = {"resolution": "240p", "bitrate": 300_000, "preset": "fast", "codec": "libx264"}
    document = _read(_transcode(client, a_video().id, body))
    assert document["request"] == {**body, "output_format": "hls"}
    rendition = Rendition.objects.get(kind="video")
    assert (rendition.name, rendition.bitrate) == ("240p", 300_000)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"codec": "vp8"}, "codec"),
        ({"resolution": "huge"}, "resolution"),
        ({"priority": 101}, "priority"),
        ({"bitrate": 1}, "bitrate"),
        ({"presett": "fast"}, "presett"),
        ({"ladder": "auto", "resolution": "720p"}, "ladder"),
        ({"output_format": "avi"}, "output_format"),
        ({"video_stream": 7}, "video_stream"),
        ({"audio_streams": [0]}, "audio_streams"),
        ({"audio_streams": [1, 1]}, "audio_streams"),
        ({"audio_streams": [9], "dry_run": True}, "audio_streams"),
        ({"start": 1e5}, "start"),
        ({"end": 1e5, "dry_run": True}, "end"),
        ({"start": 2, "end": 1}, "end"),
        ({"watermark": {"text": "x", "opacity": 2}}, "watermark.opacity"),
        ({"burn_in": {"text": "de"}}, "burn_in.text"),
        ({"burn_in": {"text": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}, "dry_run": True}, "burn_in.text"),
        ({"burn_in": {"stream": 1}}, "burn_in.stream"),
        ({"burn_in": {"text": "de", "stream": 1}}, "burn_in"),
    ],
)
def test_a_wrong_field_is_named(client: Client, body: dict[str, object], field: str) -> None:
    problem = _problem(_transcode(client, a_video().id, body), 422)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert not Job.objects.exists()


def test_a_body_that_is_no_object_is_refused(client: Client) -> None:
    _problem(_transcode(client, a_video().id, [1]), 422)
    path = f"/api/v1/videos/{a_video().id}/transcode"
    _problem(client.post(path, data="{", content_type="application/json"), 400)
    _problem(client.post(path, data="x", content_type="text/plain"), 415)


def test_an_unknown_video_is_a_problem(client: Client) -> None:
    assert _problem(_transcode(client, uuid4()), 404)["code"] == "video_not_found"
    assert _problem(_transcode(client, a_video(an_owner("other")).id), 404)["code"] == "video_not_found"
    _problem(_transcode(client, "not-an-id"), 404)


def test_a_rejected_video_says_why(client: Client) -> None:
    video = a_video()
    video_reject(video=video, code="input_rejected", detail="no video track")
    problem = _problem(_transcode(client, video.id), 422)
    assert (problem["code"], problem["retryable"]) == ("input_rejected", False)
    assert "no video track" in problem["detail"]


def test_a_video_beyond_the_limits_is_a_problem_and_nothing_is_queued(client: Client) -> None:
    problem = _problem(_transcode(client, a_video(seconds=43_201).id), 422)
    assert problem["code"] == "input_rejected"
    assert not Job.objects.exists()
    assert not Step.objects.exists()


def test_progress_speed_and_time_left_are_reported(client: Client) -> None:
    job = a_job(a_video(audio=False))
    claim = claimed()
    step_begin(claim=claim)
    step_publish(claim=claim, runs=[a_run(Rendition.objects.get(kind="video"), 0, 2)], units_done=2)
    document = _read(client.get(f"/api/v1/jobs/{job.id}"))
    # 2 of 10 segments: 20 % of 99
    assert (document["state"], document["phase"], document["progress"]) == ("processing", "encoding", 19)
    assert document["speed"] > 0
    assert document["eta_seconds"] >= 0
    assert document["started_at"] is not None


def test_a_failed_job_says_why(client: Client) -> None:
    job = a_job()
    step_fail(
        claim=claimed(),
        failure=Failure(code="encoder_failed", detail="ffmpeg failed", details="[x264] no"),
        policy=a_policy(retry=RetryConfig()),
    )
    document = _read(client.get(f"/api/v1/jobs/{job.id}"))
    assert document["state"] == "failed"
    assert document["error"] == {
        "code": "encoder_failed",
        "detail": "ffmpeg failed",
        "details": "[x264] no",
        "retryable": False,
    }


def test_an_unknown_job_is_a_problem(client: Client) -> None:
    assert _problem(client.get(f"/api/v1/jobs/{uuid4()}"), 404)["code"] == "job_not_found"
    assert _problem(client.get(f"/api/v1/jobs/{a_job(a_video(an_owner('other'))).id}"), 404)["code"] == "job_not_found"


def test_jobs_are_listed_newest_first_in_pages(client: Client) -> None:
    video = a_video()
    ids = [str(a_job(video).id) for _ in range(5)]
    a_job(a_video(an_owner("other")))
    first = _read(client.get("/api/v1/jobs?limit=3"))
    second = _read(client.get(first["next"]))
    assert [job["id"] for job in first["results"] + second["results"]] == ids[::-1]
    assert second["next"] is None


def test_jobs_can_be_narrowed_down(client: Client) -> None:
    labelled, other = a_job(), a_job()
    Job.objects.filter(id=other.id).update(state=JobState.PROCESSING)
    for query in (f"video_id={labelled.video_id}", "state=queued", f"state=queued&video_id={labelled.video_id}"):
        assert [job["id"] for job in _read(client.get(f"/api/v1/jobs?{query}"))["results"]] == [str(labelled.id)]
    assert _read(client.get(f"/api/v1/jobs?video_id={uuid4()}"))["results"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [("state=asleep", "state"), ("video_id=5", "video_id"), ("limit=0", "limit")],
)
def test_a_wrong_filter_is_named(client: Client, query: str, field: str) -> None:
    problem = _problem(client.get(f"/api/v1/jobs?{query}"), 422)
    assert [error["field"] for error in problem["errors"]] == [field]


def test_a_list_takes_the_same_queries_however_long_it_is(client: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get("/api/v1/jobs")
        return len(captured)

    a_job()
    queries()  # notes that the key is in use
    one = queries()
    for _ in range(4):
        a_job()
    assert queries() == one <= 4


def test_deleting_a_video(client: Client) -> None:
    video = a_video()
    job = a_job(video)
    path = reverse("video-detail", args=[video.id])
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert _problem(client.delete(path), 404)["code"] == "video_not_found"
    assert _read(client.get(f"/api/v1/jobs/{job.id}"))["state"] == "cancelled"
    assert Step.objects.filter(kind=StepKind.PURGE, video=video).count() == 1
    assert Video.objects.get().state == "deleting"


def _post(client: Client, path: str, body: object = None) -> Answer:
    return client.post(path, data=json.dumps(body) if body is not None else "", content_type="application/json")


def test_cancelling_and_retrying(client: Client) -> None:
    path = f"/api/v1/jobs/{a_job().id}"
    assert _problem(_post(client, f"{path}/retry"), 409)["code"] == "job_not_retryable"
    cancelled = _post(client, f"{path}/cancel")
    assert (cancelled.status_code, _read(cancelled)["state"]) == (200, "cancelled")
    assert _problem(_post(client, f"{path}/cancel"), 409)["code"] == "job_over"
    retried = _post(client, f"{path}/retry")
    assert (retried.status_code, _read(retried)["state"]) == (202, "queued")
    fallback = {"gpu_fallback": True, "fallback_reason": "no_gpu"}
    assert _read(retried)["metadata"] == {"retries": 1, "segments_kept": 0, **fallback}


def test_pausing_and_resuming(client: Client) -> None:
    path = f"/api/v1/jobs/{a_job().id}"
    assert _problem(_post(client, f"{path}/resume"), 409)["code"] == "job_not_paused"
    paused = _post(client, f"{path}/pause")
    assert (paused.status_code, _read(paused)["state"], _read(paused)["phase"]) == (200, "paused", "paused")
    assert [job["state"] for job in _read(client.get("/api/v1/jobs?state=paused"))["results"]] == ["paused"]
    resumed = _post(client, f"{path}/resume")
    assert (resumed.status_code, _read(resumed)["state"]) == (202, "queued")


def test_a_job_is_made_more_urgent(client: Client) -> None:
    path = f"/api/v1/jobs/{a_job().id}/reprioritize"
    assert _read(_post(client, path, {"priority": "high"}))["priority"] == 80
    assert _read(_post(client, path, {"priority": 7}))["priority"] == 7


def test_priorities_of_another_scale_are_translated(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = replace(a_policy(), rank=RankConfig(priority_scale=10))
    for module in ("apis", "transcoding"):
        monkeypatch.setattr(f"jobs.endpoints.{module}.job_policy", lambda: policy)
    document = _read(_transcode(client, a_video().id, {"priority": 5}))
    assert document["priority"] == 50
    path = f"/api/v1/jobs/{document['id']}/reprioritize"
    assert _read(_post(client, path, {"priority": 10}))["priority"] == 100
    _problem(_post(client, path, {"priority": 11}), 422)


@pytest.mark.parametrize("body", [{}, {"priority": 101}, {"priority": -1}, {"priority": "urgent"}, {"priority": 5.5}])
def test_a_wrong_priority_changes_nothing(client: Client, body: object) -> None:
    job = a_job()
    problem = _problem(_post(client, f"/api/v1/jobs/{job.id}/reprioritize", body), 422)
    assert [error["field"] for error in problem["errors"]] == ["priority"]
    job.refresh_from_db()
    assert job.priority == 50


@pytest.mark.parametrize("action", ["cancel", "retry", "reprioritize"])
def test_anothers_job_is_as_unknown_as_none(client: Client, action: str) -> None:
    other = a_job(a_video(an_owner("other")))
    for job_id in (other.id, uuid4()):
        problem = _problem(_post(client, f"/api/v1/jobs/{job_id}/{action}", {"priority": 1}), 404)
        assert problem["code"] == "job_not_found"
    other.refresh_from_db()
    assert (other.state, other.priority) == (JobState.QUEUED, 50)
