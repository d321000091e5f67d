"""H.264 on the CPU by x264."""

import math
from fractions import Fraction
from types import MappingProxyType

from transcoding.encoders.traits import RateControl, VideoEncoder
from transcoding.errors import InputRejected

_PROFILE_INDICATION = {"main": "4D40", "high": "6400"}
"""profile_idc and constraint flags as x264 writes them; main carries constraint_set1."""

_LEVELS = (
    # level, macroblocks per second, macroblocks per frame, bits per second in High profile (H.264 table)
    ("3.0", 40_500, 1_620, 12_500_000),
    ("3.1", 108_000, 3_600, 17_500_000),
    ("3.2", 216_000, 5_120, 25_000_000),
    ("4.0", 245_760, 8_192, 25_000_000),
    ("4.2", 522_240, 8_704, 62_500_000),
    ("5.0", 589_824, 22_080, 168_750_000),
    ("5.1", 983_040, 36_864, 300_000_000),
    ("5.2", 2_073_600, 36_864, 300_000_000),
    ("6.2", 16_711_680, 139_264, 1_000_000_000),
)
_MACROBLOCK = 16


def h264_level(width: int, height: int, rate: Fraction, control: RateControl) -> str:
    """The lowest level whose limits hold for this size (pixels), rate (frames per second) and peak bit rate.

    Raises InputRejected when there is none.
    """
    macroblocks = math.ceil(width / _MACROBLOCK) * math.ceil(height / _MACROBLOCK)
    for level, per_second, per_frame, bits in _LEVELS:
        if macroblocks <= per_frame and macroblocks * rate <= per_second and control.max_rate <= bits:
            return level
    raise InputRejected(f"no H.264 level allows {width}x{height} at {float(rate):.2f} frames per second")


def h264_codecs(profile: str, level: str) -> str:
    """The codecs string of RFC 6381, e.g. avc1.64001f for High at level 3.1."""
    return f"avc1.{_PROFILE_INDICATION[profile].lower()}{int(level.replace('.', '')):02x}"


X264 = VideoEncoder(
    ffmpeg_name="libx264",
    codec="h264",
    presets=MappingProxyType(
        {
            "ultrafast": "main",  # it switches the 8x8 transform off, and with it what makes a stream High
            **dict.fromkeys(
                ("superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"),
                "high",
            ),
        }
    ),
    preset_speeds=MappingProxyType(  # 720p at 3 Mbit/s on two cores
        {
            "ultrafast": 2.0,
            "superfast": 1.4,
            "veryfast": 1.0,
            "faster": 0.9,
            "fast": 0.8,
            "medium": 0.6,
            "slow": 0.5,
            "slower": 0.3,
            "veryslow": 0.15,
        }
    ),
    pixel_format="yuv420p",
    # Equal for all chunks: closed GOPs of a fixed length and a fixed reorder delay make init segments identical.
    options=MappingProxyType({"bf": "3", "sc_threshold": "0", "flags": "+cgop"}),
    level=h264_level,
    codecs=h264_codecs,
)
