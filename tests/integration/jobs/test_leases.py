from __future__ import annotations

import pytest
from django.utils import timezone

from configuration import RetryConfig
from jobs.leasing.leases import LeaseLost, step_release, step_renew
from jobs.leasing.steps import step_begin, step_complete, step_publish
from jobs.lifecycle.failures import leases_reclaim, leases_release
from jobs.models import Step
from jobs.rules.transitions import StepState
from tests.rows import a_bare_job, a_policy, a_run, a_step, a_video, claimed, expire, state_of
from videos.models import Rendition, SegmentRun

pytestmark = pytest.mark.django_db
RETRY = RetryConfig(poison_attempts=3)


def _a_step() -> Step:
    return a_step(a_bare_job(a_video(), open_steps=1))


def test_a_renewal_prolongs_the_lease_by_the_clock_of_the_database() -> None:
    step = _a_step()
    claim = claimed(lease_seconds=5)
    assert step_renew(claim=claim, lease_seconds=1000)
    step.refresh_from_db()
    assert step.lease_expires_at is not None
    assert 990 < (step.lease_expires_at - timezone.now()).total_seconds() < 1010


def test_a_lease_that_ran_out_can_be_renewed_as_long_as_nobody_took_it() -> None:
    step = _a_step()
    claim = claimed()
    expire(step.id)
    assert step_renew(claim=claim, lease_seconds=60)
    assert leases_reclaim(policy=a_policy(retry=RETRY)) == 0


def test_a_released_step_is_ready_at_once_and_uncharged() -> None:
    step = _a_step()
    assert step_release(claim=claimed())
    step.refresh_from_db()
    assert (step.state, step.failures, step.attempts_without_progress, step.attempt) == (StepState.READY, 0, 0, 1)
    assert (step.node, step.worker_pid, step.lease_expires_at) == ("", None, None)


def test_a_running_lease_is_left_alone() -> None:
    _a_step()
    claimed()
    assert leases_reclaim(policy=a_policy(retry=RETRY)) == 0


def test_an_expired_lease_moves_to_the_next_worker_and_fences_the_old_one() -> None:
    step = _a_step()
    zombie = claimed(pid=1)
    expire(step.id)
    assert leases_reclaim(policy=a_policy(retry=RETRY)) == 1
    winner = claimed(pid=2)
    assert (winner.step_id, winner.attempt) == (step.id, 2)
    run = a_run(Rendition.objects.get(), 0)

    assert not step_renew(claim=zombie, lease_seconds=60)
    assert not step_release(claim=zombie)
    with pytest.raises(LeaseLost):
        step_begin(claim=zombie)
    with pytest.raises(LeaseLost):
        step_publish(claim=zombie, runs=[run], units_done=1)
    with pytest.raises(LeaseLost):
        step_complete(claim=zombie, result={})
    assert not SegmentRun.objects.exists()

    step_begin(claim=winner)
    step_publish(claim=winner, runs=[run], units_done=1)
    step_complete(claim=winner, result={})
    assert state_of(step.id) is StepState.DONE
    with pytest.raises(LeaseLost):
        step_complete(claim=zombie, result={})


def test_a_lost_worker_is_not_charged_as_a_failure() -> None:
    step = _a_step()
    claimed()
    expire(step.id)
    leases_reclaim(policy=a_policy(retry=RETRY))
    step.refresh_from_db()
    assert (step.state, step.failures, step.attempts_without_progress) == (StepState.READY, 0, 1)
    assert step.error_code == "worker_lost"


def test_publishing_something_makes_the_attempt_count_for_nothing_when_it_is_lost() -> None:
    job = a_bare_job(a_video())
    step = a_step(job, units_total=10)
    rendition = Rendition.objects.get()
    for attempt in range(8):  # far more than the poison limit
        claim = claimed()
        assert claim.units_done == attempt
        step_publish(claim=claim, runs=[a_run(rendition, attempt)], units_done=attempt + 1)
        expire(step.id)
        leases_reclaim(policy=a_policy(retry=RETRY))
    step.refresh_from_db()
    assert (step.state, step.units_done, step.attempts_without_progress) == (StepState.READY, 8, 0)


def test_a_step_that_keeps_losing_its_workers_is_poison() -> None:
    step = _a_step()
    for _ in range(RETRY.poison_attempts):
        Step.objects.filter(state=StepState.DELAYED).update(state=StepState.READY, not_before=None)
        claimed()
        expire(step.id)
        leases_reclaim(policy=a_policy(retry=RETRY))
    step.refresh_from_db()
    assert step.job is not None
    assert (step.state, step.error_code, step.attempt) == (StepState.FAILED, "poison", 3)
    assert (step.job.state, step.job.error_code, step.job.error_retryable) == ("failed", "poison", False)


def test_what_a_dead_child_held_is_released_at_once_and_nothing_else() -> None:
    job = a_bare_job(a_video())
    for ordinal in range(3):
        a_step(job, ordinal=ordinal)
    dead = claimed(node="n", pid=1)
    others = [claimed(node="n", pid=2), claimed(node="m", pid=1)]
    assert leases_release(node="n", pid=1, policy=a_policy(retry=RETRY)) == 1
    assert state_of(dead.step_id) is StepState.READY
    assert {state_of(claim.step_id) for claim in others} == {StepState.RUNNING}
