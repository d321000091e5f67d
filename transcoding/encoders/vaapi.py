"""H.264, HEVC and AV1 on AMD and Intel GPUs by VA-API; frames are uploaded to its surfaces.

Levels are numbers: it takes "3.0" for 3.
"""

from collections.abc import Callable
from functools import partial
from types import MappingProxyType

from transcoding.encoders.levels import (
    av1_codecs,
    av1_level,
    av1_number,
    av1_ten_bit_codecs,
    h264_codecs,
    h264_level,
    h264_number,
    hevc_codecs,
    hevc_level_of_hardware,
    hevc_number,
    hevc_ten_bit_codecs,
)
from transcoding.encoders.traits import (
    CodecLevel,
    DeviceTraits,
    EncodeTarget,
    Family,
    HardwareDevice,
    HardwarePath,
    Options,
    Preset,
    TenBits,
    VideoEncoder,
)

_SPEED = 6.0
"""Drivers have quality levels of their own, and mostly a single effective one: presets are all the same."""
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


def _presets(profile: str) -> MappingProxyType[str, Preset]:
    return MappingProxyType({name: Preset(speed=_SPEED, profile=profile) for name in _PRESETS})


def _rates(target: EncodeTarget) -> Options:
    """Return VBR options: QVBR is not available everywhere, so the ladder's bitrates stand in for a quality."""
    control = target.control
    rates = {"b:v": str(control.bitrate), "maxrate": str(control.max_rate), "bufsize": str(control.buffer_size)}
    return {"rc_mode": "VBR", **rates}


def _options(
    target: EncodeTarget, *, own: Callable[[EncodeTarget], Options], number: Callable[[CodecLevel], int]
) -> Options:
    """Return all options: `idr_interval` 0 makes every I frame an IDR frame, and `g` puts them on the grid."""
    return {
        "profile:v": target.profile,
        **own(target),
        "level:v": str(number(target.level)),
        **_rates(target),
        "g": str(target.gop),
        "idr_interval": "0",
        "flags": "+cgop",
    }


def _opening(device: HardwareDevice, _: HardwarePath) -> Options:
    return {"init_hw_device": f"vaapi=gpu:{device.render_node}", "filter_hw_device": "gpu"}


_DEVICE = DeviceTraits(
    opening=_opening,
    upload=("hwupload",),
    decoding=MappingProxyType(
        {"hwaccel": "vaapi", "hwaccel_device": "gpu", "hwaccel_output_format": "vaapi", "extra_hw_frames": "8"}
    ),
    decoded=frozenset({"h264", "hevc", "vp9", "mpeg2video"}),
    deinterlacer="deinterlace_vaapi=rate=frame:auto=1",
    scaler="scale_vaapi=w={width}:h={height}:mode=hq:format=nv12",
)

H264_VAAPI = VideoEncoder(
    ffmpeg_name="h264_vaapi",
    codec="h264",
    family=Family.VAAPI,
    presets=_presets("high"),
    pixel_format="nv12",
    options=partial(_options, own=lambda _: {"bf": "2"}, number=h264_number),
    level=h264_level,
    codecs=h264_codecs,
    low_delay=MappingProxyType({"bf": "0", "async_depth": "1"}),
    device=_DEVICE,
)
HEVC_VAAPI = VideoEncoder(
    ffmpeg_name="hevc_vaapi",
    codec="hevc",
    family=Family.VAAPI,
    presets=_presets("main"),
    pixel_format="nv12",
    options=partial(
        _options, own=lambda target: {"tier": target.level.tier, "bf": "2", "tag:v": "hvc1"}, number=hevc_number
    ),
    level=hevc_level_of_hardware,
    codecs=hevc_codecs,
    ten_bits=TenBits(profile="main10", pixel_format="p010le", codecs=hevc_ten_bit_codecs),
    low_delay=MappingProxyType({"bf": "0", "async_depth": "1"}),
    device=_DEVICE,
)
AV1_VAAPI = VideoEncoder(
    ffmpeg_name="av1_vaapi",
    codec="av1",
    family=Family.VAAPI,
    presets=_presets("main"),
    pixel_format="nv12",
    options=partial(_options, own=lambda target: {"tier": target.level.tier, "bf": "0"}, number=av1_number),
    level=av1_level,
    codecs=av1_codecs,
    ten_bits=TenBits(profile="main", pixel_format="p010le", codecs=av1_ten_bit_codecs),
    device=_DEVICE,
)
