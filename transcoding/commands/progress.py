"""ffmpeg's `-progress` output as events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_MAX_DIGITS = 18
"""Of a number of frames: int() refuses thousands, and a database more than 19."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a run: frames written so far, and whether this was the last report."""

    frame: int
    ended: bool


def parse_progress(lines: Iterable[str]) -> Iterator[Progress]:
    """Turn blocks of `key=value` lines into events, one per block. Unknown keys and values like N/A are ignored."""
    frame = 0
    for line in lines:
        key, _, value = line.strip().partition("=")
        number = value.strip()
        if key == "frame" and number.isdigit() and len(number) <= _MAX_DIGITS:
            frame = int(number)
        elif key == "progress":
            yield Progress(frame=frame, ended=value == "end")
