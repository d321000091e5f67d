"""Broadcasts as videos and jobs: everything that lists, counts or deletes them works, though they have no source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from access.services import default_owner, member_add
from jobs.dispatching.budget_watch import held_jobs_plan
from jobs.dispatching.demand import ticket_demand
from jobs.dispatching.device_watch import devices_watch
from jobs.dispatching.janitor import generations_expire, gone_videos_jobs_end
from jobs.dispatching.progress_events import progress_events_append
from jobs.leasing.claim import Claim
from jobs.leasing.nodes import slots_alive
from jobs.leasing.steps import step_begin
from jobs.lifecycle.deletion import job_delete
from jobs.lifecycle.failures import step_fail
from jobs.lifecycle.outcomes import job_complete
from jobs.lifecycle.retention import outputs_expire, sources_expire
from jobs.models import Job
from jobs.rules.retry import Failure
from jobs.rules.steps import LIVE_QUEUE, StepKind
from jobs.rules.transitions import JobState
from operations.statistics import queue_loads, recent_jobs
from storage.local import LocalStore
from tests.integration.administration.conftest import operator
from tests.live_rows import GOP_FRAMES, Stream, a_live_node, a_stream, closed, live, started
from tests.rows import a_policy, a_video, claimed
from videos.models import Rendition, Video
from videos.services import VerifiedRendition
from videos.states import VideoState
from videos.stored import missing_objects

__all__ = ["operator"]

SEGMENTS = 3

pytestmark = pytest.mark.django_db


def starting() -> Stream:
    stream = a_stream()
    started(stream)
    return stream


def on_the_air() -> Stream:
    stream = a_stream()
    live(stream, SEGMENTS)
    return stream


def ending() -> Stream:
    stream = a_stream()
    closed(live(stream, SEGMENTS), SEGMENTS * GOP_FRAMES)
    return stream


def recorded() -> Stream:
    stream = ending()
    complete(claimed())
    return stream


def complete(finish: Claim) -> None:
    assert finish.kind is StepKind.FINISH
    step_begin(claim=finish)
    rendition = Rendition.objects.get(generation=finish.generation_id)
    verified = VerifiedRendition(
        rendition_id=rendition.id, peak_bitrate=4000, avg_bitrate=4000, size_bytes=3_000, sha256="a" * 64
    )
    job_complete(claim=finish, verified=[verified], result={})


@pytest.fixture(params=[starting, on_the_air, ending, recorded], ids=lambda make: make.__name__)
def stream(request: pytest.FixtureRequest) -> Stream:
    a_live_node()
    make: Callable[[], Stream] = request.param
    return make()


def test_every_document_of_it_is_shown(client: Client, stream: Stream) -> None:
    broadcast = stream.broadcast
    video, job = f"/api/v1/videos/{broadcast.video_id}", f"/api/v1/jobs/{broadcast.job_id}"
    for path in ("/api/v1/videos", "/api/v1/jobs", "/api/v1/usage", video, f"{video}/jobs", job, f"{video}/texts"):
        assert client.get(path).status_code == 200, path
    for path in ("/api/v1/system/stats", "/api/v1/system/health", "/api/v1/queue/stats", "/api/v1/workers/health"):
        assert client.get(path).status_code == 200, path
    assert client.get(f"{video}/playback").status_code == 200
    assert client.get(f"{video}/original").status_code == 404
    for path in (f"{job}/outputs", f"{video}/outputs", f"{job}/plan", f"{video}/thumbnails", f"{video}/scenes"):
        assert client.get(path).status_code in (200, 404, 409), path


def test_every_page_of_it_is_shown(operator: Client, stream: Stream) -> None:
    member_add(owner=default_owner(), name="operator")
    broadcast = stream.broadcast
    for path in (
        "/admin/",
        "/admin/videos/video/",
        f"/admin/videos/video/{broadcast.video_id}/change/",
        "/admin/jobs/job/",
        f"/admin/jobs/job/{broadcast.job_id}/change/",
        "/admin/jobs/step/",
        *(f"/admin/jobs/step/{step}/change/" for step in Job.objects.values_list("steps", flat=True)),
        "/",
        f"/videos/{broadcast.video_id}",
    ):
        assert operator.get(path).status_code == 200, path


def test_it_cannot_be_transcoded(client: Client, stream: Stream) -> None:
    path = f"/api/v1/videos/{stream.broadcast.video_id}/transcode"
    answer = client.post(path, "{}", "application/json")
    assert (answer.status_code, answer.json()["code"]) == (409, "source_deleted")


def test_it_cannot_be_joined(client: Client, stream: Stream) -> None:
    ids = [str(stream.broadcast.video_id), str(a_video().id)]
    answer = client.post("/api/v1/videos/join", json.dumps({"videos": ids}), "application/json")
    assert answer.status_code == 422


def test_all_that_looks_after_jobs_leaves_it_alone(stream: Stream, tmp_path: Path) -> None:
    before = (stream.broadcast.state, Job.objects.get().state, stream.broadcast.video.state)
    for part in (
        lambda: devices_watch(policy=a_policy()),
        lambda: held_jobs_plan(policy=a_policy()),
        progress_events_append,
        lambda: ticket_demand(silence_seconds=60),
        gone_videos_jobs_end,
        lambda: generations_expire(older_than_seconds=0),
        sources_expire,
        outputs_expire,
        lambda: queue_loads((LIVE_QUEUE,)),
        lambda: recent_jobs(window_seconds=60),
    ):
        part()
    assert (stream.broadcast.state, Job.objects.get().state, stream.broadcast.video.state) == before
    named = {found.key for found in missing_objects(LocalStore(tmp_path, part_bytes=5_000_000))}
    assert not any("source" in key for key in named)
    published = stream.broadcast.video.current_generation_id is not None
    assert len(named) == (SEGMENTS + 1 if published else 0)


def test_its_segments_count_as_stored_and_as_encoded(client: Client) -> None:
    a_live_node()
    on_the_air()
    usage = client.get("/api/v1/usage").json()
    assert str(SEGMENTS * 1_000) in json.dumps(usage)


def test_while_it_is_live_nobody_ends_it_but_its_stream(client: Client) -> None:
    a_live_node()
    stream = on_the_air()
    broadcast = stream.broadcast
    video, job = f"/api/v1/videos/{broadcast.video_id}", f"/api/v1/jobs/{broadcast.job_id}"
    for answer in (client.delete(video), client.post(f"{job}/cancel"), client.post(f"{job}/pause")):
        assert (answer.status_code, answer.json()["code"]) == (409, "video_live")
    assert client.delete(f"{video}/original").status_code in (404, 405, 409)
    assert Job.objects.get().state == JobState.PROCESSING


def test_a_recording_is_deleted_like_any_video_and_its_job_like_any_job(client: Client) -> None:
    a_live_node()
    first = recorded()
    assert client.delete(f"/api/v1/videos/{first.broadcast.video_id}").status_code in (202, 204)
    assert first.broadcast.video.state == VideoState.DELETING
    second = recorded()
    job = second.broadcast.job
    assert job is not None
    job_delete(owner=default_owner(), job_id=job.id)
    Job.objects.filter(id=job.id).delete()
    assert second.broadcast.job_id is None


def test_a_recording_that_could_not_be_verified_for_want_of_the_store_is_retried_without_its_source(
    client: Client,
) -> None:
    a_live_node()
    stream = ending()
    failure = Failure(code="storage_unavailable", detail="no answer", retryable=False)
    step_fail(claim=claimed(), failure=failure, policy=a_policy())
    assert client.post(f"/api/v1/jobs/{stream.broadcast.job_id}/retry").status_code in (200, 202)
    complete(claimed())
    video = Video.objects.get(id=stream.broadcast.video_id)
    assert video.current_generation is not None
    assert video.current_generation.state == "complete"


def test_its_worker_holds_a_slot_for_as_long_as_it_lasts() -> None:
    a_live_node(slots=2)
    on_the_air()
    assert slots_alive(queue=LIVE_QUEUE, silence_seconds=60) == 1
