"""Retention: sources and outputs are deleted when their time is over, and not what was kept or is in use meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from access.limits import limits_set
from access.models import Owner
from events.models import Event
from jobs.lifecycle.lifetimes import outputs_lifetime_begin
from jobs.lifecycle.outcomes import video_inspected
from jobs.lifecycle.retention import outputs_expire, sources_expire
from jobs.models import Job, OutputDelivery, Step
from jobs.rules.transitions import JobPhase, JobState
from tests.rows import a_job, a_policy, a_video, an_owner, an_uploaded_video, claimed, some_facts
from videos.models import Generation, Video
from videos.services import generation_complete

pytestmark = pytest.mark.django_db

SOON = "2999-01-01T00:00:00Z"
PASSED = datetime.now(UTC) - timedelta(seconds=5)


def a_completed_job(video: Video, **request: Any) -> Job:  # noqa: ANN401 - fields of a request
    job = a_job(video, **request)
    assert job.generation is not None
    generation_complete(generation=job.generation, verified=[])
    outputs_lifetime_begin(generation=job.generation, job=job)
    Step.objects.filter(job=job).delete()
    Job.objects.filter(id=job.id).update(
        state=JobState.COMPLETED, phase=JobPhase.ENDED, finished_at=Now(), playable_at=Now()
    )
    return job


def days_until(moment: datetime | None) -> float:
    assert moment is not None
    return (moment - datetime.now(UTC)).total_seconds() / 86_400


def events(video: Video) -> list[str]:
    deleted = Event.objects.filter(video_id=video.id, type__contains="deleted")
    return list(deleted.order_by("id").values_list("type", flat=True))


def patch(client: Client, video: Video, body: dict[str, Any]) -> Any:  # noqa: ANN401
    return client.patch(f"/api/v1/videos/{video.id}", body, content_type="application/json")


def test_lifetimes_begin_with_the_inspection_and_the_completion(client: Client) -> None:
    owner = Owner.objects.get(name="default")
    limits_set(owner=owner, source_retention_days=7, output_retention_days=30)
    video = an_uploaded_video(owner)
    first, second = a_job(video), a_job(video)
    video_inspected(claim=claimed(), facts=some_facts(), media={}, warnings=[], policy=a_policy(), result={})
    video.refresh_from_db()
    assert days_until(video.source_expires_at) == pytest.approx(7, abs=0.01)
    Job.objects.filter(id__in=[first.id, second.id]).delete()
    defaults, own = a_completed_job(video), a_completed_job(video, output_retention_days=2)
    for job, days in ((defaults, 30), (own, 2)):
        expires_at = Generation.objects.get(job_id=job.id).expires_at
        assert days_until(expires_at) == pytest.approx(days, abs=0.01)
    document = client.get(f"/api/v1/videos/{video.id}").json()
    assert document["source_expires_at"] is not None
    assert document["expires_at"] is not None


def test_without_limits_nothing_expires() -> None:
    video = a_video()
    job = a_completed_job(video)
    assert Generation.objects.get(job_id=job.id).expires_at is None
    assert (sources_expire(), outputs_expire()) == (0, 0)


def test_a_source_is_deleted_alone_and_once() -> None:
    video = a_video()
    a_completed_job(video)
    Video.objects.filter(id=video.id).update(source_expires_at=PASSED)
    assert sources_expire() == 1
    assert sources_expire() == 0
    video.refresh_from_db()
    assert video.source_deleted_at is not None
    assert events(video) == ["video.source_deleted"]


def test_a_source_of_which_nothing_was_made_goes_with_its_video() -> None:
    video = a_video()
    Video.objects.filter(id=video.id).update(source_expires_at=PASSED)
    assert sources_expire() == 1
    assert Video.objects.get(id=video.id).state == "deleting"


def test_the_source_of_an_open_job_waits() -> None:
    video = a_video()
    job = a_job(video)
    Video.objects.filter(id=video.id).update(source_expires_at=PASSED)
    assert sources_expire() == 0
    Job.objects.filter(id=job.id).update(state=JobState.CANCELLED, phase=JobPhase.ENDED, finished_at=Now())
    assert sources_expire() == 1


def test_outputs_are_deleted_and_the_last_of_them_with_the_video() -> None:
    video = a_video()
    first, second = a_completed_job(video), a_completed_job(video)
    Video.objects.filter(id=video.id).update(source_deleted_at=Now())
    Generation.objects.filter(job_id=first.id).update(expires_at=PASSED)
    assert outputs_expire() == 1
    assert Generation.objects.get(job_id=first.id).state == "deleted"
    assert events(video) == ["job.outputs_deleted"]
    assert Video.objects.get(id=video.id).state == "ready"
    Generation.objects.filter(job_id=second.id).update(expires_at=PASSED)
    assert outputs_expire() == 1
    assert Video.objects.get(id=video.id).state == "deleting"
    assert outputs_expire() == 0


def test_what_is_in_use_waits() -> None:
    """A source that is being joined with others, and outputs on their way to a bucket."""
    video = a_video()
    job = a_completed_job(video)
    Video.objects.filter(id=video.id).update(source_expires_at=PASSED)
    Generation.objects.filter(job_id=job.id).update(expires_at=PASSED)
    joined = an_uploaded_video(video.owner)
    Video.objects.filter(id=joined.id).update(state="joining", parts=[{"video_id": str(video.id)}])
    delivery = OutputDelivery.objects.create(job=job, bucket="films", prefix="a", state="delivering")
    assert (sources_expire(), outputs_expire()) == (0, 0)
    Video.objects.filter(id=joined.id).update(state="rejected", error_code="part_gone")
    delivery.delete()
    assert (sources_expire(), outputs_expire()) == (1, 1)


def test_what_is_kept_longer_meanwhile_is_not_deleted(client: Client) -> None:
    video = a_video()
    job = a_completed_job(video)
    Video.objects.filter(id=video.id).update(source_expires_at=PASSED)
    Generation.objects.filter(job_id=job.id).update(expires_at=PASSED)
    response = patch(client, video, {"source_expires_at": SOON, "expires_at": None})
    assert response.status_code == 200
    assert (response.json()["source_expires_at"], response.json()["expires_at"]) == (SOON, None)
    assert (sources_expire(), outputs_expire()) == (0, 0)


def test_owners_take_turns() -> None:
    many, few = an_owner("many"), an_owner("few")
    for owner, count in ((many, 5), (few, 1)):
        for _ in range(count):
            video = a_video(owner)
            Video.objects.filter(id=video.id).update(source_expires_at=PASSED - timedelta(days=count))
    assert sources_expire(limit=2) == 2
    assert {video.owner_id for video in Video.objects.filter(state="deleting")} == {many.id, few.id}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"source_expires_at": "2020-01-01T00:00:00Z"}, "source_expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"filename": "other.mp4"}, "filename"),
    ],
)
def test_wrong_times_are_refused(client: Client, body: dict[str, Any], field: str) -> None:
    response = patch(client, a_video(), body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)
    other = a_video(an_owner("other"))
    assert patch(client, other, {"expires_at": None}).status_code == 404
