"""Profiles of live transcodes: sizes and rates of streams whose source is not known before it is read."""

from dataclasses import dataclass
from enum import StrEnum

from transcoding.encoders import RateControl

MIN_VIDEO_BITRATE, MAX_VIDEO_BITRATE = 100_000, 50_000_000
"""Bits per second that a request may name. Those of UHD broadcasts stay below the upper one."""
MIN_AUDIO_BITRATE, MAX_AUDIO_BITRATE = 32_000, 320_000
"""Bits per second of stereo; AAC-LC gains nothing from more."""
AUDIO_BITRATE = 192_000


LIVE_CODECS = ("h264", "hevc")
"""Codecs that a live transcode encodes."""


class LiveProfile(StrEnum):
    """Size of the video of a live stream. Nothing is enlarged: smaller sources stay as large as they are."""

    ORIGINAL = "original"
    P1080 = "1080p"
    P720 = "720p"
    P480 = "480p"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSize:
    """Lines that a profile allows, and its usual bits per second."""

    max_height: int | None
    """None: as many as the source has."""
    bitrate: int


LIVE_SIZES = {
    LiveProfile.ORIGINAL: LiveSize(max_height=None, bitrate=5_000_000),
    LiveProfile.P1080: LiveSize(max_height=1080, bitrate=5_000_000),
    LiveProfile.P720: LiveSize(max_height=720, bitrate=3_000_000),
    LiveProfile.P480: LiveSize(max_height=480, bitrate=1_500_000),
}


def live_rates(bitrate: int) -> RateControl:
    """Return a nearly constant rate, with a buffer of a second: viewers have not more than that."""
    return RateControl(bitrate=bitrate, max_rate=bitrate * 5 // 4, buffer_size=bitrate)
