"""Diagnosis of a failed ffmpeg run, from its exit code and the end of its stderr."""

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
_LONGEST_TAIL = 4000
_NOTHING = "it said nothing"
_ADDRESS = re.compile(r" ?@ 0x[0-9a-fA-F]+|\b0x[0-9a-fA-F]{6,}")
"""An address in ffmpeg's memory."""
_CODE = re.compile(r"\b(?:with )?(?:error|return|exit) (?:code|status):? -?\d+(?: \((?P<meaning>[^)]*)\))?")
"""A number that only ffmpeg's source explains, and its meaning, where ffmpeg prints it."""
_SUMMARY = re.compile(
    r"(?:\[[^\]]*\] )*(?:Conversion failed!|Task finished |Terminating thread |Exiting |Nothing was written"
    r"|Could not open encoder before EOF|Last message repeated|1000000007)"
)
"""Lines that ffmpeg prints after the one that says why."""
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
"""Messages that are searched first: "Error opening input" and "Invalid data" have causes in the machine, too."""
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


AGAIN = "check that it plays, and export or upload it again"
"""The advice to who uploaded a file that is not what it should be."""
_MEANINGS = (
    ("moov atom not found", "its index is missing, as when a recording or an upload broke off; upload all of it"),
    ("exceeds specified max pixel count", "its frames are larger than this installation allows; export a smaller one"),
    ("matches no streams", f"a track is not where its header says; {AGAIN}"),
    ("not on whitelist", "its codec is not accepted; export it with a usual one, such as H.264 and AAC"),
)
"""Words of ffmpeg and ffprobe about files, and what they mean."""

_AFTER_A_SEEK = re.compile(
    r"mmco: unref short failure"
    r"|co located POCs unavailable"
    r"|reference picture missing during reorder"
    r"|Missing reference picture, default is"
    r"|Could not find ref with POC"
    r"|^\s*Last message repeated \d+ times"
)
"""Messages of decoders about a healthy file when they start in the middle of it, at an open GOP.

An unknown message only costs a second reading of the source.
"""


_REPEATED = re.compile(r"^\s*Last message repeated (\d{1,9}) times")
_FIRST_FRAME_MARK = "1000000007.000000"
FIRST_FRAME = "if(N,0,0*print(1000000007,16))"
"""Expression of a filter, always 0, that writes a mark to stderr when the first frame comes, at the level of errors."""


class DamageCount:
    """Counts the errors that decoders report about a source, line by line of a run's stderr.

    What comes before the mark of `FIRST_FRAME` is about frames that are decoded for those behind them. They are those
    of the chunk before, which counts them.
    """

    def __init__(self) -> None:
        self.errors = 0
        self._counts = False

    def take(self, line: str) -> None:
        """Count a line of stderr, unless decoding from the middle of a healthy file would have it, too."""
        if _FIRST_FRAME_MARK in line:  # or behind the beginning of another line, by another thread
            self.errors = 0
            return
        if repeated := _REPEATED.search(line):
            self.errors += int(repeated[1]) * self._counts
            return
        self._counts = not is_of_a_seek(line)
        self.errors += self._counts


_REFUSED_SIZE = re.compile(r"Picture size (\d{1,10}x\d{1,10}) (?:exceeds specified max pixel count|is invalid)")


def is_of_fonts(line: str) -> bool:
    """Tell whether a line of stderr is of the library that looks for fonts: the jail has none of its settings."""
    return not line.strip() or line.startswith("Fontconfig ") or line.endswith("/fontconfig")


def refused_frame_size(line: str) -> str:
    """Return the size of a frame that a decoder refuses in this line of stderr, as "16384x8640"; empty: of none."""
    found = _REFUSED_SIZE.search(line)
    return found[1] if found else ""


def is_of_a_seek(line: str) -> bool:
    """Return True if this line of stderr only means that decoding started at a frame which others reach back over."""
    return not line.strip() or _FIRST_FRAME_MARK in line or _AFTER_A_SEEK.search(line) is not None


def diagnose(returncode: int, stderr: str, *, copying: bool = False) -> TranscodeError:
    """Return the error of a failed run. Text that blames the input means that no retry can help.

    `copying`: nothing was encoded, so what the machine is not to blame for comes of the input.
    """
    last = last_words(stderr)
    if returncode < 0:
        return EncoderFailed(f"ffmpeg was killed on the worker, perhaps for lack of memory; {_NEXT}", details=last)
    if not _says(stderr, _MACHINE_AT_FAULT) and (copying or _says(stderr, _INPUT_AT_FAULT)):
        return unreadable(stderr)
    return EncoderFailed(f"ffmpeg failed on the worker; {_NEXT}", details=last)


def unreadable(stderr: str) -> InputRejected:
    """Return the error of a file that a program could not read: what is wrong with it, and what to do about it."""
    meanings = (meaning for phrase, meaning in _MEANINGS if phrase in stderr)
    reason = next(meanings, f"it is damaged or not complete; {AGAIN}")
    return InputRejected(f"the file cannot be read: {reason}", details=last_words(stderr))


_NEXT = "retry the job; if it fails again, its steps in the admin have more of ffmpeg's output"


class GpuFailure(StrEnum):
    """The failure of a device, as a failed run reports it."""

    BUSY = "busy"
    DEVICE_LOST = "device_lost"
    ENCODER_REFUSED = "encoder_refused"

    def error(self, stderr: str) -> EncoderFailed:
        """Return the failure as an error."""
        kinds: dict[GpuFailure, tuple[type[EncoderFailed], str]] = {
            self.BUSY: (DeviceBusy, "the GPU has no session or memory left"),
            self.DEVICE_LOST: (DeviceLost, "the GPU or its driver does not work"),
            self.ENCODER_REFUSED: (EncoderRefused, "the GPU's encoder refused the video"),
        }
        kind, meaning = kinds[self]
        return kind(meaning, details=last_words(stderr))


_GPU_FAILURES: tuple[tuple[GpuFailure, re.Pattern[str]], ...] = (
    (
        GpuFailure.BUSY,
        re.compile(
            r"out of memory \(10\)|incompatible client key \(21\)|lock busy \(13\)|encoder busy \(18\)"
            r"|CUDA_ERROR_OUT_OF_MEMORY"
            r"|HW busy now|resource allocation failed"
            r"|failed to allocate memory \(-4\)|device busy \(2\)"
        ),
    ),
    (
        GpuFailure.DEVICE_LOST,
        re.compile(
            r"Cannot load lib(?:cuda|nvidia-encode|nvcuvid)|Could not dynamically load CUDA"
            r"|CUDA_ERROR_(?!NOT_SUPPORTED|INVALID_VALUE)"
            r"|No CUDA capable devices found|required nvenc API version"
            r"|invalid (?:encoder )?device \(\d+\)|device does not exist \(\d+\)|encoder not initialized \(\d+\)"
            r"|generic error \(20\)"
            r"|Device creation failed|No device available for decoder"
            r"|No VA display found|Failed to initialise VAAPI connection"
            r"|Error (?:creating|initializing|querying) an? (?:internal |child )?MFX session"
            r"|device (?:lost|failed) \(-\d+\)|GPU Hang"
            r"|libamfrt64\.so\.1"
        ),
    ),
    (
        GpuFailure.ENCODER_REFUSED,
        re.compile(
            r"^\[(?:h264|hevc|h265|av1)_(?:nvenc|vaapi|qsv|amf) @ "
            r"|Error while opening encoder"
            r"|Error submitting video frame to the encoder|Error encoding a frame"
            r"|^\[(?:Parsed_)?(?:hwupload|scale_(?:cuda|vaapi|qsv)|yadif_cuda|deinterlace_vaapi)\w* @ ",
            re.MULTILINE,
        ),
    ),
)
"""Messages and their meaning, by ffmpeg 5.1 and 9, and by the driver in them. The first that are found count:
a device that is busy reports that and then that there is none, and
whatever its encoder says of itself at the level of errors is a refusal.
That an encoder could not be opened before the end only means that no frame came out of the source.
"""


def gpu_failure(stderr: str, encoder: VideoEncoder) -> GpuFailure | None:
    """Return the device failure that the end of a failed run's output reports; None: it was not the device's doing."""
    if not encoder.hardware or "No space left on device" in stderr:
        return None
    return next((failure for failure, words in _GPU_FAILURES if words.search(stderr)), None)


def last_words(text: str) -> str:
    """Return the last line of a program's output that says something: short, for people, and without local paths."""
    lines = [line.strip() for line in reversed(text.splitlines()) if line.strip()]
    last = next((line for line in lines if not _SUMMARY.match(line)), lines[0] if lines else _NOTHING)
    plain = _CODE.sub(
        lambda found: f": {found['meaning']}" if found["meaning"] else "", _ADDRESS.sub("", _PATH.sub("the file", last))
    )
    return " ".join(plain.split()).replace(" :", ":").rstrip(" .:;")[:_LONGEST]


def output_tail(text: str) -> str:
    """Return the last lines of a program's output, without local paths and addresses of its memory."""
    return _ADDRESS.sub("", _PATH.sub("the file", text.strip()))[-_LONGEST_TAIL:]


def _says(stderr: str, phrases: Iterable[str]) -> bool:
    return any(phrase in stderr for phrase in phrases)
