"""Usage is what the rows sum up to, whatever happened, and what clients are shown of it."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from access.models import Owner
from api.problems import Problem
from jobs.changes.endings import video_refuse
from jobs.dispatching.janitor import generations_expire, watermarks_forget
from jobs.leasing.claim import Claim
from jobs.lifecycle.deletion import job_delete, job_outputs_delete, job_rendition_delete, source_delete
from jobs.lifecycle.outcomes import video_purged, video_rows_delete
from jobs.lifecycle.services import job_cancel, job_retry, video_delete
from jobs.models import Job, Step
from jobs.rules.retry import Failure
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JobPhase, JobState
from storage.keys import indexed_key, source_key, video_prefix
from storage.protocol import ObjectStore
from storage.wiring import store_from
from tests.rows import (
    a_generation,
    a_job,
    a_key,
    a_policy,
    a_run,
    a_video,
    an_mp4,
    an_owner,
    an_uploaded_video,
    some_facts,
)
from tests.unit.transcoding.test_images import a_png
from tests.unit.transcoding.test_thumbnails import a_set
from transcoding.planning.thumbnails import ThumbnailRequest
from videos.assets.services import assets_publish
from videos.counted import generations_release, working_copy_stored
from videos.models import (
    Asset,
    Generation,
    Rendition,
    SegmentRun,
    Text,
    Thumbnails,
    UsageDay,
    UsageEntry,
    Video,
    WatermarkImage,
)
from videos.runs import run_publish
from videos.services import generation_complete, rendition_delete, video_mark_deleting, video_mark_inspected
from videos.texts.services import text_delete
from videos.thumbnails import thumbnails_mark_pending, thumbnails_publish
from videos.usage.kinds import UsageKind
from videos.usage.reconcile import differences, miscounted_generations
from videos.usage.selectors import Interval, today, usage_of, usage_of_all
from videos.usage.services import usage_fold
from videos.watermarks.services import watermark_create, watermark_delete

GONE = ("deleting", "deleted")
SEED = 13


def counted(owner: Owner) -> dict[str, int]:
    """Count the rows of an owner once more, one by one."""
    sums: Counter[str] = Counter()
    for video in Video.objects.filter(owner=owner):
        stored = video.state not in (*GONE, "rejected", "joining") and video.source_deleted_at is None
        sums["source_bytes"] += video.size_bytes * stored
        sums["working_copy_bytes"] += sum(video.working_copies.values()) * stored
        sums["videos"] += video.state not in GONE
        sums["videos_added"] += 1
        if video.media and (video.inspected_at or video.state == "uploaded"):
            sums["source_ms"] += round(video.media["duration"] * 1000)
    for generation in Generation.objects.filter(video__owner=owner):
        if not generation.released:
            runs = SegmentRun.objects.filter(rendition__generation=generation)
            sums["segment_bytes"] += sum(sum(run.sizes) for run in runs)
            sums["asset_bytes"] += sum(Asset.objects.filter(generation=generation).values_list("size_bytes", flat=True))
    sums["thumbnail_bytes"] = sum(Thumbnails.objects.filter(video__owner=owner).values_list("size_bytes", flat=True))
    sums["text_bytes"] = sum(len(text.webvtt.encode()) for text in Text.objects.filter(video__owner=owner))
    images = WatermarkImage.objects.filter(owner=owner, deleted_at=None)
    sums["watermark_bytes"] = sum(len(image.data) for image in images)
    return {kind: amount for kind, amount in sums.items() if amount}


def shown(owner: Owner) -> dict[str, int]:
    now = usage_of(owner.id, since=today()).now
    return {kind.value: amount for kind, amount in now.items() if amount and not kind.startswith("encoded")}


def reconciled(owner: Owner) -> None:
    assert differences(owner) == []
    assert miscounted_generations(owner) == []
    assert shown(owner) == counted(owner)


class History:
    """Random operations of clients, workers and the janitor on the rows of one owner."""

    def __init__(self, owner: Owner, seed: int) -> None:
        self.owner = owner
        self.random = random.Random(seed)  # noqa: S311 - not for secrets
        self.encoded: Counter[str] = Counter()

    def step(self) -> None:
        """Do anything. One in five is killed before it is committed."""
        operation: Callable[[History], None] = self.random.choice(self.operations)
        encoded = self.encoded.copy()
        with suppress(Problem, KilledError), transaction.atomic():
            operation(self)
            if self.random.random() < 0.2:
                self.encoded = encoded
                raise KilledError

    def some(self, rows: Any) -> Any:  # noqa: ANN401
        found = list(rows.order_by("pk")[:50])
        if not found:
            raise KilledError
        return self.random.choice(found)

    def video(self) -> Video:
        video: Video = self.some(Video.objects.filter(owner=self.owner))
        return video

    def ended(self) -> Job:
        job: Job = self.some(Job.objects.filter(owner=self.owner, finished_at__isnull=False, deleted_at=None))
        return job

    def upload(self) -> None:
        an_uploaded_video(self.owner)

    def inspect(self) -> None:
        """For the first time, or again by another version of the program."""
        video = self.video()
        if video.state in ("uploaded", "ready"):
            seconds = self.random.randint(1, 1000)
            copies = {"indexed.mkv": seconds * 100} if seconds % 2 else {}
            media = {"duration": seconds / 7}
            facts = some_facts()
            video_mark_inspected(video=video, facts=facts, media=media, warnings=[], working_copies=copies)

    def working_copy(self) -> None:
        working_copy_stored(video_id=self.video().id, name="bitmaps/3.mkv", size_bytes=self.random.randint(1, 9999))

    def reject(self) -> None:
        video = self.video()
        if video.state in ("uploaded", "ready") and self.random.random() < 0.2:
            video_refuse(video=video, failure=Failure(code="input_rejected", retryable=False, detail="no"))

    def transcode(self) -> None:
        video = self.video()
        if video.state == "ready" and not video.source_deleted_at:
            a_job(video)

    def publish(self) -> None:
        """Also into a generation whose video is being deleted: its workers know that a moment later."""
        rendition = self.some(Rendition.objects.filter(generation__video__owner=self.owner, state="pending"))
        segments = self.random.randint(1, 4)
        first = sum(SegmentRun.objects.filter(rendition=rendition).values_list("segment_count", flat=True))
        run_publish(step_id=uuid4(), attempt=1, runs=[a_run(rendition, first, segments)])
        ms = int(segments * 100_000_000 / rendition.timescale + 0.5)
        self.encoded["audio" if rendition.kind == "audio" else "sd"] += ms

    def asset(self) -> None:
        """Of one name, in the place of the one before."""
        rendition = self.some(Rendition.objects.filter(generation__video__owner=self.owner, kind="video"))
        facts = an_mp4(rendition, key=f"{uuid4()}.mp4", size_bytes=self.random.randint(1, 9999))
        assets_publish(generation_id=rendition.generation_id, assets=[facts])

    def complete(self) -> None:
        job = self.some(Job.objects.filter(owner=self.owner, finished_at=None, generation__isnull=False))
        generation_complete(generation=job.generation, verified=[])
        Step.objects.filter(job=job).delete()
        Job.objects.filter(id=job.id).update(
            state=JobState.COMPLETED, phase=JobPhase.ENDED, finished_at=Now(), playable_at=Now()
        )

    def cancel(self) -> None:
        job_cancel(owner=self.owner, job_id=self.some(Job.objects.filter(owner=self.owner, finished_at=None)).id)

    def retry(self) -> None:
        job_retry(owner=self.owner, job_id=self.ended().id, policy=a_policy())

    def delete_job(self) -> None:
        job_delete(owner=self.owner, job_id=self.ended().id)

    def delete_outputs(self) -> None:
        job_outputs_delete(owner=self.owner, job_id=self.ended().id)

    def delete_rendition(self) -> None:
        job_rendition_delete(owner=self.owner, job_id=self.ended().id, name="360p")

    def delete_source(self) -> None:
        source_delete(owner=self.owner, video_id=self.video().id)

    def delete_video(self) -> None:
        if self.random.random() < 0.3:
            video_delete(owner=self.owner, video_id=self.video().id)

    def texts(self) -> None:
        texts = Text.objects.filter(video__owner=self.owner)
        if self.random.random() < 0.4 and texts:
            text = self.some(texts)
            text_delete(owner=self.owner, video_id=text.video_id, text_id=text.id)
        else:
            webvtt = "WEBVTT\n\nü" * self.random.randint(1, 9)
            Text.objects.create(video=self.video(), name=str(uuid4()), language="de", webvtt=webvtt, cue_count=1)

    def thumbnails(self) -> None:
        video = self.video()
        thumbnails_mark_pending(video=video, request=ThumbnailRequest())
        thumbnails_publish(video=video, images=a_set())

    def watermarks(self) -> None:
        images = WatermarkImage.objects.filter(owner=self.owner)
        if self.random.random() < 0.4 and images:
            watermark_delete(owner=self.owner, image_id=self.some(images).id)
            watermarks_forget()
        else:
            watermark_create(owner=self.owner, data=a_png())

    def janitor(self) -> None:
        generations_expire(older_than_seconds=-1)

    def purge(self) -> None:
        step = self.some(Step.objects.filter(owner=self.owner, kind="purge", state__in=("ready", "delayed")))
        leased = {
            "state": "running",
            "attempt": F("attempt") + 1,
            "lease_expires_at": Now() + timedelta(hours=1),
            "node": "n",
            "worker_pid": 1,
            "claimed_at": Now(),
        }
        Step.objects.filter(id=step.id).update(**leased, not_before=None)
        claim = Claim(
            step_id=step.id, attempt=step.attempt + 1, kind=StepKind.PURGE, ordinal=0, video_id=step.video_id,
            job_id=None, generation_id=None, units_done=0, units_total=None, payload=step.payload,
        )  # fmt: skip
        if step.payload["prefix"] == video_prefix(step.video_id):
            while video_rows_delete(claim=claim, at_a_time=3):
                if self.random.random() < 0.2:
                    return  # the rest is for another attempt
        video_purged(claim=claim, objects=1)

    def fold(self) -> None:
        usage_fold(at_a_time=self.random.choice((3, 10_000)))

    operations = (
        upload, inspect, inspect, working_copy, reject, transcode, transcode, publish, publish, publish, asset,
        complete, cancel, retry, delete_job, delete_outputs, delete_rendition, delete_source, delete_video, texts,
        thumbnails, watermarks, janitor, purge, purge, fold,
    )  # fmt: skip


class KilledError(Exception):
    pass


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(SEED, SEED + 2))
def test_usage_is_what_the_rows_sum_up_to_whatever_happens(seed: int) -> None:
    owner = an_owner("busy")
    history = History(owner, seed)
    for operation in (History.upload, History.inspect, History.transcode, History.publish):
        operation(history)  # ids are random, and so is what comes after: there is an encode in any case
    for number in range(300):
        history.step()
        if number % 50 == 49:
            reconciled(owner)
    usage_fold()
    reconciled(owner)
    assert not UsageEntry.objects.exists()
    total = usage_of_all()
    for name, milliseconds in history.encoded.items():
        assert total[UsageKind(f"encoded_{name}_ms")] == milliseconds
    assert min(history.encoded.values()) > 0
    assert {each.kind for each in UsageDay.objects.all()} > {"source_bytes", "segment_bytes"}


@contextmanager
def threads(*works: Callable[[], None]) -> Iterator[None]:
    """Run these at the same time, each with a connection of its own, and raise what went wrong."""
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - reported below
            errors.append(error)
        finally:
            connection.close()

    running = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in running:
        thread.start()
    yield
    for thread in running:
        thread.join()
    assert not errors, errors


@pytest.mark.django_db(transaction=True)
def test_writers_at_the_same_time_lose_no_count() -> None:
    """Publishers, deletions, the sum and a repair meet in the middle of each other's transactions."""
    owner = an_owner("crowded")
    generations = [a_generation(a_video(owner)) for _ in range(3)]
    renditions = [Rendition.objects.get(generation=generation) for generation in generations]

    def publish(number: int) -> Callable[[], None]:
        def work() -> None:
            for first in range(40):
                rendition = renditions[first % 3]
                with suppress(Exception), transaction.atomic():
                    run_publish(step_id=uuid4(), attempt=1, runs=[a_run(rendition, first * 4 + number)])

        return work

    def delete() -> None:
        with transaction.atomic():
            video_mark_deleting(video=generations[0].video)
        generations_release(video_id=generations[1].video_id)
        with suppress(IntegrityError), transaction.atomic():  # the publishers of a complete generation have ended
            rendition_delete(rendition=renditions[2])

    def count() -> None:
        for _ in range(20):
            usage_fold(at_a_time=5)
            call_command("usage_reconcile", owner="crowded", no_store=True, repair=True, stdout=StringIO())

    with threads(*(publish(number) for number in range(4)), delete, count):
        pass
    usage_fold()
    reconciled(owner)
    assert usage_of(owner.id, since=today()).now[UsageKind.ENCODED_SD_MS] > 0


@pytest.mark.django_db
def test_the_command_prints_what_differs_and_sets_it_right() -> None:
    owner = an_owner("drifted")
    job = a_job(a_video(owner))
    assert job.generation_id is not None
    rendition = Rendition.objects.filter(generation=job.generation_id)[0]
    run_publish(step_id=uuid4(), attempt=1, runs=[a_run(rendition, 0, 2)])
    UsageEntry.objects.create(owner=owner, day=today(), kind="source_bytes", amount=-1)
    Generation.objects.filter(id=job.generation_id).update(segment_bytes=7)
    written = StringIO()
    with pytest.raises(CommandError, match="2 differences"):
        call_command("usage_reconcile", owner="drifted", no_store=True, stdout=written)
    assert "drifted: source_bytes: 999999 counted, 1000000 in the rows" in written.getvalue()
    assert f"generation {job.generation_id}" in written.getvalue()
    with pytest.raises(CommandError, match="repaired"):
        call_command("usage_reconcile", owner="drifted", no_store=True, repair=True, stdout=StringIO())
    call_command("usage_reconcile", no_store=True, stdout=StringIO())
    reconciled(owner)


@pytest.fixture
def store(s3_server: object) -> ObjectStore:
    from django.conf import settings

    store = store_from(settings.TRANSCODER.storage)
    store.prepare()
    return store


@pytest.mark.django_db
def test_the_command_compares_with_the_store(store: ObjectStore) -> None:
    owner = an_owner("listed")
    video = a_video(owner)
    working_copy_stored(video_id=video.id, name="indexed.mkv", size_bytes=3)
    store.put(source_key(video.id), bytes(1_000_000), "video/mp4")
    store.put(indexed_key(video.id), b"1234", "video/mp4")
    written = StringIO()
    with pytest.raises(CommandError, match="1 differences"):
        call_command("usage_reconcile", owner="listed", stdout=written)
    assert f"the store lacks {indexed_key(video.id)}, or has it in another size" in written.getvalue()
    assert "1000003 bytes of objects counted, 1000004 listed" in written.getvalue()
    store.put(indexed_key(video.id), b"123", "video/mp4")
    call_command("usage_reconcile", owner="listed", stdout=StringIO())


def read(client: Client, query: str = "") -> dict[str, Any]:
    response = client.get(f"/api/v1/usage{query}")
    assert response.status_code == 200, response.content
    document: dict[str, Any] = response.json()
    return document


def days_ago(days: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=days)


@pytest.mark.django_db
def test_clients_see_their_own_usage(client: Client) -> None:
    an_uploaded_video(an_owner("other"))
    job = a_job()
    video_mark_inspected(video=job.video, facts=some_facts(), media={"duration": 90.0}, warnings=[])
    assert job.generation is not None
    rung, audio = job.generation.renditions.order_by("-kind")
    run_publish(step_id=uuid4(), attempt=1, runs=[a_run(rung, 0, 3), a_run(audio, 0, 1)])
    document = read(client)
    assert document["owner"] == "default"
    stored = document["stored"]
    assert (stored["source_bytes"], stored["segment_bytes"], stored["videos"]) == (1_000_000, 4_000, 1)
    assert stored["total_bytes"] == 1_004_000
    month = document["this_month"]
    assert (month["videos_added"], month["source_minutes"]) == (1, 1.5)
    assert month["encoded_minutes"]["sd"] == pytest.approx(3 * 100_000 / rung.timescale / 60, abs=1e-4)
    assert month["encoded_minutes"]["uhd"] == 0
    assert len(document["periods"]) == 30
    assert document["periods"][-1]["stored_bytes"] == 1_004_000
    assert document["periods"][-2]["stored_bytes"] == 0
    video_delete(owner=job.owner, video_id=job.video_id)
    document = read(client)
    assert document["stored"]["total_bytes"] == 0
    assert document["this_month"]["source_minutes"] == 1.5


@pytest.mark.django_db
def test_usage_is_summed_up_by_day_and_month(client: Client) -> None:
    owner = Owner.objects.get(name="default")
    for ago, amount in ((70, 100), (40, 10), (2, -30)):
        UsageEntry.objects.create(owner=owner, day=days_ago(ago), kind="source_bytes", amount=amount)
        usage_fold()
    UsageEntry.objects.create(owner=owner, day=days_ago(0), kind="segment_bytes", amount=5)
    days = read(client, f"?start={days_ago(3)}&end={days_ago(0)}")["periods"]
    assert [day["stored_bytes"] for day in days] == [110, 80, 80, 85]
    months = read(client, f"?interval=month&start={days_ago(100)}")["periods"]
    assert months[0]["start"] == str(days_ago(100).replace(day=1))
    assert months[-1]["stored_bytes"] == 85
    assert usage_of(owner.id, since=days_ago(100)).periods(Interval.MONTH, days_ago(100), days_ago(0))[
        0
    ].stored_bytes in (0, 100)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?start=yesterday", "start"),
        ("?start=2026-02-01&end=2026-01-01", "start"),
        ("?end=9000-01-01", "end"),
        ("?start=1000-01-01", "start"),
        ("?interval=week", "interval"),
        ("?owner=other", "owner"),
    ],
)
def test_wrong_queries_are_refused(client: Client, query: str, field: str) -> None:
    response = client.get(f"/api/v1/usage{query}")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.django_db
def test_usage_is_read_in_one_query(client: Client, django_assert_num_queries: Any) -> None:  # noqa: ANN401
    a_key()
    owner = Owner.objects.get(name="default")
    with django_assert_num_queries(1):
        usage_of(owner.id, since=days_ago(300))
