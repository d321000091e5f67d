"""How far a job is, as arithmetic over published segments."""

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from jobs.rules.transitions import JobState

PICTURE_SHARE = 90
SOUND_SHARE = 10
"""Sound encodes some forty times faster than pictures, so its segments say little about the time that is left."""
MOVIE_SHARE = 5
"""Progressive files are copied, not encoded."""
_BEFORE_THE_END = 99


@dataclass(frozen=True, slots=True)
class Units:
    """Published and planned segments of a job's chunks and of its sound, and its progressive files made and planned.

    `chunks_kept` were there before it started.
    """

    chunks_done: int = 0
    chunks_total: int = 0
    audio_done: int = 0
    audio_total: int = 0
    movies_done: int = 0
    movies_total: int = 0
    chunks_kept: int = 0

    @property
    def picture_fraction(self) -> Fraction:
        """Share of the video whose pictures are encoded."""
        return Fraction(self.chunks_done, self.chunks_total) if self.chunks_total else Fraction(0)

    @property
    def encoded_fraction(self) -> Fraction:
        """Share of the video whose pictures were encoded since the job started, or was retried."""
        new = max(0, self.chunks_done - self.chunks_kept)
        return Fraction(new, self.chunks_total) if self.chunks_total else Fraction(0)


def progress_percent(state: JobState, units: Units) -> int:
    """Whole per cent, 100 only for a completed job; goes back only where a retry has to begin anew."""
    if state is JobState.COMPLETED:
        return 100
    if not units.chunks_total:
        return 0
    shares = [(PICTURE_SHARE, units.picture_fraction), (SOUND_SHARE, _part(units.audio_done, units.audio_total))]
    if units.movies_total:
        shares.append((MOVIE_SHARE, _part(units.movies_done, units.movies_total)))
    done = sum(share * part for share, part in shares) / sum(share for share, _ in shares)
    return int(done * _BEFORE_THE_END) if units.chunks_done or units.audio_done else 0


def _part(done: int, total: int) -> Fraction:
    """How much of something is done; of nothing, all."""
    return Fraction(done, total) if total else Fraction(1)


def encoding_speed(units: Units, duration_seconds: Fraction, elapsed: timedelta) -> float | None:
    """Seconds of video encoded per second since the job started, or None as long as there is nothing to tell."""
    if not units.encoded_fraction or elapsed <= timedelta(0):
        return None
    return round(float(units.encoded_fraction * duration_seconds) / elapsed.total_seconds(), 3)


def seconds_left(units: Units, elapsed: timedelta) -> int | None:
    """How long it takes if it goes on as so far, or None as long as there is nothing to tell."""
    left, encoded = PICTURE_SHARE * (1 - units.picture_fraction), PICTURE_SHARE * units.encoded_fraction
    if units.movies_total:
        left += MOVIE_SHARE * (1 - _part(units.movies_done, units.movies_total))
    return round(elapsed.total_seconds() * float(left / encoded)) if encoded else None
