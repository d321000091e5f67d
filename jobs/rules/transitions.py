"""States of jobs and steps, and the moves between them. Every statement that moves a row takes its sources here."""

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    PAUSED = "paused"
    """None of its steps runs until it is resumed; published segments can be played."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobPhase(StrEnum):
    """The activity of an unfinished job, for display."""

    INSPECTING = "inspecting"
    WAITING = "waiting"
    """It requires a GPU, and no live one can encode it; or its owner has too much open work."""
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
"""Moves of a job. Only a requested retry leads out of an end."""

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
"""Moves of a step. A retry or resumption makes ended steps ready, waiting, or delayed until their slots are free."""

JOB_ENDS = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
"""States in which a job's work is over."""
JOB_RETRIED = frozenset({JobState.FAILED, JobState.CANCELLED})
"""States that a retry brings a job back from."""
STEP_ENDS = frozenset({StepState.DONE, StepState.FAILED, StepState.CANCELLED})
"""States in which a step's work is over."""


def job_sources(to: JobState) -> list[JobState]:
    """List the states from which a job may move to this one."""
    return [state for state, moves in JOB_MOVES.items() if to in moves]


def step_sources(to: StepState) -> list[StepState]:
    """List the states from which a step may move to this one."""
    return [state for state, moves in STEP_MOVES.items() if to in moves]
