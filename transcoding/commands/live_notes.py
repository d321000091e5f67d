"""Counts of what ffmpeg says about a live stream while it works: `-v level+verbose`, one line at a time."""

import re
import time
from dataclasses import dataclass, field

_ERROR = re.compile(r"^(?:\[[^\]]*\] )*\[error\]|^\[[^\]]*\] \[warning\] Packet corrupt ")
"""An error of a decoder, or a packet that the demuxer leaves out."""
_RESAMPLER = re.compile(r"^\[Parsed_aresample_\d+ @ [^\]]*\] .*\br:(\d{4,6})Hz -> ")
_SILENCE = re.compile(r"^\[Parsed_aresample_\d+ @ [^\]]*\] .*\badding (\d{1,9}) audio samples of silence")
_JUMP = re.compile(r"^\[[^\]]*\] \[warning\] timestamp discontinuity ")
_ONE_JUMP_SECONDS = 1.0
"""Time within which all lines are about one jump: streams cross it one after the other, and back."""


@dataclass(slots=True)
class LiveNotes:
    """Counts of one run. `take` is called in one thread; the counts may be read in any."""

    errors: int = 0
    jumps: int = 0
    """Jumps of the source's clock that were closed. ffmpeg before version 6 does not say so."""
    silence_ms: int = 0
    """Silence in place of audio that was missing, lost or late."""
    _sample_rate: int = 48_000
    _silent_samples: dict[int, int] = field(default_factory=dict)
    _jumped_at: float = float("-inf")

    def take(self, line: str) -> None:
        """Count a line."""
        if _ERROR.match(line):
            self.errors += 1
        elif match := _SILENCE.match(line):
            rate = self._sample_rate
            self._silent_samples[rate] = self._silent_samples.get(rate, 0) + int(match[1])
            self.silence_ms = sum(samples * 1000 // each for each, samples in self._silent_samples.items())
        elif match := _RESAMPLER.match(line):
            self._sample_rate = int(match[1])  # of the source, in whose samples it counts
        elif _JUMP.match(line):
            now = time.monotonic()
            self.jumps += now - self._jumped_at > _ONE_JUMP_SECONDS
            self._jumped_at = now
