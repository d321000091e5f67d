"""The lives of a job and a step as tables. Every statement that moves a row names the states it may come from here."""

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    PAUSED = "paused"
    """Until somebody resumes it, none of its steps is done; players keep what is published."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobPhase(StrEnum):
    """What an unfinished job is doing, for people."""

    INSPECTING = "inspecting"
    WAITING = "waiting"
    """It needs a GPU, and none is there that can encode it."""
    PLANNED = "planned"
    ENCODING = "encoding"
    FINISHING = "finishing"
    PAUSED = "paused"
    ENDED = ""


class StepState(StrEnum):
    """`waiting` for other steps, `delayed` until a time, `ready` to be claimed, `running` under a lease."""

    WAITING = "waiting"
    READY = "ready"
    DELAYED = "delayed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


JOB_MOVES: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.PROCESSING, JobState.PAUSED, JobState.FAILED, JobState.CANCELLED}),
    JobState.PROCESSING: frozenset({JobState.COMPLETED, JobState.PAUSED, JobState.FAILED, JobState.CANCELLED}),
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}
"""Only somebody who asks for a retry brings a job back from an end."""

STEP_MOVES: Mapping[StepState, frozenset[StepState]] = {
    StepState.WAITING: frozenset({StepState.READY, StepState.CANCELLED}),
    StepState.READY: frozenset({StepState.RUNNING, StepState.CANCELLED}),
    StepState.DELAYED: frozenset({StepState.READY, StepState.CANCELLED}),
    StepState.RUNNING: frozenset(
        {StepState.DONE, StepState.READY, StepState.DELAYED, StepState.FAILED, StepState.CANCELLED}
    ),
    StepState.DONE: frozenset(),
    StepState.FAILED: frozenset({StepState.READY, StepState.WAITING}),
    StepState.CANCELLED: frozenset({StepState.READY, StepState.WAITING, StepState.DELAYED}),
}
"""What a retried or resumed job wants done again is ready, or waits: for others, as before, or for a slot it holds."""

JOB_ENDS = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
"""States in which nothing happens to a job by itself, and its work is over."""
JOB_RETRIED = frozenset({JobState.FAILED, JobState.CANCELLED})
"""States that a retry brings a job back from."""
STEP_ENDS = frozenset({StepState.DONE, StepState.FAILED, StepState.CANCELLED})
"""States in which nothing happens to a step by itself."""


def job_sources(to: JobState) -> list[JobState]:
    """States from which a job may move there."""
    return [state for state, moves in JOB_MOVES.items() if to in moves]


def step_sources(to: StepState) -> list[StepState]:
    """States from which a step may move there."""
    return [state for state, moves in STEP_MOVES.items() if to in moves]
