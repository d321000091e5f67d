"""Documents of events: every type from what really happens, with the owner's labels and URLs that work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.utils.dateparse import parse_datetime
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from access.models import Owner
from access.services import default_owner
from events.types import EVENT_TYPES, EventType
from jobs.dispatching.progress_events import progress_events_append
from jobs.leasing.claim import Claim
from jobs.leasing.steps import job_mark_playable, step_begin, step_complete, step_publish
from jobs.lifecycle.deletion import job_delete, job_outputs_delete, source_delete
from jobs.lifecycle.delivering import delivery_advance, delivery_complete, delivery_create, delivery_repeat
from jobs.lifecycle.failures import step_fail
from jobs.lifecycle.importing import video_import_request, video_imported
from jobs.lifecycle.joining import Labels, join_plan, video_joined, videos_join
from jobs.lifecycle.outcomes import job_complete, video_inspected, video_purged
from jobs.lifecycle.services import (
    job_cancel,
    job_create,
    job_force_cpu,
    job_pause,
    job_reprioritize,
    job_resume,
    job_retry,
    video_delete,
)
from jobs.lifecycle.thumbnails import thumbnails_complete, thumbnails_request
from jobs.models import Job, Step
from jobs.reports.event_documents import event_documents
from jobs.rules.retry import Failure
from jobs.rules.steps import CPU_QUEUE, STEPS, TRANSFER_QUEUE, StepKind
from jobs.wiring import on_uploaded
from storage.keys import video_prefix
from tests.conformance import published
from tests.integration.jobs.conftest import logged_events
from tests.integration.jobs.test_gpu_jobs import POLICY, a_gpu_job
from tests.rows import a_job, a_policy, a_run, a_stream, a_video, an_owner, claimed, some_facts
from tests.unit.transcoding.test_thumbnails import a_set
from transcoding.planning.thumbnails import ThumbnailRequest
from transcoding.texts.cues import Cues
from transcoding.texts.webvtt import parse_webvtt
from videos.imports import ImportedSource
from videos.models import Rendition, Video
from videos.parts import JoinedSource
from videos.services import video_create
from videos.texts.services import TextLabels, text_create, text_delete, texts_announce, texts_give_up

_LIVE = ("live.", "livestream.")
"""Beginnings of the types that happen to no job: their own tests compare them with the schema."""
pytestmark = pytest.mark.django_db
OF_VIDEO: dict[str, Any] = {"external_id": "film 7", "metadata": {"shelf": "b"}}
OF_JOB: dict[str, Any] = {"external_id": "order 8", "metadata": {"reply-to": "ada"}}


@pytest.fixture
def public(settings: Settings) -> str:
    """The configured public URL, with a path."""
    settings.TRANSCODER = replace(
        settings.TRANSCODER, site=replace(settings.TRANSCODER.site, public_url="https://video.example/vod/")
    )
    return "https://video.example/vod"


def an_upload(owner: Owner) -> Video:
    return video_create(
        video_id=uuid4(),
        owner=owner,
        filename="clip.mp4",
        size_bytes=1_000_000,
        etag="e",
        container="mov",
        external_id=OF_VIDEO["external_id"],
        client_metadata=OF_VIDEO["metadata"],
        then=on_uploaded,
    )


def claimed_of(kind: StepKind) -> Claim:
    """Claim steps until one is of this kind."""
    queue = TRANSFER_QUEUE if STEPS[kind].queue == TRANSFER_QUEUE else CPU_QUEUE
    while (claim := claimed(queue=queue)).kind != kind:
        pass
    return claim


def inspected(claim: Claim) -> None:
    facts = some_facts(seconds=8, audio=False)
    media = {"duration": 8.0}
    video_inspected(claim=claim, facts=facts, media=media, warnings=[], policy=a_policy(), result={})


def complete(job: Job) -> None:
    """Work through a job of one chunk as workers do."""
    chunk = claimed_of(StepKind.CHUNK)
    step_begin(claim=chunk)
    renditions = Rendition.objects.filter(generation=chunk.generation_id)
    step_publish(claim=chunk, runs=[a_run(rendition, 0, 2) for rendition in renditions], units_done=2)
    assert job_mark_playable(claim=chunk)
    progress_events_append()
    step_complete(claim=chunk, result={})
    job_complete(claim=claimed_of(StepKind.FINISH), verified=[], result={})


def images_are_made(owner: Owner, job: Job) -> None:
    """The images of a job's video are made once, and cannot be made again."""
    for number in range(2):
        thumbnails_request(owner=owner, video_id=job.video_id, request=ThumbnailRequest(count=1 + number))
        Step.objects.filter(kind=StepKind.THUMBNAILS).update(queue=CPU_QUEUE)
        claim = claimed_of(StepKind.THUMBNAILS)
        if number:
            step_fail(claim=claim, failure=Failure(code="x", detail="No.", input_at_fault=True), policy=a_policy())
        else:
            thumbnails_complete(claim=claim, images=a_set(), result={})


def two_are_joined(owner: Owner, part: UUID) -> None:
    ids, source = [part, part], JoinedSource(key="joined", size_bytes=1, etag="e", sha256="s")
    plan = join_plan(owner=owner, video_ids=ids, policy=a_policy())
    videos_join(owner=owner, video_ids=ids, labels=Labels(filename="all.mp4"), policy=a_policy())
    video_joined(claim=claimed_of(StepKind.JOIN), source=source, parts=plan.parts, result={})
    claimed_of(StepKind.INSPECT)


def outputs_are_delivered(owner: Owner, job: Job) -> None:
    """The outputs of a job with a destination are delivered once, and cannot be another time."""
    claim = claimed_of(StepKind.DELIVER)
    delivery_advance(claim=claim, files=2, files_done=1, bytes_done=1)
    delivery_complete(claim=claim, files=2, size=2)
    delivery_repeat(owner=owner, job_id=job.id)
    step_fail(claim=claimed_of(StepKind.DELIVER), failure=Failure(code="x", detail="No."), policy=a_policy())


def one_is_imported(owner: Owner) -> None:
    source = ImportedSource(size_bytes=1, etag="e", sha256="s", container="mov")
    video_import_request(owner=owner, url="https://a.example/b", labels={"filename": ""}, job=None, policy=a_policy())
    video_imported(claim=claimed_of(StepKind.FETCH), source=source, result={})
    claimed_of(StepKind.INSPECT)


def texts_come_and_go(owner: Owner, job: Job) -> None:
    """A text of a job's video is uploaded and deleted, and one in its file cannot be extracted."""
    cues, labels = Cues.of(parse_webvtt("WEBVTT\n\n00:01.000 --> 00:02.000\na\n")), TextLabels(language="de")
    text = text_create(owner=owner, video_id=job.video_id, cues=cues, labels=labels, max_texts=9)
    text_delete(owner=owner, video_id=job.video_id, text_id=text.id)
    texts_announce(video=job.video, streams=[a_stream(2)], max_texts=9)
    texts_give_up(video=job.video, code="poison", reason="It kept losing its workers.")


def everything_happens(owner: Owner) -> Job:
    """A job from its upload to the deletion of its video, others that end in other ways."""
    video = an_upload(owner)
    job = job_create(
        owner=owner,
        video_id=video.id,
        request={"gpu": "never"},
        priority=50,
        policy=a_policy(),
        external_id=OF_JOB["external_id"],
        client_metadata=OF_JOB["metadata"],
    )
    inspected(claimed_of(StepKind.INSPECT))
    job_pause(owner=owner, job_id=job.id)
    job_resume(owner=owner, job_id=job.id, policy=a_policy())
    job_cancel(owner=owner, job_id=job.id)
    job_retry(owner=owner, job_id=job.id, policy=a_policy())
    job_reprioritize(owner=owner, job_id=job.id, priority=90, rank=a_policy().rank)
    complete(job)
    other = a_job(a_video(owner, audio=False, seconds=8), gpu="never")
    delivery_create(job=other, bucket="b", prefix="p")
    complete(other)
    outputs_are_delivered(owner, other)
    job_outputs_delete(owner=owner, job_id=other.id)
    job_delete(owner=owner, job_id=other.id)
    images_are_made(owner, job)
    two_are_joined(owner, job.video_id)
    one_is_imported(owner)
    texts_come_and_go(owner, job)
    source_delete(owner=owner, video_id=job.video_id)
    a_job(a_video(owner, audio=False, seconds=8), gpu="never")
    step_fail(
        claim=claimed_of(StepKind.CHUNK),
        failure=Failure(code="encoder_failed", detail="It ended early."),
        policy=a_policy(),
    )
    an_upload(owner)
    refused = Failure(code="input_corrupt", detail="It has no video.", input_at_fault=True)
    step_fail(claim=claimed_of(StepKind.INSPECT), failure=refused, policy=a_policy())
    on_gpu = a_gpu_job()
    job_force_cpu(owner=on_gpu.owner, job_id=on_gpu.id, policy=POLICY)
    job_cancel(owner=on_gpu.owner, job_id=on_gpu.id)
    a_job(policy=POLICY, gpu="require", codec="av1")
    return job


def documents() -> list[dict[str, Any]]:
    return event_documents(logged_events())


def _of(job: Job, type_: EventType) -> list[dict[str, Any]]:
    """The data of a job's events of a type."""
    found = [each["data"] for each in documents() if each["type"] == type_]
    return [data for data in found if data["job_id"] == str(job.id)]


def test_every_type_has_a_document_as_the_schema_says(public: str) -> None:
    owner = an_owner("acme")
    job = everything_happens(owner)
    video_delete(owner=owner, video_id=job.video_id)
    while (claim := claimed_of(StepKind.PURGE)).payload["prefix"] != video_prefix(job.video_id):
        pass
    video_purged(claim=claim, objects=3)
    found = documents()
    assert {document["type"] for document in found} == {type_ for type_ in EVENT_TYPES if not type_.startswith(_LIVE)}
    for document in found:
        published().check_event(document)
    about = [document["data"] for document in found if document["data"]["video_id"] == str(job.video_id)]
    assert len(about) > 10
    for data in about:
        if "job_id" in data:
            assert {name: data[name] for name in OF_JOB} == OF_JOB
            assert data["video"] == OF_VIDEO
            assert data["links"]["job"] == f"{public}/api/v1/jobs/{job.id}"
        else:
            assert {name: data[name] for name in OF_VIDEO} == OF_VIDEO
        assert data["links"]["video"] == f"{public}/api/v1/videos/{job.video_id}"
    assert found[-1]["type"] == "video.deleted"


def test_a_playback_url_of_an_event_plays(public: str, client: Client) -> None:
    job = everything_happens(default_owner())
    for type_ in (EventType.JOB_PLAYABLE, EventType.JOB_COMPLETED):
        (data,) = _of(job, type_)
        playback = data["playback"]
        for name in ("hls_url", "dash_url"):
            assert playback[name].startswith(f"{public}/play/")
            assert client.get(playback[name].removeprefix(public)).status_code == 200
        expires_at = parse_datetime(playback["expires_at"])
        assert expires_at is not None
        assert expires_at > job.created_at
        assert client.get(data["links"]["outputs"].removeprefix(public)).status_code == 200


def test_without_a_public_url_they_are_paths(client: Client) -> None:
    job = everything_happens(default_owner())
    for document in documents():
        published().check_event(document)
        for url in document["data"]["links"].values():
            assert url.startswith("/api/v1/")
    (data,) = _of(job, EventType.JOB_COMPLETED)
    assert client.get(data["playback"]["hls_url"]).status_code == 200


def test_many_events_take_three_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(3):
        everything_happens(an_owner("acme"))
    events = logged_events()
    assert len(events) > 50
    with django_assert_num_queries(3):
        assert len(event_documents(events)) == len(events)


def test_events_of_rows_that_are_gone_have_no_labels() -> None:
    everything_happens(an_owner("acme"))
    events = [replace(event, video_id=uuid4(), job_id=event.job_id and uuid4()) for event in logged_events()]
    for document in event_documents(events):
        published().check_event(document)
        assert (document["data"]["external_id"], document["data"]["metadata"]) == (None, {})
