from __future__ import annotations

import pytest

from configuration import RankConfig
from jobs.rules.rank import PRIORITY_NAMES, rank_lead_seconds
from jobs.rules.steps import StepKind

POLICY = RankConfig(priority_seconds=60, head_start_seconds=30)


@pytest.mark.parametrize(
    ("priority", "kind", "part", "lead"),
    [
        (0, StepKind.CHUNK, 1, 0),
        (1, StepKind.CHUNK, 1, 60),
        (50, StepKind.CHUNK, 7, 50 * 60),
        (50, StepKind.CHUNK, 0, 50 * 60 + 30),  # the first chunk makes the video playable
        (50, StepKind.AUDIO, 0, 50 * 60 + 30),
        (50, StepKind.INSPECT, 0, 50 * 60 + 30),
        (100, StepKind.FINISH, 0, 100 * 60 + 30),
    ],
)
def test_lead(priority: int, kind: StepKind, part: int, lead: int) -> None:
    assert rank_lead_seconds(priority=priority, kind=kind, part=part, policy=POLICY) == lead


def test_a_waiting_step_overtakes_a_more_urgent_one_in_time() -> None:
    def rank_at(ready_at: int, priority: int) -> int:
        return ready_at - rank_lead_seconds(priority=priority, kind=StepKind.CHUNK, part=1, policy=POLICY)

    assert rank_at(0, priority=50) > rank_at(9 * 60, priority=60)
    assert rank_at(0, priority=50) < rank_at(11 * 60, priority=60)


def test_names_rise() -> None:
    assert PRIORITY_NAMES["low"] < PRIORITY_NAMES["medium"] == RankConfig().default_priority < PRIORITY_NAMES["high"]
