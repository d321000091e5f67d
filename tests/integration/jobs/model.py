"""The promised behaviour of jobs, without rows, clocks or locks. test_model.py compares the system with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from jobs.rules.retry import INCURABLE, POISON, Failure
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JOB_ENDS, STEP_ENDS, JobState, StepState
from storage.errors import StorageRefused
from storage.keys import generation_prefix, video_prefix
from transcoding.errors import VerificationFailed

MAX_FAILURES = 2
POISON_ATTEMPTS = 2
CHUNKS = 2
"""Of every job, with two segments each."""
LOST = Failure(code="worker_lost", retryable=True, lost=True)


class Fenced(Exception):
    """The worker's lease is lost."""


class Refused(Exception):
    """The response to the client has this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(eq=False, kw_only=True)
class Video:
    id: UUID
    state: str
    current: int | None = None
    """The number of the generation that players get."""
    generations: int = 0


@dataclass(eq=False, kw_only=True)
class Generation:
    video: Video
    job: Job
    number: int
    state: str = "building"

    @property
    def prefix(self) -> str:
        return generation_prefix(self.video.id, self.number)


@dataclass(eq=False, kw_only=True)
class Job:
    id: UUID
    video: Video
    priority: int
    state: JobState = JobState.QUEUED
    error: str = ""
    generation: Generation | None = None
    events: list[str] = field(default_factory=lambda: ["job.queued"])
    deleted: bool = False

    @property
    def over(self) -> bool:
        return self.state in JOB_ENDS


@dataclass(eq=False, kw_only=True)
class Step:
    kind: StepKind
    video: Video
    job: Job | None = None
    generation: Generation | None = None
    prefix: str = ""
    ordinal: int = 0
    state: StepState = StepState.READY
    attempt: int = 0
    failures: int = 0
    attempts_without_progress: int = 0
    done: int = 0
    leased: bool = False
    """The lease of its last attempt has not expired, though the attempt may be cancelled."""
    due: bool = False
    """The time that it was delayed for is over."""
    id: UUID | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Identify the step before its row is known."""
        number = self.generation.number if self.generation else None
        return (self.kind, self.video.id, number, self.prefix, self.ordinal)


class Model:
    def __init__(self) -> None:
        self.videos: list[Video] = []
        self.jobs: list[Job] = []
        self.steps: list[Step] = []
        self.generations: list[Generation] = []
        self.answers: dict[str, tuple[tuple[UUID, object], UUID]] = {}
        """By idempotency key: the request, and the job that it created."""

    # Clients.

    def create(self, video: Video, key: str | None, body: object) -> UUID | None:
        """Return the job of the request that this one repeats. None: a new one is created."""
        if key and key in self.answers:
            request, job = self.answers[key]
            if request != (video.id, body):
                raise Refused(422)
            return job
        if video.state == "deleted":
            raise Refused(404)
        if video.state == "rejected":
            raise Refused(422)
        return None

    def created(self, job: Job, key: str | None, body: object) -> None:
        self.jobs.append(job)
        if key:
            self.answers[key] = ((job.video.id, body), job.id)
        self._plan_or_inspect(job)

    def cancel(self, job: Job) -> None:
        _refuse_deleted(job)
        if job.over:
            raise Refused(409)
        self._end(job, JobState.CANCELLED, "")

    def pause(self, job: Job) -> None:
        _refuse_deleted(job)
        if job.over or job.state == JobState.PAUSED:
            raise Refused(409)
        job.state = JobState.PAUSED
        job.events.append("job.paused")
        self._cancel(step for step in self.steps if step.job is job)

    def resume(self, job: Job) -> None:
        _refuse_deleted(job)
        if job.state != JobState.PAUSED:
            raise Refused(409)
        self._resume(job, "job.resumed")

    def retry(self, job: Job) -> None:
        _refuse_deleted(job)
        if job.state not in (JobState.FAILED, JobState.CANCELLED) or job.video.state == "deleted":
            raise Refused(409)
        if job.video.state == "rejected" or (job.generation and job.error in INCURABLE):
            raise Refused(422)
        self._resume(job, "job.retried")

    def _resume(self, job: Job, event: str) -> None:
        resumed = job.generation is not None and self._resumes(job.generation)
        job.state, job.error = JobState.QUEUED, ""
        job.events.append(event)
        if resumed and job.generation:
            job.generation.state = "building"
            self._reopen(job.generation)
        else:
            job.generation = None
            self._plan_or_inspect(job)

    def reprioritize(self, job: Job, priority: int) -> None:
        _refuse_deleted(job)
        if job.over:
            raise Refused(409)
        if job.priority != priority:
            job.events.append("job.reprioritized")
        job.priority = priority

    def delete(self, video: Video) -> None:
        if video.state == "deleted":
            raise Refused(404)
        for job in self._open_jobs(video):
            self._end(job, JobState.CANCELLED, "")
        self._cancel(step for step in self.steps if step.video is video and step.kind is StepKind.INSPECT)
        video.state, video.current = "deleted", None
        self._purge(video, video_prefix(video.id))

    def delete_outputs(self, job: Job, *, with_job: bool) -> None:
        _refuse_deleted(job)
        if not job.over:
            raise Refused(409)
        gone = [each for each in self.generations if each.job is job and each.state != "deleted"]
        for generation in gone:
            generation.state = "deleted"
            if not self._is_purged(generation.prefix):
                self._purge(job.video, generation.prefix)
            if job.video.current == generation.number:
                job.video.current = max(self._complete(job.video), default=None)
        job.deleted = with_job
        if with_job or gone:
            job.events.append("job.deleted" if with_job else "job.outputs_deleted")

    # Workers.

    def claimable(self) -> set[UUID | None]:
        return {step.id for step in self.steps if step.state == StepState.READY}

    def waits(self) -> bool:
        """Return True if something changes with time."""
        cancelled = any(step.state == StepState.CANCELLED and step.leased for step in self.steps)
        return cancelled or any(step.state == StepState.DELAYED for step in self.steps)

    def claim(self, step: Step) -> None:
        step.state, step.leased = StepState.RUNNING, True
        step.attempt += 1
        step.attempts_without_progress += 1

    def holds(self, step: Step, attempt: int) -> bool:
        return step.state == StepState.RUNNING and step.attempt == attempt

    def begin(self, step: Step, attempt: int) -> None:
        self._fence(step, attempt)
        if step.job and step.job.state == JobState.QUEUED:
            step.job.state = JobState.PROCESSING
            step.job.events.append("job.started")

    def publish(self, step: Step, attempt: int, done: int) -> None:
        self._fence(step, attempt)
        step.done, step.attempts_without_progress = done, 0

    def complete(self, step: Step, attempt: int) -> None:
        if step.state == StepState.DONE and step.attempt == attempt:
            return  # reported twice
        self._fence(step, attempt)
        self._close(step, StepState.DONE)
        match step.kind:
            case StepKind.INSPECT:
                step.video.state = "ready"
                for job in self._open_jobs(step.video):
                    if job.state != JobState.PAUSED:
                        self._plan(job)
            case StepKind.CHUNK if step.generation and not self.open_steps(step.generation):
                self._finish_of(step.generation).state = StepState.READY
            case StepKind.FINISH if step.job and step.generation:
                step.generation.state = "complete"
                step.video.current = max(step.video.current or 0, step.generation.number)
                step.job.state = JobState.COMPLETED
                step.job.events.append("job.completed")

    def fail(self, step: Step, attempt: int, failure: Failure) -> None:
        self._fence(step, attempt)
        self._end_attempt(step, failure)

    def release(self, step: Step, attempt: int, to: StepState) -> bool:
        """Released or postponed, uncharged. False: the lease was lost."""
        if not self.holds(step, attempt):
            return False
        self._put_back(step, to)
        step.attempts_without_progress = max(step.attempts_without_progress - 1, 0)
        return True

    # Those who look after all.

    def tick(self, expired: list[Step]) -> None:
        """The dispatcher's: reclaim leases that ran out, in this order, and promote what is due."""
        for step in expired:
            if step.state == StepState.RUNNING and not step.leased:
                self._end_attempt(step, LOST)
        for step in self.steps:
            if step.state == StepState.DELAYED and step.due:
                step.state, step.due = StepState.READY, False

    def pass_time(self) -> None:
        """Nothing that is delayed need wait any longer, and no cancelled attempt can still write."""
        for step in self.steps:
            step.due = step.due or step.state == StepState.DELAYED
            step.leased = step.leased and step.state != StepState.CANCELLED

    def expire_generations(self) -> None:
        """The janitor's: what ended jobs lost goes, once."""
        for generation in self.collectable():
            self._purge(generation.video, generation.prefix)

    # What follows from what.

    def collectable(self) -> list[Generation]:
        lost = [
            generation for generation in self.generations if generation.state == "abandoned" and generation.job.over
        ]
        return [generation for generation in lost if not self._is_purged(generation.prefix)]

    def open_steps(self, generation: Generation) -> int:
        """Count the steps that `finish` waits for."""
        chunks = [step for step in self._of(generation) if step.kind is StepKind.CHUNK]
        return sum(step.state != StepState.DONE for step in chunks)

    def _fence(self, step: Step, attempt: int) -> None:
        if not self.holds(step, attempt):
            raise Fenced

    def _of(self, generation: Generation) -> list[Step]:
        return [step for step in self.steps if step.generation is generation]

    def _complete(self, video: Video) -> list[int]:
        return [each.number for each in self.generations if each.video is video and each.state == "complete"]

    def _finish_of(self, generation: Generation) -> Step:
        (finish,) = (step for step in self._of(generation) if step.kind is StepKind.FINISH)
        return finish

    def _open_jobs(self, video: Video) -> list[Job]:
        """In the order in which they are locked."""
        return sorted((job for job in self.jobs if job.video is video and not job.over), key=lambda job: job.id)

    def _plan_or_inspect(self, job: Job) -> None:
        if job.video.state == "ready":
            self._plan(job)
        elif not any(step.video is job.video and step.kind is StepKind.INSPECT and _open(step) for step in self.steps):
            self.steps.append(Step(kind=StepKind.INSPECT, video=job.video))

    def _plan(self, job: Job) -> None:
        job.video.generations += 1
        planned = Generation(video=job.video, job=job, number=job.video.generations)
        self.generations.append(planned)
        job.generation = planned
        job.events.append("job.planned")
        for ordinal in range(CHUNKS):
            chunk = Step(kind=StepKind.CHUNK, video=job.video, job=job, generation=planned, ordinal=ordinal)
            self.steps.append(chunk)
        finish = Step(kind=StepKind.FINISH, video=job.video, job=job, generation=planned, state=StepState.WAITING)
        self.steps.append(finish)

    def _end_attempt(self, step: Step, failure: Failure) -> None:
        forgiving = step.kind is StepKind.PURGE
        if failure.lost and (forgiving or step.attempts_without_progress < POISON_ATTEMPTS):
            self._put_back(step, StepState.DELAYED if step.attempts_without_progress > 1 else StepState.READY)
        elif not failure.lost and (forgiving or (failure.retryable and step.failures + 1 < MAX_FAILURES)):
            step.failures += 1
            self._put_back(step, StepState.DELAYED)
        else:
            self._give_up(step, failure)

    def _give_up(self, step: Step, failure: Failure) -> None:
        self._close(step, StepState.FAILED)
        code = POISON if failure.lost else failure.code
        inspects = step.kind is StepKind.INSPECT
        blamed = failure.input_at_fault or (failure.lost and inspects)
        if blamed and step.video.current is None and step.video.state in ("uploaded", "ready"):
            for job in self._open_jobs(step.video):
                self._end(job, JobState.FAILED, code)
            step.video.state = "rejected"
            self._purge(step.video, video_prefix(step.video.id))
        elif step.kind is not StepKind.PURGE:
            refused = failure.code == StorageRefused.code  # an operator may correct keys, rights or a clock
            self._jobs_fail(step, code, keep=failure.retryable or failure.lost or refused)

    def _jobs_fail(self, step: Step, code: str, *, keep: bool) -> None:
        for job in [step.job] if step.job else self._open_jobs(step.video):
            self._end(job, JobState.FAILED, code)
            if job.generation and not keep:
                self._purge(job.video, job.generation.prefix)

    def _end(self, job: Job, state: JobState, code: str) -> None:
        job.state, job.error = state, code
        job.events.append(f"job.{state}")
        self._cancel(step for step in self.steps if step.job is job)
        if job.generation:
            job.generation.state = "abandoned"

    def _cancel(self, steps: Iterator[Step]) -> None:
        for step in steps:
            if _open(step):
                step.state, step.due = StepState.CANCELLED, False

    def _resumes(self, generation: Generation) -> bool:
        """Return True if an abandoned generation can grow again. Its purge is cancelled then."""
        if generation.state == "deleted":
            return False
        finish = self._finish_of(generation)
        if finish.state == StepState.FAILED and generation.job.error == VerificationFailed.code:
            self._purge(generation.video, generation.prefix)
            return False
        purges = [step for step in self.steps if step.prefix == generation.prefix]
        self._cancel(step for step in purges if step.attempt == 0)
        return all(step.state == StepState.CANCELLED for step in purges)

    def _reopen(self, generation: Generation) -> None:
        for step in self._of(generation):
            if step.state != StepState.DONE:
                step.failures = step.attempts_without_progress = 0
                step.state = StepState.READY if step.kind is StepKind.CHUNK else StepState.WAITING
        if not self.open_steps(generation):
            self._finish_of(generation).state = StepState.READY

    def _purge(self, video: Video, prefix: str) -> None:
        writing = any(step.video is video and step.state == StepState.CANCELLED and step.leased for step in self.steps)
        state = StepState.DELAYED if writing else StepState.READY
        self.steps.append(Step(kind=StepKind.PURGE, video=video, prefix=prefix, state=state))

    def _is_purged(self, prefix: str) -> bool:
        return any(step.prefix == prefix and step.state != StepState.CANCELLED for step in self.steps)

    def _put_back(self, step: Step, to: StepState) -> None:
        step.state, step.leased = to, False

    def _close(self, step: Step, state: StepState) -> None:
        step.state, step.leased = state, False


def _refuse_deleted(job: Job) -> None:
    if job.deleted:
        raise Refused(404)


def _open(step: Step) -> bool:
    return step.state not in STEP_ENDS
