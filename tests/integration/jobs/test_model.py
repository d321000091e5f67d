"""Clients, workers, dispatcher and janitor do anything in any order: the rows are as the model says (FAULTS 47).

`make model` runs it for long.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpResponse
from django.test import Client
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pytest_django.fixtures import Settings

from access.services import default_owner
from configuration import RetryConfig
from events.models import Event
from jobs.dispatching.janitor import generations_expire
from jobs.dispatching.progress_events import progress_events_append
from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost, step_postpone, step_release, step_renew
from jobs.leasing.steps import step_begin, step_complete, step_publish
from jobs.lifecycle.failures import leases_reclaim, step_fail, steps_promote
from jobs.lifecycle.outcomes import job_complete, video_inspected, video_purged
from jobs.models import Job, Step
from jobs.rules.retry import Failure, failure_of
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JOB_ENDS, JobState, StepState
from jobs.wiring import job_policy
from tests.integration.jobs import model as of
from tests.integration.jobs.model import Fenced, Model, Refused
from tests.rows import a_key, a_policy, a_run, a_video, an_uploaded_video, claim_or_none, expire, some_facts, units_of
from transcoding.errors import InputChanged, InputRejected, VerificationFailed
from videos.models import Rendition, SegmentRun, Video
from videos.states import GenerationState, RenditionKind, VideoState
from videos.usage.reconcile import differences, miscounted_generations

MAX_VIDEOS = 2
MAX_JOBS = 4
RETRY = RetryConfig(
    max_failures=of.MAX_FAILURES,
    poison_attempts=of.POISON_ATTEMPTS,
    retry_base_seconds=10_000,  # time passes only when a rule says so
    retry_max_seconds=10_000,
)
LEASE_SECONDS = 10_000.0
PASSED = "2026-01-01T00:00:00Z"
FACTS = some_facts(seconds=16, audio=False)
FAILURES = (
    Failure(code="encoder_failed", retryable=True),
    Failure(code="storage_refused", retryable=False),
    failure_of(VerificationFailed("a frame is missing")),
    failure_of(InputChanged("another one is there")),
    failure_of(InputRejected("it is none")),
)
BODIES = ({"preset": "fast"}, {"preset": "fast", "priority": 90})
STATES = {"deleting": "deleted"}

which = st.integers(min_value=0, max_value=7)
"""Of those there are, counted from the newest."""


@dataclass(eq=False, slots=True)
class Worker:
    """Whoever has had a claim, and perhaps does not know that it is lost."""

    claim: Claim
    step: of.Step
    started: bool = False
    published: int = 0
    done: bool = False
    """It has reported the end of the step."""


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._transaction = transaction.atomic()
        self._transaction.__enter__()
        self.model = Model()
        self.workers: list[Worker] = []
        self.expired: list[of.Step] = []
        self.client = Client(headers={"Authorization": f"Bearer {a_key()}"})

    def teardown(self) -> None:
        """Whatever happened, all that was accepted comes to an end when nothing goes wrong any more (I1)."""
        try:
            if sys.exc_info()[0] is None:
                self._finish_all()
                owner = default_owner()
                assert (differences(owner), miscounted_generations(owner)) == ([], []), "usage has drifted"
        finally:
            transaction.set_rollback(True)
            self._transaction.__exit__(None, None, None)

    # Clients.

    @initialize(ready=st.booleans())
    def begin_with_a_video(self, ready: bool) -> None:  # noqa: FBT001 - hypothesis passes names
        self.upload(ready=ready)

    @precondition(lambda self: len(self.model.videos) < MAX_VIDEOS)
    @rule(ready=st.booleans())
    def upload(self, ready: bool) -> None:  # noqa: FBT001
        video = a_video(seconds=16, audio=False) if ready else an_uploaded_video()
        self.model.videos.append(of.Video(id=video.id, state="ready" if ready else "uploaded"))

    @precondition(lambda self: len(self.model.jobs) < MAX_JOBS)
    @rule(n=which, key=st.sampled_from([None, "a", "b"]), body=st.sampled_from(BODIES))
    def create(self, n: int, key: str | None, body: dict[str, Any]) -> None:
        video, sent = _pick(self.model.videos, n), json.dumps(body)
        headers = {"Idempotency-Key": key} if key else {}
        answer = self._post(f"/videos/{video.id}/transcode", body, headers)
        before: UUID | None = None

        def expected() -> None:
            nonlocal before
            before = self.model.create(video, key, sent)

        if self._compare(answer, expected, 202) != 202:
            return
        job = UUID(json.loads(answer.content)["id"])
        assert ("Idempotent-Replayed" in answer.headers) == (before is not None)
        if before is not None:
            assert job == before
            return
        self.model.created(of.Job(id=job, video=video, priority=body.get("priority", 50)), key, sent)

    @precondition(lambda self: self.model.jobs)
    @rule(n=which)
    def cancel(self, n: int) -> None:
        job = _pick(self.model.jobs, n)
        self._compare(self._post(f"/jobs/{job.id}/cancel"), lambda: self.model.cancel(job), 200)
        self._look(job)

    @precondition(lambda self: self.model.jobs)
    @rule(n=which, at_once=st.booleans())
    def pause(self, n: int, at_once: bool) -> None:  # noqa: FBT001
        """`at_once`: and resume it."""
        job = _pick(self.model.jobs, n)
        self._compare(self._post(f"/jobs/{job.id}/pause"), lambda: self.model.pause(job), 200)
        self._look(job)
        if at_once:
            self._adopt()
            self._resume(job)

    @precondition(lambda self: self.model.jobs)
    @rule(n=which)
    def resume(self, n: int) -> None:
        resting = [job for job in self.model.jobs if job.state == JobState.PAUSED]
        self._resume(_pick(resting or self.model.jobs, n))

    def _resume(self, job: of.Job) -> None:
        self._compare(self._post(f"/jobs/{job.id}/resume"), lambda: self.model.resume(job), 202)
        self._look(job)

    @precondition(lambda self: self.model.jobs)
    @rule(n=which)
    def retry(self, n: int) -> None:
        job = _pick(self.model.jobs, n)
        self._compare(self._post(f"/jobs/{job.id}/retry"), lambda: self.model.retry(job), 202)
        self._look(job)

    @precondition(lambda self: self.model.jobs)
    @rule(n=which, priority=st.sampled_from([0, 50, 100]))
    def reprioritize(self, n: int, priority: int) -> None:
        job = _pick(self.model.jobs, n)
        answer = self._post(f"/jobs/{job.id}/reprioritize", {"priority": priority})
        self._compare(answer, lambda: self.model.reprioritize(job, priority), 200)
        self._look(job)

    @precondition(lambda self: len(self.model.jobs) > 2)
    @rule(n=which)
    def delete(self, n: int) -> None:
        video = _pick(self.model.videos, n)
        answer = self.client.delete(f"/api/v1/videos/{video.id}")
        self._compare(answer, lambda: self.model.delete(video), 204)

    @precondition(lambda self: len(self.model.jobs) > 1)
    @rule(n=which, with_job=st.booleans())
    def delete_outputs(self, n: int, with_job: bool) -> None:  # noqa: FBT001
        over = [job for job in self.model.jobs if job.over]
        job = _pick(over or self.model.jobs, n)
        answer = self.client.delete(f"/api/v1/jobs/{job.id}{'' if with_job else '/outputs'}")
        self._compare(answer, lambda: self.model.delete_outputs(job, with_job=with_job), 204)
        self._look(job)

    def _look(self, job: of.Job) -> None:
        answer = self.client.get(f"/api/v1/jobs/{job.id}")
        if job.deleted:
            assert answer.status_code == 404
            return
        shown = json.loads(answer.content)
        error = shown["error"]["code"] if shown["error"] else ""
        assert (shown["state"], error, shown["priority"]) == (job.state, job.error, job.priority)

    # Workers.

    @precondition(lambda self: self.model.claimable())
    @rule()
    def claim(self) -> None:
        """Claim a step, which must be a ready one. The model does not say which of them goes first."""
        ready = self.model.claimable()
        claim = claim_or_none(lease_seconds=LEASE_SECONDS)
        assert (claim is None) == (not ready)
        if claim:
            assert claim.step_id in ready
            step = self._step(claim.step_id)
            self.model.claim(step)
            assert (claim.attempt, claim.units_done) == (step.attempt, step.done)
            self.workers.append(Worker(claim=claim, step=step, published=claim.units_done))

    @precondition(lambda self: self._holding())
    @rule(n=which, times=st.integers(min_value=1, max_value=4))
    def work(self, n: int, times: int) -> None:
        """Do the next things of a worker that nothing goes wrong for."""
        worker = _pick(self._holding(), n)
        for _ in range(times):
            self._next(worker)

    @precondition(lambda self: self._zombies())
    @rule(n=which)
    def work_on(self, n: int) -> None:
        """Do the same for a worker that has lost its lease, or has reported the end already."""
        self._next(_pick(self._zombies(), n))

    def _zombies(self) -> list[Worker]:
        return [each for each in self.workers if not self.model.holds(each.step, each.claim.attempt)]

    def _holding(self) -> list[Worker]:
        return [each for each in self.workers if self.model.holds(each.step, each.claim.attempt)]

    def _next(self, worker: Worker) -> None:
        """Begin, publish a segment, say that it is done."""
        if not worker.started:
            self._begin(worker)
        elif worker.claim.kind is StepKind.CHUNK and worker.published < units_of(worker.claim):
            self._publish(worker)
        else:
            self._complete(worker)

    @precondition(lambda self: self.workers)
    @rule(n=which, failure=st.sampled_from(FAILURES), later=st.booleans())
    def fail(self, n: int, failure: Failure, later: bool) -> None:  # noqa: FBT001
        """`later`: the pause before the next attempt is over."""
        worker = _pick(self._holding() or self.workers, n)
        if not worker.done and (failure.retryable or worker.claim.kind is not StepKind.PURGE):
            self._fail(worker, failure, later=later)

    @precondition(lambda self: self.model.claimable())
    @rule(times=st.integers(min_value=2, max_value=3), failure=st.sampled_from([None, FAILURES[0], FAILURES[2]]))
    def go_wrong_again(self, times: int, failure: Failure | None) -> None:
        """Claim a step and let it fail or lose its worker (None), again as soon as it may be claimed."""
        for _ in range(times):
            if self.model.claimable():
                self.claim()
                if failure:
                    self._fail(self.workers[-1], failure, later=True)
                else:
                    self._lease_runs_out(self.workers[-1], noticed=True)
                self._adopt()

    def _fail(self, worker: Worker, failure: Failure, *, later: bool) -> None:
        self._as_worker(
            lambda: step_fail(claim=worker.claim, failure=failure, policy=a_policy(retry=RETRY)),
            lambda: self.model.fail(worker.step, worker.claim.attempt, failure),
        )
        if later:
            self._adopt()
            self._time_passes()
            self._tick()

    @precondition(lambda self: self.workers)
    @rule(n=which, postponed=st.booleans())
    def release(self, n: int, postponed: bool) -> None:  # noqa: FBT001
        worker = _pick(self.workers, n)
        if postponed:
            done = step_postpone(claim=worker.claim, seconds=LEASE_SECONDS, code="busy", detail="")
        else:
            done = step_release(claim=worker.claim)
        to = StepState.DELAYED if postponed else StepState.READY
        assert done == self.model.release(worker.step, worker.claim.attempt, to)

    @precondition(lambda self: self.workers)
    @rule(n=which)
    def renew(self, n: int) -> None:
        worker = _pick(self.workers, n)
        renewed = step_renew(claim=worker.claim, lease_seconds=LEASE_SECONDS)
        assert renewed == self.model.holds(worker.step, worker.claim.attempt)
        if renewed:
            worker.step.leased = True

    # Time, the dispatcher and the janitor.

    @precondition(lambda self: self._holding())
    @rule(n=which, noticed=st.booleans())
    def lease_runs_out(self, n: int, noticed: bool) -> None:  # noqa: FBT001
        """Until somebody takes it back, the worker may still write."""
        self._lease_runs_out(_pick(self._holding(), n), noticed=noticed)

    def _lease_runs_out(self, worker: Worker, *, noticed: bool) -> None:
        expire(worker.claim.step_id)
        worker.step.leased = False
        self.expired = [*(each for each in self.expired if each is not worker.step), worker.step]
        if noticed:
            self._tick()
            self._time_passes()
            self._tick()

    @precondition(lambda self: self.model.waits())
    @rule()
    def time_passes(self) -> None:
        self._time_passes()

    def _time_passes(self) -> None:
        Step.objects.filter(state=StepState.DELAYED).update(not_before=PASSED)
        Step.objects.filter(state=StepState.CANCELLED, lease_expires_at__isnull=False).update(lease_expires_at=PASSED)
        self.model.pass_time()

    @precondition(lambda self: self.expired or self.model.waits())
    @rule()
    def tick(self) -> None:
        self._tick()

    def _tick(self) -> None:
        leases_reclaim(policy=a_policy(retry=RETRY))
        steps_promote()
        progress_events_append()
        self.model.tick(self.expired)
        self.expired = []

    @precondition(lambda self: self.model.collectable())
    @rule()
    def janitor(self) -> None:
        generations_expire(older_than_seconds=0)
        self.model.expire_generations()

    # What holds after every step.

    @invariant()
    def the_rows_are_what_the_model_says(self) -> None:
        rows = self._adopt()
        self._every_segment_is_published_once_by_one_attempt(rows)
        steps = {step.id: step for step in self.model.steps}
        for row in rows:
            step = steps[row.id]
            found = (row.state, row.attempt, row.failures, row.attempts_without_progress, row.units_done)
            assert found == (step.state, step.attempt, step.failures, step.attempts_without_progress, step.done), (
                step.key
            )
        events = _events()
        jobs = {job.id: job for job in self.model.jobs}
        for shown in Job.objects.select_related("generation"):
            job = jobs.pop(shown.id)
            number = shown.generation.number if shown.generation else None
            generation = job.generation
            assert (shown.state, shown.error_code, shown.priority) == (job.state, job.error, job.priority)
            assert number == (generation.number if generation else None)
            assert [kind for kind, _ in events[shown.id] if kind != "job.progress"] == job.events
            assert len(events[shown.id]) == shown.last_event
            if generation and shown.generation:
                assert shown.generation.state == generation.state
                assert job.over or shown.open_steps == self.model.open_steps(generation)
        assert not jobs
        videos = {video.id: video for video in self.model.videos}
        for seen in Video.objects.select_related("current_generation"):
            current = seen.current_generation.number if seen.current_generation else None
            assert (STATES.get(seen.state, seen.state), current) == (videos[seen.id].state, videos[seen.id].current)

    def _every_segment_is_published_once_by_one_attempt(self, rows: Sequence[Step]) -> None:
        """I2 and I6: what is published of a chunk are its first units, each of one attempt, in every rendition."""
        published: dict[tuple[UUID, UUID], list[int]] = {}
        for run in SegmentRun.objects.order_by("first_segment"):
            numbers = range(run.first_segment, run.first_segment + run.segment_count)
            published.setdefault((run.step_id, run.rendition_id), []).extend(numbers)
            assert run.attempt <= self._step(run.step_id).attempt
        expected = {}
        for chunk in rows:
            assert chunk.video
            if not chunk.units_done or chunk.video.state == VideoState.DELETED:  # of which nothing is left
                continue
            if chunk.generation and chunk.generation.state == GenerationState.DELETED:
                continue
            first = chunk.payload["first_segment"]
            for rendition in _renditions(chunk.generation_id):
                expected[chunk.id, rendition] = list(range(first, first + chunk.units_done))
        assert published == expected

    # How it is done.

    def _post(self, path: str, body: object = None, headers: dict[str, str] | None = None) -> HttpResponse:
        return self.client.post(f"/api/v1{path}", json.dumps(body or {}), "application/json", headers=headers)  # type: ignore[return-value]

    def _compare(self, answer: Any, expected: Callable[[], object], status: int) -> int:  # noqa: ANN401 - of the test client
        """Compare a response with the model: it has this status, unless the model refuses. Return the status."""
        try:
            expected()
        except Refused as refused:
            status = refused.status
        assert answer.status_code == status, answer.content
        return status

    def _as_worker(self, does: Callable[[], object], expected: Callable[[], object]) -> bool:
        """Do something under a claim. Whether it was let."""
        try:
            with transaction.atomic():
                does()
            let = True
        except LeaseLost:
            let = False
        try:
            expected()
        except Fenced:
            assert not let, "was let although the lease is lost"
        else:
            assert let, "was not let although the lease is held"
        return let

    def _begin(self, worker: Worker) -> None:
        worker.started = self._as_worker(
            lambda: step_begin(claim=worker.claim), lambda: self.model.begin(worker.step, worker.claim.attempt)
        )

    def _publish(self, worker: Worker) -> None:
        claim, to = worker.claim, worker.published + 1
        first = claim.payload["first_segment"] + worker.published
        prefix = f"{claim.step_id}-a{claim.attempt}/"
        renditions = Rendition.objects.filter(generation=claim.generation_id, kind=RenditionKind.VIDEO)
        runs = [a_run(rendition, first, prefix=prefix) for rendition in renditions]
        if self._as_worker(
            lambda: step_publish(claim=claim, runs=runs, units_done=to),
            lambda: self.model.publish(worker.step, claim.attempt, to),
        ):
            worker.published = to

    def _complete(self, worker: Worker) -> None:
        claim = worker.claim

        def does() -> None:
            match claim.kind:
                case StepKind.INSPECT:
                    policy = job_policy()
                    video_inspected(claim=claim, facts=FACTS, media={}, warnings=[], policy=policy, result={})
                case StepKind.CHUNK:
                    step_complete(claim=claim, result={})
                case StepKind.FINISH:
                    job_complete(claim=claim, verified=[], result={})
                case StepKind.PURGE:
                    video_purged(claim=claim, objects=1)

        let = self._as_worker(does, lambda: self.model.complete(worker.step, claim.attempt))
        worker.done = worker.done or let

    def _step(self, step_id: UUID) -> of.Step:
        return next(step for step in self.model.steps if step.id == step_id)

    def _adopt(self) -> Sequence[Step]:
        """Tell the model's new steps the ids of their rows. Returns all rows."""
        known = {step.id for step in self.model.steps}
        rows = list(Step.objects.select_related("generation", "video"))
        new = [row for row in rows if row.id not in known]
        for step in self.model.steps:
            if step.id is None:
                row = next((row for row in new if _key(row) == step.key), None)
                assert row is not None, f"there is no {step.key}"
                new.remove(row)
                step.id = row.id
        assert not new, f"nobody requested {[_key(row) for row in new]}"
        return rows

    def _finish_all(self) -> None:
        """From here on nothing goes wrong, and what rests goes on."""
        self._adopt()
        for job in self.model.jobs:
            if job.state == JobState.PAUSED:
                self._resume(job)
        for _ in range(100):
            self._adopt()
            self._time_passes()
            self._tick()
            if self.model.claimable():
                self.claim()
            elif not self._holding():
                break
            for worker in self._holding():
                while not worker.done:
                    self._next(worker)
                self._adopt()
        self.the_rows_are_what_the_model_says()
        assert not Job.objects.exclude(state__in=JOB_ENDS).exists(), "a job never ends"
        assert not Step.objects.filter(lease_expires_at__gt=Now(), state=StepState.RUNNING).exists()


def _pick(those: list[Any], n: int) -> Any:  # noqa: ANN401 - whatever they are
    return those[-1 - n % len(those)]


def _key(row: Step) -> tuple[object, ...]:
    number = row.generation.number if row.generation else None
    return (row.kind, row.video_id, number, row.payload.get("prefix", ""), row.ordinal)


def _events() -> dict[UUID | None, list[tuple[str, int]]]:
    """Return the events of each job in the order in which clients get them, which is that of their numbers (I7)."""
    found: dict[UUID | None, list[tuple[str, int]]] = {}
    ids = Counter[int]()
    for event in Event.objects.filter(job_id__isnull=False).order_by("transaction", "id"):
        ids[event.id] += 1
        history = found.setdefault(event.job_id, [])
        history.append((event.type, event.data.get("progress", 0)))
        assert event.seq == len(history)
    for history in found.values():
        progress = [how_far for kind, how_far in history if kind == "job.progress"]
        assert progress == sorted(set(progress)), "progress goes back or repeats itself"
    assert all(count == 1 for count in ids.values())
    return found


@cache
def _renditions(generation: UUID | None) -> tuple[UUID, ...]:
    found = Rendition.objects.filter(generation=generation, kind=RenditionKind.VIDEO)
    return tuple(found.values_list("id", flat=True))


@pytest.fixture
def two_chunks(settings: Settings) -> Iterator[None]:
    """Plan jobs as the model does."""
    config = settings.TRANSCODER
    encode = replace(config.encode, min_chunk_seconds=8, max_chunk_seconds=8)
    settings.TRANSCODER = replace(config, encode=encode)
    job_policy.cache_clear()
    yield
    job_policy.cache_clear()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("two_chunks")
def test_47_the_rows_are_what_the_model_says_whatever_happens(request: pytest.FixtureRequest) -> None:
    examples: int | None = request.config.getoption("--examples")
    quiet = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True)
    short = settings(quiet, max_examples=10, stateful_step_count=40, derandomize=True, phases=[Phase.generate])
    long = settings(quiet, max_examples=examples or 1, stateful_step_count=50)
    run_state_machine_as_test(Machine, settings=long if examples else short)
