from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest

from jobs.rules.progress import UnitCount, Units, encoded_fraction, encoding_speed, progress_percent, seconds_left
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JobState


def counts(**units: tuple[int, int]) -> Units:
    """Units done and planned, by the name of the kind."""
    return {StepKind(kind): UnitCount(*count) for kind, count in units.items()}


@pytest.mark.parametrize(
    ("units", "percent"),
    [
        (counts(), 0),
        (counts(chunk=(0, 10), audio=(0, 10)), 0),
        (counts(chunk=(0, 10), audio=(10, 10)), 9),  # 10 % of 99: audio alone is little
        (counts(chunk=(5, 10), audio=(10, 10)), 54),  # (45 + 10) % of 99
        (counts(chunk=(5, 10)), 49),  # without audio the video is all there is
        (counts(chunk=(10, 10), audio=(10, 10)), 99),  # not verified yet
        (counts(chunk=(10, 10), audio=(10, 10), remux=(0, 2)), 94),  # 100 of 105 parts: two files are still to be made
        (counts(chunk=(10, 10), audio=(10, 10), remux=(1, 2)), 96),
    ],
)
def test_progress_of_a_running_job(units: Units, percent: int) -> None:
    assert progress_percent(JobState.PROCESSING, units) == percent


def test_only_a_completed_job_is_at_100() -> None:
    assert progress_percent(JobState.COMPLETED, {}) == 100
    assert progress_percent(JobState.FAILED, counts(chunk=(10, 10), audio=(10, 10))) == 99


def test_only_video_that_was_not_there_before_was_encoded() -> None:
    assert encoded_fraction(counts(chunk=(5, 10), audio=(10, 10)), reused=0) == Fraction(1, 2)
    assert encoded_fraction(counts(chunk=(5, 10)), reused=3) == Fraction(1, 5)
    assert encoded_fraction(counts(chunk=(2, 10)), reused=3) == 0


def test_speed_is_seconds_of_video_per_second() -> None:
    assert encoding_speed(Fraction(1, 2), Fraction(40), timedelta(seconds=10)) == 2.0
    assert encoding_speed(Fraction(0), Fraction(40), timedelta(seconds=10)) is None
    assert encoding_speed(Fraction(1, 2), Fraction(40), timedelta(0)) is None


def _left(units: Units, *, seconds: int) -> int | None:
    return seconds_left(units, encoded_fraction(units, reused=0), timedelta(seconds=seconds))


def test_time_left_goes_on_as_so_far() -> None:
    assert _left(counts(chunk=(1, 4)), seconds=10) == 30
    assert _left(counts(chunk=(1, 4), audio=(0, 4)), seconds=10) == 30  # audio is done long before
    assert _left(counts(chunk=(0, 4)), seconds=10) is None


def test_files_that_are_copied_take_a_little_more() -> None:
    assert _left(counts(chunk=(10, 10), remux=(0, 2)), seconds=90) == 5
    assert _left(counts(chunk=(10, 10), remux=(2, 2)), seconds=90) == 0


def test_audio_sets_the_pace_where_there_is_no_video() -> None:
    assert encoded_fraction(counts(audio=(5, 10)), reused=0) == Fraction(1, 2)
    assert encoded_fraction(counts(audio=(5, 10), remux=(0, 1)), reused=3) == Fraction(1, 5)
    assert progress_percent(JobState.PROCESSING, counts(audio=(5, 10))) == 49
    assert _left(counts(audio=(1, 4)), seconds=10) == 30
    assert _left(counts(audio=(2, 4), remux=(0, 1)), seconds=10) == 20  # the file is half as much work again
    assert _left(counts(audio=(0, 4)), seconds=10) is None
