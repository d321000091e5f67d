"""The processor time of an inspection: of the worker, and of every program that it starts."""

import subprocess
import time
from dataclasses import replace

import pytest

from execution.budget import InspectionBudget
from execution.guard import Limits
from execution.process import kill_and_wait, spawn
from transcoding.errors import ResourceExceeded

LIMITS = Limits(memory_bytes=1 << 30, file_bytes=1, output_bytes=1, cpu_seconds=1000, processes=10)


def _check_until_over(budget: InspectionBudget) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        budget.check()


def test_programs_count_also_those_that_have_ended() -> None:
    budget = InspectionBudget(2, spent=lambda: 0.0)
    for _ in range(2):
        with spawn(["sh", "-c", "while :; do :; done"], stderr=subprocess.DEVNULL) as program:
            budget.watch(program.pid)
            with pytest.raises(ResourceExceeded, match="more than 2 s of processor time"):
                _check_until_over(budget)
            kill_and_wait(program)
    assert budget.limits(LIMITS).cpu_seconds == 1


def test_the_next_program_gets_what_is_left_and_little_memory() -> None:
    used = 0.0
    budget = InspectionBudget(60, memory_bytes=5, spent=lambda: used)
    assert (budget.limits(LIMITS).cpu_seconds, budget.limits(LIMITS).data_bytes) == (60, 5)
    used = 45.0
    assert budget.limits(LIMITS).cpu_seconds == 15
    budget.grant_copy(200 << 20)
    assert budget.limits(LIMITS).cpu_seconds == 25


def test_copies_have_so_many_bytes_together_and_the_first_get_time() -> None:
    size = 1 << 30
    budget = InspectionBudget(60, spent=lambda: 0.0)
    for number in range(5):
        budget.grant_copy(size)
        assert budget.limits(replace(LIMITS, cpu_seconds=1000)).cpu_seconds == 60 + 51 * min(number + 1, 4)
    allowed = budget.room_for_copies(size)
    assert 4 * size < allowed < 4.2 * size
    for _ in range(4):
        budget.copied(size)
    assert budget.room_for_copies(size) == allowed - 4 * size
    with pytest.raises(ResourceExceeded, match=f"the copies of the file's streams have more than {allowed} bytes"):
        budget.copied(size)
