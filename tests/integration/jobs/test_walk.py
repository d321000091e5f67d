"""Everything that can happen to jobs, in random order: what must always hold, holds."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.db import transaction
from django.db.models import Count, F, Q

from api.problems import Problem
from configuration import RankConfig, RetryConfig
from events.models import Event
from jobs.changes.endings import purge_request
from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost, step_release
from jobs.leasing.steps import step_begin, step_complete, step_publish
from jobs.lifecycle.failures import leases_take_back, step_fail, steps_promote
from jobs.lifecycle.outcomes import job_complete, video_purged
from jobs.lifecycle.services import job_cancel, job_reprioritize, job_retry
from jobs.models import Job, Step
from jobs.rules.retry import Failure, failure_of
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JOB_ENDS, STEP_ENDS, JobState, StepState
from storage.keys import generation_prefix
from tests.rows import a_job, a_policy, a_run, a_video, claim_or_none, expire
from transcoding.errors import VerificationFailed
from videos.models import Generation, SegmentRun
from videos.states import GenerationState

RETRY = RetryConfig(max_failures=2, poison_attempts=2, retry_base_seconds=0)
RANK = RankConfig()
FAILURES = (
    Failure(code="encoder_failed", retryable=True),
    Failure(code="storage_refused", retryable=False),
    failure_of(VerificationFailed("a frame is missing")),
)
MOVES = 150


class _Walk:
    """Workers, a janitor and a person at two jobs of one video; claims are kept long after they were lost."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        video = a_video(seconds=16, sound=False)
        self._jobs = [a_job(video).id, a_job(video).id]
        self._claims: list[Claim] = []
        self.moves: list[Callable[[], object]] = [
            *[self.claim] * 5, *[self.publish] * 8, *[self.complete] * 8, self.fail, self.release, self.expire,
            self.promote, self.cancel, self.retry, self.retry, self.reprioritize, self.collect, self.purge, self.purge,
        ]  # fmt: skip

    def claim(self) -> None:
        if claim := claim_or_none():
            self._claims.append(claim)

    def _claim(self) -> Claim:
        if not self._claims:
            raise _Nothing
        return self._dice.choice(self._claims[-4:])

    def _job(self) -> Job:
        return Job.objects.get(id=self._dice.choice(self._jobs))

    def publish(self) -> None:
        claim = self._claim()
        work = step_begin(claim=claim)
        done = Step.objects.values_list("units_done", flat=True).get(id=claim.step_id)
        if done < claim.units_total:
            to = self._dice.randint(done + 1, claim.units_total)
            first, prefix = claim.payload["first_segment"] + done, f"{claim.step_id}-a{claim.attempt}/"
            runs = [a_run(rendition, first, to - done, prefix=prefix) for rendition in work.renditions]
            step_publish(claim=claim, runs=runs, units_done=to)

    def complete(self) -> None:
        claim = self._claim()
        if claim.kind is StepKind.FINISH:
            step_begin(claim=claim)
            job_complete(claim=claim, proofs=[], result={})
        elif claim.kind is StepKind.CHUNK and _is_whole(claim):
            step_complete(claim=claim, result={})

    def fail(self) -> None:
        step_fail(claim=self._claim(), failure=self._dice.choice(FAILURES), policy=a_policy(retry=RETRY))

    def release(self) -> None:
        step_release(claim=self._claim())

    def expire(self) -> None:
        claim = self._claim()
        if Step.objects.filter(id=claim.step_id, state=StepState.RUNNING).exists():
            expire(claim.step_id)
            leases_take_back(policy=a_policy(retry=RETRY))

    def promote(self) -> None:
        Step.objects.filter(state=StepState.DELAYED).update(not_before="2026-01-01T00:00:00Z")
        steps_promote()

    def cancel(self) -> None:
        job = self._job()
        job_cancel(owner=job.owner, job_id=job.id)

    def retry(self) -> None:
        job = self._job()
        job_retry(owner=job.owner, job_id=job.id, policy=a_policy())

    def reprioritize(self) -> None:
        job = self._job()
        job_reprioritize(owner=job.owner, job_id=job.id, priority=self._dice.randrange(101), rank=RANK)

    def collect(self) -> None:
        """The janitor asks for a lost generation's objects to be removed."""
        job = self._job()
        if job.generation and job.generation.state == GenerationState.LOST:
            purge_request(video=job.video, prefix=generation_prefix(job.video_id, job.generation.number))

    def purge(self) -> None:
        claim = self._claim()
        if claim.kind is StepKind.PURGE:
            step_begin(claim=claim)
            video_purged(claim=claim, objects=1)


def _is_whole(claim: Claim) -> bool:
    return Step.objects.filter(id=claim.step_id, units_done=F("units_total")).exists()


class _Nothing(Exception):
    pass


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_the_rows_agree(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - repeatable
    walk = _Walk(dice)
    for _ in range(MOVES):
        move = dice.choice(walk.moves)
        with suppress(_Nothing, LeaseLost, Problem), transaction.atomic():
            move()
        _rows_agree()


def _rows_agree() -> None:
    for job in Job.objects.select_related("generation"):
        assert job.generation is not None
        steps = Step.objects.filter(generation=job.generation)
        left = steps.exclude(state=StepState.DONE).exclude(kind=StepKind.FINISH).count()
        over = job.state in JOB_ENDS
        if over:
            assert not Step.objects.filter(job=job).exclude(state__in=STEP_ENDS).exists()
        else:
            assert job.open_steps == left
            assert job.generation.state == GenerationState.BUILDING
            _nothing_of_it_is_removed(job)
            (finish,) = steps.filter(kind=StepKind.FINISH).values_list("state", flat=True)
            assert (finish == StepState.WAITING) == (left > 0)
        if job.state == JobState.COMPLETED:
            assert left == 0
            _nothing_of_it_is_removed(job)
        assert list(Event.objects.filter(job_id=job.id).order_by("id").values_list("seq", flat=True)) == list(
            range(1, job.last_event + 1)
        )
    assert not Generation.objects.filter(job_id__in=Job.objects.filter(state__in=JOB_ENDS), state="building").exists()
    _units_are_runs()


def _nothing_of_it_is_removed(job: Job) -> None:
    assert job.generation is not None
    prefix = generation_prefix(job.video_id, job.generation.number)
    purges = Step.objects.filter(kind=StepKind.PURGE, payload__prefix=prefix)
    assert not purges.exclude(state=StepState.CANCELLED).exists()


def _units_are_runs() -> None:
    """Every unit of a chunk is a published segment of each rendition, and the other way round."""
    chunks = Step.objects.filter(kind=StepKind.CHUNK).annotate(
        renditions=Count("generation__renditions", filter=Q(generation__renditions__kind="video"))
    )
    units = {chunk.id: chunk.units_done * chunk.renditions for chunk in chunks if chunk.units_done}
    published: dict[object, int] = {}
    for run in SegmentRun.objects.all():
        published[run.step_id] = published.get(run.step_id, 0) + run.segment_count
    assert published == units
