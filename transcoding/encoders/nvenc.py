"""H.264, HEVC and AV1 on NVIDIA GPUs by NVENC.

Its `cq` throws away bitrate and buffer, so it goes with the maximum only. Frames below about 145 pixels are refused.
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

CONSTANT_QUALITY = "23"

_PRESETS = {
    "ultrafast": ("p1", 16.0),
    "superfast": ("p2", 14.0),
    "veryfast": ("p3", 12.0),
    "faster": ("p4", 10.0),
    "fast": ("p5", 8.0),
    "medium": ("p6", 6.0),
    "slow": ("p6", 6.0),
    "slower": ("p7", 5.0),
    "veryslow": ("p7", 5.0),
}


def _presets(profile: str) -> MappingProxyType[str, Preset]:
    return MappingProxyType(
        {name: Preset(speed=speed, profile=profile, options={"preset": own}) for name, (own, speed) in _PRESETS.items()}
    )


def _rates(target: EncodeTarget) -> Options:
    control = target.control
    if control.constant_quality:
        return {"rc": "vbr", "cq": CONSTANT_QUALITY, "maxrate": str(control.max_rate)}
    rates = {"b:v": str(control.bitrate), "maxrate": str(control.max_rate), "bufsize": str(control.buffer_size)}
    return {"rc": "vbr", **rates, "strict_gop": "1"}


def _options(
    target: EncodeTarget, *, presets: MappingProxyType[str, Preset], own: Callable[[EncodeTarget], Options]
) -> Options:
    """Return options for an IDR frame at the start of every GOP and nowhere else, whatever the driver's defaults."""
    return {
        **presets[target.preset].options,
        "tune": "hq",
        **own(target),
        "level:v": target.level.name,
        **_rates(target),
        "g": str(target.gop),
        "b_ref_mode": "middle",
        "no-scenecut": "1",
        "forced-idr": "1",
        "flags": "+cgop",
    }


def _opening(device: HardwareDevice, path: HardwarePath) -> Options:
    if path != HardwarePath.DEVICE:
        return {}  # NVENC takes frames from memory itself
    return {"init_hw_device": f"cuda=gpu:{device.family_index}", "filter_hw_device": "gpu"}


_DEVICE = DeviceTraits(
    opening=_opening,
    chosen=lambda device: {"gpu": str(device.family_index)},
    decoding=MappingProxyType(
        {"hwaccel": "cuda", "hwaccel_device": "gpu", "hwaccel_output_format": "cuda", "extra_hw_frames": "8"}
    ),
    decoded=frozenset({"h264", "hevc", "vp8", "vp9", "mpeg2video"}),
    deinterlacer="yadif_cuda=mode=send_frame:deint=interlaced",
    scaler="scale_cuda={width}:{height}:interp_algo=bicubic:format=nv12",
)

_H264, _HEVC, _AV1 = _presets("high"), _presets("main"), _presets("main")

_LOW_DELAY = MappingProxyType({"tune": "ll", "zerolatency": "1", "delay": "0", "bf": "0", "b_ref_mode": "disabled"})

H264_NVENC = VideoEncoder(
    ffmpeg_name="h264_nvenc",
    codec="h264",
    family=Family.NVENC,
    presets=_H264,
    pixel_format="nv12",
    options=partial(_options, presets=_H264, own=lambda target: {"profile:v": target.profile, "bf": "3"}),
    level=h264_level,
    codecs=h264_codecs,
    holds_quality=True,
    low_delay=_LOW_DELAY,
    device=_DEVICE,
)
HEVC_NVENC = VideoEncoder(
    ffmpeg_name="hevc_nvenc",
    codec="hevc",
    family=Family.NVENC,
    presets=_HEVC,
    pixel_format="nv12",
    options=partial(
        _options,
        presets=_HEVC,
        own=lambda target: {
            "profile:v": target.profile,
            "tier": target.level.tier,
            "bf": "4",
            "tag:v": "hvc1",
        },
    ),
    level=hevc_level_of_hardware,
    codecs=hevc_codecs,
    ten_bits=TenBits(profile="main10", pixel_format="p010le", codecs=hevc_ten_bit_codecs),
    holds_quality=True,
    low_delay=_LOW_DELAY,
    device=_DEVICE,
)
AV1_NVENC = VideoEncoder(
    ffmpeg_name="av1_nvenc",
    codec="av1",
    family=Family.NVENC,
    presets=_AV1,
    pixel_format="nv12",
    options=partial(
        _options, presets=_AV1, own=lambda target: {"tier": str(int(target.level.tier == "high")), "bf": "3"}
    ),
    level=av1_level,
    codecs=av1_codecs,
    ten_bits=TenBits(profile="main", pixel_format="p010le", codecs=av1_ten_bit_codecs),
    holds_quality=True,
    device=_DEVICE,
)
