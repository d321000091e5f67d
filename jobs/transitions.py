"""The lives of a job and a step as tables. Every statement that moves a row names the states it may come from here."""

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobPhase(StrEnum):
    """What an unfinished job is doing, for people."""

    INSPECTING = "inspecting"
    PLANNED = "planned"
    ENCODING = "encoding"
    FINISHING = "finishing"
    ENDED = ""


class StepKind(StrEnum):
    """What a step does. `inspect` and `purge` belong to a video, the others to a job."""

    INSPECT = "inspect"
    AUDIO = "audio"
    CHUNK = "chunk"
    REMUX = "remux"
    FINISH = "finish"
    PURGE = "purge"


AFTER_ENCODING = (StepKind.REMUX, StepKind.FINISH)
"""What waits until everything of a job is encoded, one stage after the other."""


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
    JobState.QUEUED: frozenset({JobState.PROCESSING, JobState.FAILED, JobState.CANCELLED}),
    JobState.PROCESSING: frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

STEP_MOVES: Mapping[StepState, frozenset[StepState]] = {
    StepState.WAITING: frozenset({StepState.READY, StepState.CANCELLED}),
    StepState.READY: frozenset({StepState.RUNNING, StepState.CANCELLED}),
    StepState.DELAYED: frozenset({StepState.READY, StepState.CANCELLED}),
    StepState.RUNNING: frozenset(
        {StepState.DONE, StepState.READY, StepState.DELAYED, StepState.FAILED, StepState.CANCELLED}
    ),
    StepState.DONE: frozenset(),
    StepState.FAILED: frozenset(),
    StepState.CANCELLED: frozenset(),
}

JOB_ENDS = frozenset(state for state, moves in JOB_MOVES.items() if not moves)
STEP_ENDS = frozenset(state for state, moves in STEP_MOVES.items() if not moves)


def job_sources(to: JobState) -> list[JobState]:
    """States from which a job may move there."""
    return [state for state, moves in JOB_MOVES.items() if to in moves]


def step_sources(to: StepState) -> list[StepState]:
    """States from which a step may move there."""
    return [state for state, moves in STEP_MOVES.items() if to in moves]
