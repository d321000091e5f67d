"""The choice of a device: gates, then free memory times idleness, then fewer sessions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu.devices import Reading
from gpu.selection import Candidate, choose, ranked

IDLE = Reading(
    memory_total_mb=16_000,
    memory_used_mb=6_000,
    memory_free_mb=10_000,
    utilization_percent=0,
    encoder_percent=0,
    sessions=0,
)
UNKNOWN = Reading()


def gpu(index: int, reading: Reading = IDLE, /, **overrides: Any) -> Candidate:  # noqa: ANN401 - fields of Candidate or Reading
    """Build an idle device with four free slots; keywords override fields."""
    fields = Reading.__dataclass_fields__
    measured = {name: overrides.pop(name) for name in list(overrides) if name in fields}
    known = {"free_slots": 4, "encoders": frozenset({"h264_nvenc"}), **overrides}
    return Candidate(uuid=f"GPU-{index}", index=index, reading=replace(reading, **measured), **known)


CASES: dict[str, tuple[list[Candidate], int | None]] = {
    # the formula
    "no device": ([], None),
    "one idle device": ([gpu(0)], 0),
    "more free memory, equally idle": ([gpu(0, memory_free_mb=9_000), gpu(1)], 1),
    "equal memory, less busy": ([gpu(0, utilization_percent=30), gpu(1, utilization_percent=29)], 1),
    "memory outweighs idleness: 12000 x 60 > 8000 x 80": (
        [gpu(0, memory_free_mb=8_000, utilization_percent=20), gpu(1, memory_free_mb=12_000, utilization_percent=40)],
        1,
    ),
    "idleness outweighs memory: 12000 x 20 < 8000 x 80": (
        [gpu(0, memory_free_mb=8_000, utilization_percent=20), gpu(1, memory_free_mb=12_000, utilization_percent=80)],
        0,
    ),
    "the best of four": (
        [
            gpu(0, memory_free_mb=4_000),  # 400,000
            gpu(1, memory_free_mb=10_000, utilization_percent=55),  # 450,000
            gpu(2, memory_free_mb=5_000, utilization_percent=9),  # 455,000
            gpu(3, memory_free_mb=16_000, utilization_percent=72),  # 448,000
        ],
        2,
    ),
    # all busy: a GPU at 100 % scores nothing, but its encoder may well be idle
    "one device at 100 %": ([gpu(0, utilization_percent=100)], 0),
    "all at 100 %: fewer sessions": (
        [gpu(0, utilization_percent=100, sessions=2), gpu(1, utilization_percent=100, sessions=1)],
        1,
    ),
    "100 % loses to 99 %, whatever the memory": (
        [gpu(0, utilization_percent=100, memory_free_mb=16_000), gpu(1, utilization_percent=99, memory_free_mb=600)],
        1,
    ),
    "every encoder saturated": ([gpu(0, encoder_percent=100), gpu(1, encoder_percent=95)], None),
    "one encoder not saturated": ([gpu(0, encoder_percent=97), gpu(1, encoder_percent=94, memory_free_mb=700)], 1),
    # all full
    "no slot anywhere": ([gpu(0, free_slots=0), gpu(1, free_slots=0)], None),
    "a slot on the worse device only": ([gpu(0, free_slots=0), gpu(1, memory_free_mb=600)], 1),
    "overbooked, as after a lower cap": ([gpu(0, free_slots=-2)], None),
    "no memory anywhere": ([gpu(0, memory_free_mb=499), gpu(1, memory_free_mb=0)], None),
    "just enough memory": ([gpu(0, memory_free_mb=500)], 0),
    "too little memory on the idle one": (
        [gpu(0, memory_free_mb=499), gpu(1, memory_free_mb=500, utilization_percent=99)],
        1,
    ),
    # ties
    "a tie goes to fewer sessions": ([gpu(0, sessions=3), gpu(1, sessions=2), gpu(2, sessions=4)], 1),
    "a tie goes to fewer of our own, which the driver does not count yet": (
        [gpu(0, sessions=0, used_slots=2), gpu(1, sessions=1)],
        1,
    ),
    "sessions of others count as ours do": ([gpu(0, sessions=3), gpu(1, used_slots=2)], 1),
    "a full tie goes to the lower index": ([gpu(2), gpu(1), gpu(3)], 1),
    "sessions decide ties only": ([gpu(0, sessions=9, memory_free_mb=10_001), gpu(1)], 0),
    # what devices do not say
    "nothing is known": ([gpu(0, UNKNOWN)], 0),
    "unknown memory counts as just enough": ([gpu(0, memory_free_mb=None, memory_used_mb=None), gpu(1)], 1),
    "unknown free memory is total less used": (
        [gpu(0, memory_free_mb=None), gpu(1, memory_free_mb=9_999)],
        0,
    ),
    "total less used is too little": ([gpu(0, memory_free_mb=None, memory_used_mb=15_600)], None),
    "unknown utilisation is a half: worse than 49": (
        [gpu(0, utilization_percent=None), gpu(1, utilization_percent=49)],
        1,
    ),
    "unknown utilisation is a half: better than 51": (
        [gpu(0, utilization_percent=51), gpu(1, utilization_percent=None)],
        1,
    ),
    "unknown encoder load passes": ([gpu(0, encoder_percent=None)], 0),
    "unknown sessions are our own": ([gpu(0, sessions=None, used_slots=2), gpu(1, sessions=1)], 1),
    # lost, set aside, not verified
    "a device that is lost": ([gpu(0, healthy=False)], None),
    "the best one is lost": ([gpu(0, healthy=False), gpu(1, memory_free_mb=600)], 1),
    "nothing usable": ([gpu(0, encoders=frozenset())], None),
    "the best one has everything set aside": ([gpu(0, encoders=frozenset()), gpu(1, utilization_percent=90)], 1),
}


@pytest.mark.parametrize("case", CASES)
def test_the_device_with_the_best_score_is_chosen(case: str) -> None:
    candidates, expected = CASES[case]
    chosen = choose(candidates)
    assert (chosen.index if chosen else None) == expected
    assert choose(list(reversed(candidates))) == chosen


PINNED: dict[str, tuple[list[Candidate], int, int | None]] = {
    "pinned to the worse one": ([gpu(0), gpu(1, utilization_percent=90)], 1, 1),
    "pinned to one that is missing": ([gpu(0), gpu(1)], 7, None),
    "pinned to one that is full": ([gpu(0), gpu(1, free_slots=0)], 1, None),
    "pinned to one that is lost": ([gpu(0), gpu(1, healthy=False)], 1, None),
    "pinned to the first": ([gpu(0, utilization_percent=90), gpu(1)], 0, 0),
    "not pinned": ([gpu(0, utilization_percent=90), gpu(1)], -1, 1),
}


@pytest.mark.parametrize("case", PINNED)
def test_only_the_pinned_index_is_chosen(case: str) -> None:
    candidates, pinned, expected = PINNED[case]
    chosen = choose(candidates, pinned=pinned)
    assert (chosen.index if chosen else None) == expected


def test_the_free_memory_limit_is_configurable() -> None:
    assert choose([gpu(0, memory_free_mb=1_999)], min_free_mb=2_000) is None
    assert choose([gpu(0, memory_free_mb=100)], min_free_mb=0) is not None
    assert choose([gpu(0, UNKNOWN)], min_free_mb=2_000) is not None


def test_eligible_devices_are_ranked() -> None:
    candidates = [gpu(0, utilization_percent=50), gpu(1, free_slots=0), gpu(2, utilization_percent=10), gpu(3)]
    assert [each.index for each in ranked(candidates)] == [3, 2, 0]
