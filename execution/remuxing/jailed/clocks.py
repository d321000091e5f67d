"""The clock of the audio that is encoded: it counts samples, and follows the source's times only where it must.

Positions are in samples of the output. Time stamps of receivers jitter, are missing or repeat, and each frame that was
lost leaves a hole; encoders and players need samples without either.
"""

from dataclasses import dataclass

RATE = 48_000
"""Samples per second of the output."""
MAX_DRIFT = RATE * 60 // 1000
"""Difference that is corrected at once."""
MAX_JITTER = RATE * 10 // 1000
"""Difference that is never corrected: time stamps are not more exact."""
LASTING_FRAMES = 16
"""Frames in a row that must be off in the same direction before a difference between the two is corrected."""
_ROUNDING = RATE * 2 // 1000
"""Inexactness of time stamps in whole milliseconds, on both ends of a gap."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Corrections before a frame."""

    silence: int = 0
    """Samples of silence to insert before it."""
    skip: int = 0
    """Samples to leave out at its beginning."""


class SampleClock:
    """Position of the next sample of the output."""

    def __init__(self) -> None:
        self.position: int | None = None
        """None until the first frame."""
        self.drift = 0
        """Samples by which the source was ahead at the last frame, before any correction."""
        self._last: tuple[int, int] | None = None
        self._lasting: list[int] = []
        self._overlaps = False
        """The last frame lay before the position as a whole."""

    def start(self, position: int) -> None:
        """Set the position of the first sample."""
        self.position = position

    def advance(self, samples: int) -> None:
        """Count samples that were written."""
        self.position = (self.position or 0) + samples

    def align(self, claimed: int | None, samples: int) -> Alignment:
        """Compare the position that a frame of so many samples claims with ours; None: it claims none."""
        if claimed is None:
            return Alignment()
        if self.position is None:
            self.position = claimed
        last, self._last = self._last, (claimed, samples)
        self.drift = claimed - self.position
        correction = self._correction(self.drift, last, claimed, samples)
        if correction:
            self._lasting.clear()
        self._overlaps = samples <= -correction
        return Alignment(silence=max(0, correction), skip=min(samples, max(0, -correction)))

    def _correction(self, drift: int, last: tuple[int, int] | None, claimed: int, samples: int) -> int:
        if abs(drift) >= MAX_DRIFT or (self._overlaps and drift < 0):
            return drift
        if abs(drift) < MAX_JITTER:
            self._lasting.clear()
            return 0
        if last is not None and _lost_frames(claimed - sum(last), samples) and drift > 0:
            return drift
        if self._lasting and (self._lasting[0] > 0) != (drift > 0):
            self._lasting.clear()
        self._lasting.append(drift)
        return min(self._lasting, key=abs) if len(self._lasting) >= LASTING_FRAMES else 0


def _lost_frames(gap: int, samples: int) -> bool:
    """Tell whether a gap between two frames is that of whole frames that were lost."""
    frames = round(gap / samples) if samples else 0
    return frames > 0 and abs(gap - frames * samples) <= _ROUNDING
