"""A program that hangs is stalled; one that works without output is not, until that has lasted too long."""

from dataclasses import dataclass

import pytest

from execution.stall import StallTimer
from transcoding.errors import ProcessStalled

STALL, SILENT = 20.0, 100.0


@dataclass
class Program:
    """A program and the time that passes around it."""

    now: float = 0.0
    spent: float = 0.0

    def timer(self) -> StallTimer:
        return StallTimer(1, STALL, SILENT, clock=lambda: self.now, processor=lambda _: self.spent)

    def run(self, timer: StallTimer, seconds: float, *, share: float) -> list[bool]:
        """Let it use a share of one core for so long; returns the samples, one a second."""
        found = []
        for _ in range(round(seconds)):
            self.now += 1
            self.spent += share
            found.append(timer.works())
            timer.check("it did nothing")
        return found


def test_a_program_without_output_or_work_is_stalled() -> None:
    program = Program()
    with pytest.raises(ProcessStalled, match=r"it did nothing for 20\.0 s"):
        program.run(program.timer(), STALL + 1, share=0.001)


def test_work_is_activity() -> None:
    program = Program()
    samples = program.run(program.timer(), SILENT - 1, share=0.05)
    assert samples.count(True) == SILENT // (STALL / 4) - 1, "a sample a quarter of the timeout, each of which renews"


def test_work_without_output_ends_some_day() -> None:
    program = Program()
    with pytest.raises(ProcessStalled, match=r"100\.0 s, and used the processor"):
        program.run(program.timer(), SILENT + 1, share=1)


def test_output_begins_both_times_again() -> None:
    program = Program()
    timer = program.timer()
    for _ in range(3):
        program.run(timer, SILENT - 1, share=1)
        timer.reset()
    program.run(timer, STALL - 1, share=0)


def test_time_of_ours_does_not_count() -> None:
    program = Program()
    timer = program.timer()
    program.now += 1000
    timer.extend(1000)
    program.run(timer, STALL - 1, share=0)
