from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import F

from events.models import Event
from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost
from jobs.leasing.steps import step_begin, step_complete, step_publish
from jobs.lifecycle.outcomes import job_complete, step_complete_assets
from jobs.lifecycle.services import job_cancel
from jobs.models import Job, Step
from jobs.rules.steps import DECODER_ERRORS, StepKind
from jobs.rules.transitions import JobPhase, JobState, StepState
from tests.rows import a_job, a_run, a_video, an_mp4, claim_or_none, claimed, state_of, units_of
from transcoding.probing.warnings import Notice, SourceWarning
from videos.models import Asset, Generation, Rendition, Video
from videos.services import VerifiedRendition
from videos.states import GenerationState, RenditionState

MANY_CHUNKS_SECONDS = 8 * 4 * 2
"""Eight chunks of two segments."""


def _carry_out(claim: Claim, *, decoder_errors: int = 0) -> None:
    """Do what a worker does with a chunk or the audio, without the encoding."""
    work = step_begin(claim=claim)
    kind = "audio" if claim.kind is StepKind.AUDIO else "video"
    first = claim.payload.get("first_segment", 0)
    runs = [
        a_run(rendition, first, units_of(claim), prefix=f"{claim.step_id}/")
        for rendition in work.renditions
        if rendition.kind == kind
    ]
    step_publish(claim=claim, runs=runs, units_done=units_of(claim))
    step_complete(claim=claim, result={"seconds": 1.0, DECODER_ERRORS: decoder_errors})


def _verified() -> list[VerifiedRendition]:
    return [
        VerifiedRendition(rendition_id=rendition.id, peak_bitrate=2, avg_bitrate=1, size_bytes=3, sha256="c")
        for rendition in Rendition.objects.all()
    ]


@pytest.mark.django_db
def test_a_job_from_its_first_step_to_completed() -> None:
    job = a_job()
    finish = Step.objects.get(kind=StepKind.FINISH)
    for _ in range(6):
        assert state_of(finish.id) is StepState.WAITING
        _carry_out(claimed())
    assert state_of(finish.id) is StepState.READY

    claim = claimed()
    assert claim.kind is StepKind.FINISH
    assert step_begin(claim=claim).job is not None
    assert Job.objects.get().phase == JobPhase.FINISHING
    job_complete(claim=claim, verified=_verified(), result={})
    job_complete(claim=claim, verified=_verified(), result={})  # the answer to the first commit was lost

    job.refresh_from_db()
    generation = Generation.objects.get()
    assert (job.state, job.phase, job.open_steps) == (JobState.COMPLETED, JobPhase.ENDED, 0)
    assert job.playable_at is not None
    assert job.metadata["cpu_codec"] == "libx264"
    assert job.metadata["gpu_enabled"] is False
    assert job.metadata["processing_speed"] > 0
    assert generation.state == GenerationState.COMPLETE
    assert Video.objects.get().current_generation == generation
    assert set(Rendition.objects.values_list("state", "peak_bitrate", "avg_bitrate")) == {
        (RenditionState.COMPLETED.value, 2, 1)
    }
    assert list(Event.objects.filter(job_id=job.id).order_by("seq").values_list("type", flat=True)) == [
        "job.queued",
        "job.planned",
        "job.started",
        "job.completed",
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("errors", [0, 3])
def test_a_completed_job_says_how_damaged_its_source_is(errors: int) -> None:
    """Chunks and audio all read the source."""
    job = a_job()
    for _ in range(6):
        _carry_out(claimed(), decoder_errors=errors)
    job_complete(claim=claimed(), verified=_verified(), result={})
    damaged = [Notice(code=SourceWarning.DAMAGED, count=6 * errors).to_document()] if errors else []
    assert Video.objects.get(id=job.video_id).warnings == damaged


@pytest.mark.django_db
def test_a_second_job_replaces_what_the_first_said() -> None:
    video = a_video()
    for errors in (3, 1):
        a_job(video)
        for _ in range(6):
            _carry_out(claimed(), decoder_errors=errors)
        job_complete(claim=claimed(), verified=_verified(), result={})
    assert [warning["count"] for warning in Video.objects.get(id=video.id).warnings] == [6]


@pytest.mark.django_db
def test_remuxes_wait_for_all_encoding_and_finish_waits_for_them() -> None:
    job = a_job(a_video(seconds=16, width=1280, height=720), output_format=["mp4"])
    rungs = list(Rendition.objects.filter(kind="video").order_by("position"))
    finish, remuxes = Step.objects.get(kind=StepKind.FINISH), Step.objects.filter(kind=StepKind.REMUX)
    assert remuxes.count() == len(rungs) > 1
    for _ in range(3):  # the audio and two chunks
        assert {*remuxes.values_list("state", flat=True), state_of(finish.id)} == {StepState.WAITING}
        _carry_out(claimed())
    assert set(remuxes.values_list("state", flat=True)) == {StepState.READY}
    job.refresh_from_db()
    assert job.open_steps == len(rungs)
    for rung in rungs:
        assert state_of(finish.id) is StepState.WAITING
        claim = claimed()
        assert (claim.kind, claim.payload) == (StepKind.REMUX, {"asset": "mp4", "rendition": rung.name})
        step_begin(claim=claim)
        assert Job.objects.get().phase == JobPhase.FINISHING
        step_complete_assets(claim=claim, assets=[an_mp4(rung)], result={})
        step_complete_assets(claim=claim, assets=[an_mp4(rung)], result={})  # the answer to the first commit was lost
    assert state_of(finish.id) is StepState.READY
    assert {asset.rendition_id for asset in Asset.objects.all()} == {rung.id for rung in rungs}


@pytest.mark.django_db
def test_a_remux_without_its_lease_names_no_file() -> None:
    job = a_job(a_video(seconds=4, audio=False), output_format="mp4")
    _carry_out(claimed())
    claim = claimed()
    job_cancel(owner=job.owner, job_id=job.id)
    with pytest.raises(LeaseLost):
        step_complete_assets(claim=claim, assets=[an_mp4(Rendition.objects.get())], result={})
    assert not Asset.objects.exists()


@pytest.mark.django_db
def test_a_video_points_to_its_newest_complete_generation_only_ever_forward() -> None:
    video = a_video()
    older, newer = a_job(video), a_job(video)
    finishing: dict[UUID | None, Claim] = {}
    while claim := claim_or_none():
        if claim.kind is StepKind.FINISH:
            finishing[claim.job_id] = claim
        else:
            _carry_out(claim)
    job_complete(claim=finishing[newer.id], verified=[], result={})
    job_complete(claim=finishing[older.id], verified=[], result={})
    video.refresh_from_db()
    assert video.current_generation is not None
    assert video.current_generation.job_id == newer.id


@pytest.mark.django_db(transaction=True)
def test_however_many_complete_at_once_finish_becomes_ready_exactly_once() -> None:
    a_job(a_video(seconds=MANY_CHUNKS_SECONDS))
    claims = [claimed(pid=pid) for pid in range(1, 10)]
    Step.objects.update(units_done=F("units_total"))
    barrier = Barrier(len(claims))

    def complete(claim: Claim) -> None:
        try:
            barrier.wait()
            step_complete(claim=claim, result={})
        finally:
            connection.close()

    with ThreadPoolExecutor(len(claims)) as pool:
        list(pool.map(complete, claims))
    assert Job.objects.get().open_steps == 0
    assert claimed().kind is StepKind.FINISH
    assert claim_or_none() is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_number", range(3))
def test_cancelling_while_everything_runs_leaves_one_terminal_state(round_number: int) -> None:
    job = a_job(a_video(seconds=10 * MANY_CHUNKS_SECONDS))
    barrier = Barrier(5)

    def work() -> None:
        try:
            barrier.wait()
            while claim := claim_or_none():
                if claim.kind is StepKind.FINISH:
                    step_begin(claim=claim)
                    job_complete(claim=claim, verified=[], result={})
                else:
                    _carry_out(claim)
        except LeaseLost:
            pass
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(work) for _ in range(4)]
        barrier.wait()
        job_cancel(owner=job.owner, job_id=job.id)
        for worker in workers:
            worker.result()
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    left = set(Step.objects.filter(job=job).values_list("state", flat=True))
    assert left <= {StepState.DONE, StepState.CANCELLED}
    assert claim_or_none() is None
    assert Event.objects.filter(job_id=job.id).count() == job.last_event
