"""Requests to join videos: what is accepted, what is refused and why, and what clients see of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from access.scopes import Scope
from access.services import default_owner
from jobs.lifecycle import joining
from jobs.lifecycle.deletion import source_delete
from jobs.lifecycle.failures import step_fail
from jobs.models import Step
from jobs.planning.budget import open_work_seconds
from jobs.rules.retry import Failure
from jobs.wiring import job_policy
from storage.keys import bitmaps_prefix, indexed_key, joined_key, joined_prefix
from tests.rows import (
    a_generation,
    a_job,
    a_key,
    a_policy,
    a_video,
    an_audio_file,
    an_owner,
    an_uploaded_video,
    claimed,
)
from transcoding.probing.facts import SourceFacts
from videos.models import Generation, Video
from videos.parts import JoinedSource
from videos.services import video_mark_source_deleted, video_reject

pytestmark = pytest.mark.django_db


def ask(client: Client, *parts: Video, status: int = 202, headers: dict[str, str] | None = None, **more: object) -> Any:  # noqa: ANN401 - JSON
    body = json.dumps({"videos": [str(part.id) for part in parts], **more})
    response = client.post("/api/v1/videos/join", body, content_type="application/json", headers=headers or {})
    assert response.status_code == status, response.content
    return response.json()


def an_hevc_video() -> Video:
    video = a_video(seconds=10)
    facts = SourceFacts.from_json(video.facts)
    hevc = replace(facts, video_stream=replace(facts.video, codec="hevc"))
    Video.objects.filter(id=video.id).update(facts=hevc.to_json())
    return video


def steps(video_id: UUID | str) -> list[tuple[str, str]]:
    return list(Step.objects.filter(video_id=video_id).values_list("kind", "state"))


def test_a_join_is_a_video_of_its_own_from_the_beginning(client: Client) -> None:
    first, second = a_video(seconds=40), a_video(seconds=10, audio=False)
    labels: dict[str, Any] = {"external_id": "asset-18", "metadata": {"project": "summer"}}
    shown = ask(client, first, second, first, filename="summer.mp4", **labels)
    assert (shown["status"], shown["filename"], shown["size"], shown["original_url"]) == (
        "joining",
        "summer.mp4",
        0,
        None,
    )
    assert {name: shown[name] for name in labels} == labels
    assert [(part["video_id"], part["start"], part["duration"], part["copied"]) for part in shown["parts"]] == [
        (str(first.id), 0.0, 40.0, True),
        (str(second.id), 40.0, 10.0, True),
        (str(first.id), 50.0, 40.0, True),
    ]
    address = reverse("video-detail", args=[shown["id"]])
    assert client.get(address).json() == shown
    assert client.get("/api/v1/videos?status=joining").json()["results"] == [shown]
    original = client.get(f"{address}/original")
    assert (original.status_code, original.json()["code"]) == (404, "source_not_made")
    assert steps(shown["id"]) == [("join", "ready")]


def test_jobs_of_a_video_that_is_joined_wait_for_it_and_hurry_it(client: Client) -> None:
    part = a_video()
    video = Video.objects.get(id=ask(client, part, part)["id"])
    (before,) = Step.objects.filter(video=video).values_list("lead_seconds", flat=True)
    job = a_job(video, priority=90)
    assert (job.state, job.phase) == ("queued", "inspecting")
    assert steps(video.id) == [("join", "ready")]
    assert Step.objects.get(video=video).lead_seconds > before
    preview = client.post(f"/api/v1/videos/{video.id}/transcode", {"dry_run": True}, content_type="application/json")
    assert (preview.status_code, preview.json()["code"]) == (409, "video_not_inspected")
    assert client.delete(f"/api/v1/videos/{video.id}").status_code == 204
    assert ("join", "cancelled") in steps(video.id)


def test_a_dry_run_shows_what_would_be_done_and_does_nothing(client: Client) -> None:
    part, other = a_video(), an_hevc_video()
    shown = ask(client, part, other, dry_run=True, status=200)
    assert (shown["duration"], shown["frame_rate"], shown["has_audio"]) == (50.0, 25.0, True)
    assert shown["work_seconds"] > 0
    assert [(each["copied"], each["differs"]) for each in shown["parts"]] == [(True, []), (False, ["codec"])]
    assert Video.objects.count() == 2
    ask(client, part, other)
    assert open_work_seconds(default_owner().id) == pytest.approx(shown["work_seconds"], abs=0.1)


def test_videos_that_cannot_be_joined_are_named(client: Client) -> None:
    good = a_video()

    def refused(*parts: Video, status: int = 422) -> tuple[str, str]:
        problem = ask(client, *parts, status=status)
        (error,) = problem["errors"]
        return error["field"], error["detail"]

    rejected, deleted = a_video(), a_video()
    video_reject(video=rejected, code="input_rejected", detail="it is a text")
    video_mark_source_deleted(video=deleted)
    assert refused(good, an_uploaded_video()) == (
        "videos.1",
        "is not inspected yet; wait until its status is ready",
    )
    assert refused(rejected, good) == ("videos.0", "was rejected: it is a text")
    assert refused(good, good, deleted) == ("videos.2", "has no source any more")
    assert refused(good, an_audio_file())[0] == "videos.1"
    theirs = a_video(an_owner("other"))
    assert refused(good, theirs, status=404) == ("videos.1", f"there is no video {theirs.id}")
    assert refused(good, Video(id=uuid4()), status=404)[0] == "videos.1"
    assert refused(good)[0] == "videos"
    assert refused(*[good] * 51)[0] == "videos"
    long = a_video(seconds=30_000)
    assert "60000 s together" in ask(client, long, long, status=422)["detail"]
    Video.objects.filter(id=good.id).update(size_bytes=job_policy().max_source_bytes)
    assert "bytes together" in refused(good, long)[1]
    assert not Video.objects.filter(state="joining").exists()
    assert not Step.objects.filter(kind="join").exists()


def test_a_repeated_request_joins_once(client: Client) -> None:
    part = a_video()
    first, second = (ask(client, part, part, headers={"Idempotency-Key": "once"}) for _ in range(2))
    assert first == second
    assert Video.objects.filter(state="joining").count() == 1


def test_joining_is_limited_per_owner(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "MAX_JOINING", 1)
    part = a_video()
    ask(client, part, part)
    assert ask(client, part, part, status=429)["code"] == "too_many_joins"


def test_a_join_that_failed_without_fault_of_its_parts_counts_no_more_and_can_be_tried_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "MAX_JOINING", 1)
    part, other = a_video(), an_hevc_video()
    video_id = ask(client, part, other)["id"]
    failure = Failure(code="storage_refused", detail="the store refused the request")
    step_fail(claim=claimed(), failure=failure, policy=a_policy())
    assert steps(video_id) == [("join", "failed")]
    shown = client.get(f"/api/v1/videos/{video_id}").json()
    assert (shown["status"], shown["error"]["code"], shown["error"]["retryable"]) == (
        "joining",
        "storage_refused",
        True,
    )
    assert open_work_seconds(default_owner().id) == 0
    ask(client, part, part)
    a_job(Video.objects.get(id=video_id))
    assert sorted(steps(video_id)) == [("join", "failed"), ("join", "ready")]
    assert open_work_seconds(default_owner().id) > 0


def test_the_source_of_a_join_is_deleted_with_those_of_its_lost_attempts(client: Client) -> None:
    part = a_video()
    video = Video.objects.get(id=ask(client, part, part)["id"])
    claim = claimed()
    source = JoinedSource(key=joined_key(video.id, claim.step_id, 1), size_bytes=1, etag="e", sha256="s")
    plan = joining.join_plan(owner=video.owner, video_ids=[part.id] * 2, policy=a_policy())
    joining.video_joined(claim=claim, source=source, parts=plan.parts, result={})
    Generation.objects.filter(id=a_generation(video).id).update(state="complete", completed_at=Now())
    source_delete(owner=video.owner, video_id=video.id)
    purges = Step.objects.filter(video=video, kind="purge").values_list("payload__prefix", flat=True)
    assert set(purges) == {joined_prefix(video.id), indexed_key(video.id), bitmaps_prefix(video.id)}


def test_joining_needs_the_right_to_write_videos() -> None:
    part = a_video()
    reader = Client(headers={"X-API-Key": a_key(None, Scope.VIDEOS_READ, Scope.JOBS_WRITE)})
    assert ask(reader, part, part, status=403)["code"] == "scope_missing"
