"""Progress, speed and time left of a job, from the units that its steps have done and the weights of their kinds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from jobs.rules.steps import STEPS, Stage, StepKind, Unit
from jobs.rules.transitions import JobState

_BEFORE_THE_END = 99


@dataclass(frozen=True, slots=True)
class UnitCount:
    """Units done and planned, of all steps of one kind together."""

    done: int
    total: int

    @property
    def fraction(self) -> Fraction:
        """The share that is done, from 0 to 1."""
        return Fraction(self.done, self.total)


Units = Mapping[StepKind, UnitCount]
"""The counts of a job's steps; a kind without units is left out."""


def progress_percent(state: JobState, units: Units) -> int:
    """Return the progress in per cent: 100 only for a completed job. It falls only where a retry has to start again."""
    if state is JobState.COMPLETED:
        return 100
    weights = sum(STEPS[kind].weight for kind in units)
    done = sum(STEPS[kind].weight * count.fraction for kind, count in units.items())
    return int(done / weights * _BEFORE_THE_END) if weights else 0


def encoded_fraction(units: Units, *, reused: int) -> Fraction:
    """Return the share of the video, 0 to 1, that was encoded since the job started or was retried.

    `reused` is the number of segments that an earlier try had published.
    """
    counts = [units[kind] for kind in _pacing(units)]
    new, total = sum(count.done for count in counts) - reused, sum(count.total for count in counts)
    return Fraction(max(0, new), total) if total else Fraction(0)


def encoding_speed(encoded: Fraction, duration_seconds: Fraction, elapsed: timedelta) -> float | None:
    """Return seconds of video encoded per second, from the share encoded so far; None before anything was."""
    if not encoded or elapsed <= timedelta(0):
        return None
    return round(float(encoded * duration_seconds) / elapsed.total_seconds(), 3)


def seconds_left(units: Units, encoded: Fraction, elapsed: timedelta) -> int | None:
    """Return the seconds that the rest takes at the pace so far; None before anything was encoded.

    Steps of the encode stage that do not set the pace, like audio beside video, are done before the others and do not
    count.
    """
    pacing = _pacing(units)
    counted = {kind: count for kind, count in units.items() if kind in pacing or STEPS[kind].stage is not Stage.ENCODE}
    left = sum(STEPS[kind].weight * (1 - count.fraction) for kind, count in counted.items())
    paced = encoded * sum(STEPS[kind].weight for kind in pacing)
    return round(elapsed.total_seconds() * float(left / paced)) if paced else None


def _pacing(units: Units) -> Collection[StepKind]:
    """Name the kinds that the speed of a job is read from: the measured ones, or else whatever publishes segments."""
    measured = [kind for kind in units if STEPS[kind].measured]
    return measured or [kind for kind in units if STEPS[kind].unit is Unit.SEGMENT]
