from __future__ import annotations

from jobs.rules.transitions import (
    JOB_ENDS,
    JOB_MOVES,
    STEP_ENDS,
    STEP_MOVES,
    JobState,
    StepState,
    job_sources,
    step_sources,
)


def test_every_state_has_a_line_in_its_table() -> None:
    assert set(JOB_MOVES) == set(JobState)
    assert set(STEP_MOVES) == set(StepState)


def test_only_a_retry_leaves_an_end() -> None:
    assert {end: JOB_MOVES[end] for end in JOB_ENDS} == {
        JobState.COMPLETED: frozenset(),
        JobState.FAILED: {JobState.QUEUED},
        JobState.CANCELLED: {JobState.QUEUED},
    }
    assert {end: STEP_MOVES[end] for end in STEP_ENDS} == {
        StepState.DONE: frozenset(),
        StepState.FAILED: {StepState.READY, StepState.WAITING},
        StepState.CANCELLED: {StepState.READY, StepState.WAITING, StepState.DELAYED},
    }


def test_whatever_is_no_end_leads_to_one() -> None:
    for moves, ends in ((JOB_MOVES, JOB_ENDS), (STEP_MOVES, STEP_ENDS)):
        assert all(moves[state] for state in set(moves) - ends)  # type: ignore[index]
        at_work = set(moves) - ends - {JobState.PAUSED}
        assert not any(moves[state] & {"queued", "waiting"} for state in at_work)  # type: ignore[index]


def test_every_state_can_be_reached_from_the_first_one() -> None:
    for moves, first in ((JOB_MOVES, {JobState.QUEUED}), (STEP_MOVES, {StepState.WAITING})):
        reached: set[str] = set(first)
        for _ in moves:
            reached |= {state for origin in reached for state in moves[origin]}  # type: ignore[index]
        assert reached == set(moves)


def test_whatever_has_not_ended_can_be_cancelled() -> None:
    assert set(job_sources(JobState.CANCELLED)) == set(JobState) - JOB_ENDS
    assert set(step_sources(StepState.CANCELLED)) == set(StepState) - STEP_ENDS
