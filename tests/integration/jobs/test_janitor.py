from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from celery import current_app
from django.db.models.functions import Now

from jobs.changes.endings import ENDED_AT_ONCE
from jobs.dispatching.janitor import (
    generations_expire,
    gone_videos_jobs_end,
    nodes_forget,
    purges_resume,
)
from jobs.dispatching.tickets import node_queue, ticket_send
from jobs.dispatching.upload_janitor import multiparts_abandon, sources_abandon
from jobs.leasing.nodes import node_register
from jobs.lifecycle.services import job_cancel
from jobs.models import Job, Node, Step
from storage.keys import generation_prefix, source_key, video_prefix
from storage.local import LocalStore
from tests.rows import a_job, a_video, claimed
from videos.models import Video

pytestmark = pytest.mark.django_db


def purges() -> list[str]:
    return [step.payload["prefix"] for step in Step.objects.filter(kind="purge")]


def a_cancelled_job(*, days_ago: int) -> Job:
    job = a_job()
    job_cancel(owner=job.owner, job_id=job.id)
    Job.objects.filter(id=job.id).update(finished_at=Now() - timedelta(days=days_ago))
    return job


def test_what_a_lost_job_made_is_removed_after_a_while_and_once() -> None:
    old, new = a_cancelled_job(days_ago=8), a_cancelled_job(days_ago=1)
    assert old.video_id != new.video_id
    assert generations_expire(older_than_seconds=7 * 86_400) == 1
    assert generations_expire(older_than_seconds=7 * 86_400) == 0
    assert purges() == [f"videos/{old.video_id}/g1/"]


def test_what_a_living_job_made_stays() -> None:
    a_job()
    assert generations_expire(older_than_seconds=0) == 0


@pytest.mark.parametrize("state", ["rejected", "deleting", "deleted"])
def test_jobs_of_a_video_that_is_gone_end_though_its_purge_left_them_open(state: str) -> None:
    video, other = a_video(), a_job()
    jobs = [a_job(video) for _ in range(ENDED_AT_ONCE + 2)]
    why = {"error_code": "input_rejected", "error_detail": "no video"} if state == "rejected" else {}
    Video.objects.filter(id=video.id).update(state=state, **why)
    assert gone_videos_jobs_end() == 1
    ended = Job.objects.filter(id__in=[job.id for job in jobs])
    expected = ("failed", "input_rejected") if state == "rejected" else ("cancelled", "")
    assert set(ended.values_list("state", "error_code")) == {expected}
    assert purges() == [video_prefix(video.id)]
    assert gone_videos_jobs_end() == 0
    other.refresh_from_db()
    assert other.state == "queued"


def test_a_purge_that_was_given_up_is_tried_again() -> None:
    """Workers of 0.1 give purges up, also after the migration that takes them up again."""
    job = a_cancelled_job(days_ago=8)
    generations_expire(older_than_seconds=7 * 86_400)
    given_up = {"state": "failed", "finished_at": Now(), "failures": 6, "error_code": "storage_refused"}
    Step.objects.filter(kind="purge").update(**given_up)
    Step.objects.filter(job=job, ordinal=0).update(**given_up)
    assert purges_resume() == 1
    purge = Step.objects.get(kind="purge")
    assert (purge.state, purge.failures, purge.finished_at) == ("ready", 0, None)
    assert Step.objects.filter(job=job, state="failed").exists()
    assert claimed().step_id == purge.id
    assert purges_resume() == 0


def test_an_upload_that_was_never_finished_is_thrown_away(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, part_bytes=5 << 20)
    store.prepare()
    upload = store.create_multipart("videos/a/source", "video/mp4")
    store.put_part("videos/a/source", upload, 1, b"part")
    assert multiparts_abandon(store=store, older_than_seconds=3600) == 0
    assert multiparts_abandon(store=store, older_than_seconds=-1) == 1
    assert not list(store.list_multiparts("videos/"))


def test_a_source_whose_row_was_never_written_is_removed_after_a_while(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, part_bytes=5 << 20)
    store.prepare()
    known, orphan, forgotten = a_job().video_id, uuid4(), uuid4()
    for video_id in (known, orphan, forgotten):
        store.put(source_key(video_id), b"source", "video/mp4")
    store.put(f"{generation_prefix(forgotten, 1)}180p/0.m4s", b"made", "video/mp4")
    unknown: dict[UUID, float] = {}
    assert sources_abandon(store=store, unknown=unknown, older_than_seconds=3600) == 0
    assert set(unknown) == {orphan, forgotten}
    unknown[orphan] -= 3600
    unknown[forgotten] -= 3600
    assert sources_abandon(store=store, unknown=unknown, older_than_seconds=3600) == 1
    assert set(store.list_folders("videos/")) == {video_prefix(known), video_prefix(forgotten)}
    assert sources_abandon(store=store, unknown=unknown, older_than_seconds=3600) == 0
    assert set(unknown) == {forgotten}


def test_a_node_that_never_came_back_is_forgotten(redis: object) -> None:
    ticket_send(node_queue("gone"))
    for name in ("here", "gone"):
        node_register(name=name, queues=["cpu"], slots=2, pid=1, info={})
    Node.objects.filter(name="gone").update(last_seen=Now() - timedelta(days=2))
    assert nodes_forget(silent_seconds=86_400) == 1
    assert Node.objects.get().name == "here"
    with current_app.connection_for_write() as broker:
        left = broker.default_channel.client.exists(node_queue("gone"))  # type: ignore[attr-defined]
    assert not left, "what was sent to it is gone too"
