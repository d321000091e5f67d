"""H.264 on the CPU by x264."""

from types import MappingProxyType

from transcoding.encoders.levels import h264_codecs, h264_level
from transcoding.encoders.traits import EncodeTarget, Family, Options, Preset, VideoEncoder

_SPEEDS = {  # 720p at 3 Mbit/s on two cores
    "superfast": 1.4,
    "veryfast": 1.0,
    "faster": 0.9,
    "fast": 0.8,
    "medium": 0.6,
    "slow": 0.5,
    "slower": 0.3,
    "veryslow": 0.15,
}


def _options(target: EncodeTarget) -> Options:
    """Return options that are equal for all chunks: a fixed GOP and reorder delay make init segments identical."""
    return {
        "preset": target.preset,
        "profile:v": target.profile,
        "level:v": target.level.name,
        "b:v": str(target.control.bitrate),
        "maxrate": str(target.control.max_rate),
        "bufsize": str(target.control.buffer_size),
        "g": str(target.gop),
        "keyint_min": str(target.gop),
        "bf": "3",
        "sc_threshold": "0",
        "flags": "+cgop",
        **(_pass(target) if target.pass_number else {}),
        **({"threads": str(target.threads)} if target.threads else {}),
    }


def _pass(target: EncodeTarget) -> Options:
    """Keep headers independent of the findings of the analysis: all chunks have the same init segment."""
    return {"pass": str(target.pass_number), "passlogfile": target.statistics, "x264-params": "stitchable=1"}


X264 = VideoEncoder(
    ffmpeg_name="libx264",
    codec="h264",
    family=Family.CPU,
    presets=MappingProxyType(
        {
            # it switches the 8x8 transform off, and with it what makes a stream High
            "ultrafast": Preset(speed=2.0, profile="main"),
            **{name: Preset(speed=speed, profile="high") for name, speed in _SPEEDS.items()},
        }
    ),
    pixel_format="yuv420p",
    options=_options,
    level=h264_level,
    codecs=h264_codecs,
    two_pass=True,
    low_delay=MappingProxyType(
        {
            "tune": "zerolatency",
            "bf": "0",
            "x264-params": "force-cfr=0",  # by the times of frames, as the rate may be unknown; the tuning counts them
            "coder": "1",  # or ultrafast would be of profile Baseline
        }
    ),
)
