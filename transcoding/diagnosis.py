"""Why ffmpeg failed, from its exit code and the end of what it said."""

import re
from collections.abc import Iterable
from enum import StrEnum

from transcoding.encoders import VideoEncoder
from transcoding.errors import (
    DeviceBusy,
    DeviceLost,
    EncoderFailed,
    EncoderRefused,
    InputRejected,
    TranscodeError,
)

_LONGEST = 200
_PATH = re.compile(r"(?:file:)?(?<![\w.])/[^\s:'\"]+")
_MACHINE_AT_FAULT = (
    "No such file or directory",
    "Permission denied",
    "No space left on device",
    "Cannot allocate memory",
    "Too many open files",
    "Input/output error",
    "Broken pipe",
)
"""Looked for first: what ffmpeg cannot open is "Error opening input" too, and a damaged frame is "Invalid data"."""
_INPUT_AT_FAULT = (
    "moov atom not found",
    "Invalid data found when processing input",
    "could not find codec parameters",
    "Could not find codec parameters",
    "matches no streams",
    "EBML header parsing failed",
    "Error opening input",
    "does not contain any stream",
    "exceeds specified max pixel count",
)


_AFTER_A_SEEK = re.compile(
    r"mmco: unref short failure"
    r"|co located POCs unavailable"
    r"|reference picture missing during reorder"
    r"|Missing reference picture, default is"
    r"|Could not find ref with POC"
    r"|^\s*Last message repeated \d+ times"
)
"""What decoders say of a whole and healthy file when they begin in the middle of it, at an open GOP.

An unknown way to say so costs a second reading of the source, and nothing else.
"""


def is_of_a_seek(complaint: str) -> bool:
    """Whether this line of ffmpeg's errors only means that decoding began at a frame which others reach back over."""
    return not complaint.strip() or _AFTER_A_SEEK.search(complaint) is not None


def diagnose(returncode: int, stderr: str) -> TranscodeError:
    """The error that a failed run stands for. Text that blames the input means that no retry can help."""
    last = last_words(stderr)
    if returncode < 0:
        return EncoderFailed(f"ffmpeg was ended by signal {-returncode}: {last}")
    if not _says(stderr, _MACHINE_AT_FAULT) and _says(stderr, _INPUT_AT_FAULT):
        return InputRejected(f"ffmpeg cannot read the file: {last}")
    return EncoderFailed(f"ffmpeg ended with {returncode}: {last}")


class GpuFailure(StrEnum):
    """What a failed run says of the device that it used."""

    BUSY = "busy"
    DEVICE_LOST = "device_lost"
    ENCODER_REFUSED = "encoder_refused"

    def error(self, stderr: str) -> EncoderFailed:
        """The error that it stands for."""
        kinds = {self.BUSY: DeviceBusy, self.DEVICE_LOST: DeviceLost, self.ENCODER_REFUSED: EncoderRefused}
        return kinds[self](last_words(stderr))


_GPU_FAILURES: tuple[tuple[GpuFailure, tuple[str, ...]], ...] = (
    (
        GpuFailure.BUSY,
        (
            "OpenEncodeSessionEx failed: out of memory (10)",
            "OpenEncodeSessionEx failed: incompatible client key (21)",
        ),
    ),
)
"""Which words mean what; the first that is found counts."""


def gpu_failure(stderr: str, encoder: VideoEncoder) -> GpuFailure | None:
    """What the end of ffmpeg's output says of the device; None: it was not the device's doing."""
    if not encoder.hardware:
        return None
    return next((failure for failure, phrases in _GPU_FAILURES if _says(stderr, phrases)), None)


def last_words(text: str) -> str:
    """The last line of what a program said: short, and without where files lie on our machines."""
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
    return _PATH.sub("the file", last)[:_LONGEST]


def _says(stderr: str, phrases: Iterable[str]) -> bool:
    return any(phrase in stderr for phrase in phrases)
