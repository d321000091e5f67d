"""The tables of jobs.rules.transitions against what the statements really do: every operation, from every state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from django.db import IntegrityError, transaction

from api.problems import Problem
from configuration import RetryConfig
from jobs.changes.endings import job_cancel_locked, job_fail
from jobs.changes.moves import IllegalMove, job_move
from jobs.leasing.claim import Claim, claim_of
from jobs.leasing.leases import LeaseLost, step_release
from jobs.leasing.steps import step_begin, step_complete
from jobs.lifecycle.failures import leases_reclaim, step_fail, steps_promote
from jobs.lifecycle.outcomes import job_complete
from jobs.lifecycle.resuming import _steps_reopen
from jobs.lifecycle.services import job_pause, job_resume, job_retry
from jobs.models import Job, Step
from jobs.rules.retry import Failure
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JOB_ENDS, JOB_MOVES, STEP_MOVES, JobPhase, JobState, StepState
from tests.rows import a_bare_job, a_job, a_policy, a_step, a_video, claim_or_none

pytestmark = pytest.mark.django_db
LONG_AGO = "2026-01-01T00:00:00Z"
NO_PAUSE = RetryConfig(retry_base_seconds=0)


class _Undo(Exception):
    pass


@contextmanager
def _undone() -> Iterator[None]:
    with suppress(_Undo), transaction.atomic():
        yield
        raise _Undo


def _job_of(claim: Claim) -> Job:
    assert claim.job_id is not None
    return Job.objects.get(id=claim.job_id)


def _fail(claim: Claim, *, retryable: bool, retry: RetryConfig) -> None:
    step_fail(claim=claim, failure=Failure(code="broken", retryable=retryable), policy=a_policy(retry=retry))


def _finish_the_others(claim: Claim) -> None:
    """Complete the job's other step, the last before `finish`."""
    other = a_step(_job_of(claim), ordinal=99, units_total=0)
    Step.objects.filter(id=other.id).update(
        state=StepState.RUNNING, attempt=1, node="n", worker_pid=1, lease_expires_at=LONG_AGO
    )
    step_complete(claim=replace(claim, step_id=other.id, attempt=1), result={})


def _retry_with_slot(claim: Claim) -> None:
    """The same for a step whose last attempt may still use a GPU."""
    held = {"encoder": "h264_nvenc", "sessions": 1, "device": "GPU-0", "lease_expires_at": "2099-01-01T00:00:00Z"}
    Step.objects.filter(id=claim.step_id, state=StepState.CANCELLED).update(**held)
    _retry(claim, others_open=False)


STEP_OPERATIONS: dict[str, Callable[[Claim], object]] = {
    "claim": lambda _: claim_or_none(),
    "release": lambda claim: step_release(claim=claim),
    "complete": lambda claim: step_complete(claim=claim, result={}),
    "complete the others": _finish_the_others,
    "fail for good": lambda claim: _fail(claim, retryable=False, retry=RetryConfig()),
    "fail and pause": lambda claim: _fail(claim, retryable=True, retry=RetryConfig()),
    "fail and go on": lambda claim: _fail(claim, retryable=True, retry=NO_PAUSE),
    "reclaim": lambda _: leases_reclaim(policy=a_policy(retry=RetryConfig())),
    "promote": lambda _: steps_promote(),
    "stop the job": lambda claim: job_cancel_locked(job=_job_of(claim)),
    "retry the job, others open": lambda claim: _retry(claim, others_open=True),
    "retry the job, others done": lambda claim: _retry(claim, others_open=False),
    "retry the job, a slot held": _retry_with_slot,
}


def _retry(claim: Claim, *, others_open: bool) -> None:
    """Do to the steps what a retry of their job does."""
    job = _job_of(claim)
    if others_open:
        a_step(job, ordinal=99)
    assert job.generation is not None
    _steps_reopen(job.generation)


def _force(step: Step, state: StepState) -> None:
    leased = {"node": "n", "worker_pid": 1, "lease_expires_at": LONG_AGO} if state is StepState.RUNNING else {}
    not_before = LONG_AGO if state is StepState.DELAYED else None
    Step.objects.filter(id=step.id).update(state=state, attempt=1, not_before=not_before, **leased)
    step.refresh_from_db()


def test_steps_move_as_their_table_says() -> None:
    job = a_bare_job(a_video(), open_steps=1)
    step = a_step(job, kind=StepKind.FINISH, units_total=0)
    Job.objects.filter(id=job.id).update(state=JobState.PROCESSING)
    moved: set[tuple[StepState, StepState]] = set()
    for state in StepState:
        for operation in STEP_OPERATIONS.values():
            with _undone():
                _force(step, state)
                with suppress(LeaseLost, IllegalMove, IntegrityError), transaction.atomic():
                    operation(claim_of(step))
                step.refresh_from_db()
                moved.add((state, StepState(step.state)))
    table = {(origin, target) for origin, targets in STEP_MOVES.items() for target in targets}
    assert {(origin, target) for origin, target in moved if origin != target} == table


JOB_OPERATIONS: dict[str, Callable[[Job, Claim], object]] = {
    "begin": lambda _, claim: step_begin(claim=claim),
    "complete": lambda _, claim: job_complete(claim=claim, verified=[], result={}),
    "fail": lambda job, _: job_fail(job=job, failure=Failure(code="broken")),
    "stop": lambda job, _: job_cancel_locked(job=job),
    "pause": lambda job, _: job_pause(owner=job.owner, job_id=job.id),
    "resume": lambda job, _: job_resume(owner=job.owner, job_id=job.id, policy=a_policy()),
    "retry": lambda job, _: job_retry(owner=job.owner, job_id=job.id, policy=a_policy()),
}


def test_jobs_move_as_their_table_says() -> None:
    job = a_job()
    step = Step.objects.get(job=job, kind=StepKind.FINISH)
    moved: set[tuple[JobState, JobState]] = set()
    for state in JobState:
        for operation in JOB_OPERATIONS.values():
            with _undone():
                _force(step, StepState.RUNNING)
                ended = state in JOB_ENDS
                Job.objects.filter(id=job.id).update(
                    state=state, started_at=LONG_AGO, finished_at=LONG_AGO if ended else None, error_code="e"
                )
                job.refresh_from_db()
                with suppress(LeaseLost, IllegalMove, Problem), transaction.atomic():
                    operation(job, claim_of(step))
                job.refresh_from_db()
                moved.add((state, JobState(job.state)))
    table = {(origin, target) for origin, targets in JOB_MOVES.items() for target in targets}
    assert {(origin, target) for origin, target in moved if origin != target} == table


@pytest.mark.parametrize("origin", list(JobState))
@pytest.mark.parametrize("to", list(JobState))
def test_the_one_function_that_moves_a_job_follows_the_table(origin: JobState, to: JobState) -> None:
    job = Job(state=origin)
    if to in JOB_MOVES[origin]:
        job_move(job=job, to=to, phase=JobPhase.ENDED)
    else:
        with pytest.raises(IllegalMove):
            job_move(job=job, to=to, phase=JobPhase.ENDED)


def test_the_database_knows_no_other_states() -> None:
    job = a_job()
    for model in (Job, Step):
        with pytest.raises(IntegrityError), transaction.atomic():
            model.objects.update(state="asleep")
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(id=job.id).update(priority=101)
    with pytest.raises(IntegrityError), transaction.atomic():
        Step.objects.filter(job=job).update(state=StepState.RUNNING)  # without a lease
    with pytest.raises(IntegrityError), transaction.atomic():
        Step.objects.filter(job=job, kind=StepKind.CHUNK).update(state=StepState.DONE)  # without its units
