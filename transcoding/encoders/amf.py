"""H.264, HEVC and AV1 on AMD GPUs by AMF, which takes frames from memory. Never run on hardware: `docs/encoders.md`.

It takes the first device that its runtime finds: ffmpeg has no option for another one on Linux.
"""

from collections.abc import Callable
from functools import partial
from types import MappingProxyType

from transcoding.encoders.levels import (
    av1_codecs,
    av1_level,
    av1_ten_bit_codecs,
    h264_codecs,
    h264_level,
    hevc_codecs,
    hevc_level_of_hardware,
    hevc_ten_bit_codecs,
)
from transcoding.encoders.traits import (
    ColorSignal,
    DeviceTraits,
    EncodeTarget,
    Family,
    Options,
    Preset,
    TenBits,
    VideoEncoder,
)

_PRESETS = {
    "ultrafast": ("speed", 8.0),
    "superfast": ("speed", 8.0),
    "veryfast": ("speed", 8.0),
    "faster": ("speed", 8.0),
    "fast": ("balanced", 6.0),
    "medium": ("balanced", 6.0),
    "slow": ("quality", 4.0),
    "slower": ("quality", 4.0),
    "veryslow": ("quality", 4.0),
}


def _presets(profile: str) -> MappingProxyType[str, Preset]:
    return MappingProxyType({name: Preset(speed=speed, profile=profile) for name, (_, speed) in _PRESETS.items()})


def _options(target: EncodeTarget, *, own: Callable[[EncodeTarget], Options]) -> Options:
    control = target.control
    return {
        "usage": "transcoding",
        "quality": _PRESETS[target.preset][0],
        "profile:v": target.profile,
        **own(target),
        "level:v": target.level.name,
        "rc": "vbr_peak",
        "b:v": str(control.bitrate),
        "maxrate": str(control.max_rate),
        "bufsize": str(control.buffer_size),
        "enforce_hrd": "1",
        "g": str(target.gop),
        "preanalysis": "0",
        "forced_idr": "1",
    }


_DEVICE = DeviceTraits(opening=lambda _device, _path: {})

H264_AMF = VideoEncoder(
    ffmpeg_name="h264_amf",
    codec="h264",
    family=Family.AMF,
    presets=_presets("high"),
    pixel_format="nv12",
    options=partial(_options, own=lambda _: {"bf": "3", "bf_ref": "1"}),
    level=h264_level,
    codecs=h264_codecs,
    color_signal=ColorSignal.CONTAINER,
    low_delay=MappingProxyType({"usage": "lowlatency", "bf": "0", "bf_ref": "0", "async_depth": "1"}),
    device=_DEVICE,
)
HEVC_AMF = VideoEncoder(
    ffmpeg_name="hevc_amf",
    codec="hevc",
    family=Family.AMF,
    presets=_presets("main"),
    pixel_format="nv12",
    options=partial(
        _options,
        own=lambda target: {
            "profile_tier": target.level.tier,
            "gops_per_idr": "1",
            "header_insertion_mode": "idr",
            "tag:v": "hvc1",
        },
    ),
    level=hevc_level_of_hardware,
    codecs=hevc_codecs,
    ten_bits=TenBits(profile="main10", pixel_format="p010le", codecs=hevc_ten_bit_codecs),
    color_signal=ColorSignal.CONTAINER,
    low_delay=MappingProxyType({"usage": "lowlatency", "async_depth": "1"}),
    device=_DEVICE,
)
AV1_AMF = VideoEncoder(
    ffmpeg_name="av1_amf",
    codec="av1",
    family=Family.AMF,
    presets=_presets("main"),
    pixel_format="nv12",
    options=partial(_options, own=lambda _: {"header_insertion_mode": "gop"}),
    level=av1_level,
    codecs=av1_codecs,
    ten_bits=TenBits(profile="main", pixel_format="p010le", codecs=av1_ten_bit_codecs),
    color_signal=ColorSignal.CONTAINER,
    device=_DEVICE,
)
