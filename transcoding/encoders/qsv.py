"""H.264, HEVC and AV1 on Intel GPUs by Quick Sync, over the render node of VA-API.

Levels are Quick Sync's own numbers, 31 for 3.1 in every codec. Never run on hardware; see `docs/encoders.md`.
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
    h264_number,
    hevc_codecs,
    hevc_level_of_hardware,
    hevc_ten_bit_codecs,
)
from transcoding.encoders.traits import (
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
from transcoding.probing.decoders import WHITELIST

_PRESETS = {
    "ultrafast": ("veryfast", 8.0),
    "superfast": ("veryfast", 8.0),
    "veryfast": ("veryfast", 8.0),
    "faster": ("faster", 7.5),
    "fast": ("fast", 7.0),
    "medium": ("medium", 6.0),
    "slow": ("slow", 5.0),
    "slower": ("slower", 4.5),
    "veryslow": ("veryslow", 4.0),
}


def _presets(profile: str) -> MappingProxyType[str, Preset]:
    return MappingProxyType({name: Preset(speed=speed, profile=profile) for name, (_, speed) in _PRESETS.items()})


def _options(target: EncodeTarget, *, own: Callable[[EncodeTarget], Options]) -> Options:
    """Return options for a variable rate: a bitrate below `maxrate`. Quality modes have no maximum, so none is used."""
    control = target.control
    return {
        "preset": _PRESETS[target.preset][0],
        "profile:v": target.profile,
        **own(target),
        "level:v": str(h264_number(target.level)),
        "b:v": str(control.bitrate),
        "maxrate": str(control.max_rate),
        "bufsize": str(control.buffer_size),
        "g": str(target.gop),
        "adaptive_i": "0",
        "adaptive_b": "0",
        "forced_idr": "1",
        "flags": "+cgop",
    }


def _opening(device: HardwareDevice, _: HardwarePath) -> Options:
    return {
        "init_hw_device": f"qsv=gpu:hw_any,child_device={device.render_node},child_device_type=vaapi",
        "filter_hw_device": "gpu",
    }


_DEVICE = DeviceTraits(
    opening=_opening,
    upload=("hwupload=extra_hw_frames=64",),
    decoding=MappingProxyType(
        {
            "hwaccel": "qsv",
            "hwaccel_device": "gpu",
            "hwaccel_output_format": "qsv",
            "extra_hw_frames": "64",
            "codec_whitelist": f"{WHITELIST},h264_qsv,hevc_qsv,vp9_qsv,mpeg2_qsv",  # decoders of its own
        }
    ),
    decoded=frozenset({"h264", "hevc", "vp9", "mpeg2video"}),
    scaler="scale_qsv=w={width}:h={height}:format=nv12",
)

H264_QSV = VideoEncoder(
    ffmpeg_name="h264_qsv",
    codec="h264",
    family=Family.QSV,
    presets=_presets("high"),
    pixel_format="nv12",
    options=partial(_options, own=lambda _: {"bf": "3", "idr_interval": "0"}),
    level=h264_level,
    codecs=h264_codecs,
    low_delay=MappingProxyType({"bf": "0", "async_depth": "1"}),
    device=_DEVICE,
)
HEVC_QSV = VideoEncoder(
    ffmpeg_name="hevc_qsv",
    codec="hevc",
    family=Family.QSV,
    presets=_presets("main"),
    pixel_format="nv12",
    options=partial(
        _options,
        own=lambda target: {"tier": target.level.tier, "bf": "3", "idr_interval": "0", "tag:v": "hvc1"},
    ),
    level=hevc_level_of_hardware,
    codecs=hevc_codecs,
    ten_bits=TenBits(profile="main10", pixel_format="p010le", codecs=hevc_ten_bit_codecs),
    low_delay=MappingProxyType({"bf": "0", "async_depth": "1"}),
    device=_DEVICE,
)
AV1_QSV = VideoEncoder(
    ffmpeg_name="av1_qsv",
    codec="av1",
    family=Family.QSV,
    presets=_presets("main"),
    pixel_format="nv12",
    options=partial(_options, own=lambda _: {"bf": "3"}),
    level=av1_level,
    codecs=av1_codecs,
    ten_bits=TenBits(profile="main", pixel_format="p010le", codecs=av1_ten_bit_codecs),
    device=_DEVICE,
)
