"""Diagnosis of a failed run on a live stream: from its exit code and the end of its stderr to a code for viewers."""

import re
from dataclasses import dataclass
from enum import StrEnum

from transcoding.commands.diagnosis import GpuFailure, gpu_failure, last_words
from transcoding.encoders import VideoEncoder


class LiveFault(StrEnum):
    """Reason why a run failed."""

    SOURCE_NOT_MEDIA = "source_not_media"
    SOURCE_ENDED = "source_ended"
    VIDEO_MISSING = "video_missing"
    CODEC_UNSUPPORTED = "codec_unsupported"
    HARDWARE_UNAVAILABLE = "hardware_unavailable"
    LEVEL_TOO_LOW = "level_too_low"
    """Frames are larger or more than the level allows; the next attempt leaves it to the encoder."""
    ENCODER_FAILED = "encoder_failed"

    @property
    def of_source(self) -> bool:
        """Tell whether the source is to blame, so that no other encoder helps."""
        return self in {self.SOURCE_NOT_MEDIA, self.SOURCE_ENDED, self.VIDEO_MISSING, self.CODEC_UNSUPPORTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFailure:
    """The failure of a run, its sentence for viewers, and the device's part in it."""

    fault: LiveFault
    text: str
    details: str = ""
    gpu: GpuFailure | None = None


_TEXTS = {
    LiveFault.SOURCE_NOT_MEDIA: "the source is not a stream that can be read",
    LiveFault.SOURCE_ENDED: "the source ended before anything could be made of it",
    LiveFault.VIDEO_MISSING: "the source has no video",
    LiveFault.CODEC_UNSUPPORTED: "the source has a codec that is not supported",
    LiveFault.HARDWARE_UNAVAILABLE: "the GPU cannot encode the stream",
    LiveFault.LEVEL_TOO_LOW: "the video needs a higher level of H.264",
    LiveFault.ENCODER_FAILED: "ffmpeg failed on the relay",
}
_UNKNOWN_AUDIO = re.compile(r"Could not find codec parameters for stream \d+ \(Audio")
_LEVEL = re.compile(r"> level limit \(\d+\)")
_FAULTS = (
    (LiveFault.LEVEL_TOO_LOW, _LEVEL),
    (LiveFault.VIDEO_MISSING, re.compile(r"matches no streams")),
    (
        LiveFault.CODEC_UNSUPPORTED,
        re.compile(
            r"not on whitelist|No decoder for stream|[Dd]ecoder \(codec .*\) not found|Cannot find a decoder"
            r"|no decoder found|max pixel count"
        ),
    ),
    (
        LiveFault.SOURCE_ENDED,
        re.compile(r"Output file is empty|[Nn]othing was encoded|received no packets|Cannot determine format"),
    ),
    (
        LiveFault.SOURCE_NOT_MEDIA,
        re.compile(
            r"could not find codec parameters|moov atom not found|Invalid data found when processing input"
            r"|(?:Error opening input|pipe:\d+): Cannot allocate memory"  # for what it announces
        ),
    ),
)


def level_is_too_low(line: str) -> bool:
    """Tell whether x264 says in this line of stderr that its level does not allow the stream."""
    return _LEVEL.search(line) is not None


def audio_is_unknown(stderr: str) -> bool:
    """Tell whether ffmpeg found nothing of a track of audio that the source announces. It waits for it then."""
    return _UNKNOWN_AUDIO.search(stderr) is not None


def live_failure(stderr: str, encoder: VideoEncoder | None) -> LiveFailure:
    """Return the failure of a run that ended with these words, or was killed. `encoder`: None where it only copied."""
    gpu = gpu_failure(stderr, encoder) if encoder else None
    if gpu is not None:
        error = gpu.error(stderr)
        return LiveFailure(fault=LiveFault.HARDWARE_UNAVAILABLE, text=str(error), details=error.details, gpu=gpu)
    fault = next((fault for fault, words in _FAULTS if words.search(stderr)), LiveFault.ENCODER_FAILED)
    return LiveFailure(fault=fault, text=_TEXTS[fault], details=last_words(stderr))
