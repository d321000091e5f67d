from __future__ import annotations

from jobs.transitions import JOB_ENDS, JOB_MOVES, STEP_ENDS, STEP_MOVES, JobState, StepState, job_sources, step_sources


def test_every_state_has_a_line_in_its_table() -> None:
    assert set(JOB_MOVES) == set(JobState)
    assert set(STEP_MOVES) == set(StepState)


def test_ends_are_the_states_nothing_leaves() -> None:
    assert frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}) == JOB_ENDS
    assert frozenset({StepState.DONE, StepState.FAILED, StepState.CANCELLED}) == STEP_ENDS


def test_every_state_can_be_reached_from_the_first_one() -> None:
    for moves, first in ((JOB_MOVES, {JobState.QUEUED}), (STEP_MOVES, {StepState.WAITING})):
        reached: set[str] = set(first)
        for _ in moves:
            reached |= {state for origin in reached for state in moves[origin]}  # type: ignore[index]
        assert reached == set(moves)


def test_whatever_has_not_ended_can_be_cancelled() -> None:
    assert set(job_sources(JobState.CANCELLED)) == set(JobState) - JOB_ENDS
    assert set(step_sources(StepState.CANCELLED)) == set(StepState) - STEP_ENDS
