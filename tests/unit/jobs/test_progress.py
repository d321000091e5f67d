from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest

from jobs.rules.progress import Units, encoding_speed, progress_percent, seconds_left
from jobs.rules.transitions import JobState


@pytest.mark.parametrize(
    ("units", "percent"),
    [
        (Units(), 0),
        (Units(0, 10), 0),
        (Units(0, 10, 10, 10), 9),  # 10 % of 99: sound alone is little
        (Units(5, 10, 10, 10), 54),  # (45 + 10) % of 99
        (Units(5, 10), 54),  # no sound counts as done
        (Units(10, 10, 10, 10), 99),  # not proven yet
        (Units(10, 10, 10, 10, 0, 2), 94),  # 100 of 105 parts: two files are still to be made
        (Units(10, 10, 10, 10, 1, 2), 96),
    ],
)
def test_progress_of_a_running_job(units: Units, percent: int) -> None:
    assert progress_percent(JobState.PROCESSING, units) == percent


def test_only_a_completed_job_is_at_100() -> None:
    assert progress_percent(JobState.COMPLETED, Units()) == 100
    assert progress_percent(JobState.FAILED, Units(10, 10, 10, 10)) == 99


def test_speed_is_seconds_of_video_per_second() -> None:
    assert encoding_speed(Units(5, 10), Fraction(40), timedelta(seconds=10)) == 2.0
    assert encoding_speed(Units(0, 10), Fraction(40), timedelta(seconds=10)) is None
    assert encoding_speed(Units(5, 10), Fraction(40), timedelta(0)) is None


def test_time_left_goes_on_as_so_far() -> None:
    assert seconds_left(Units(1, 4), timedelta(seconds=10)) == 30
    assert seconds_left(Units(0, 4), timedelta(seconds=10)) is None


def test_files_that_are_copied_take_a_little_more() -> None:
    assert seconds_left(Units(10, 10, movies_total=2), timedelta(seconds=90)) == 5
    assert seconds_left(Units(10, 10, movies_done=2, movies_total=2), timedelta(seconds=90)) == 0
