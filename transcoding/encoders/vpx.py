"""VP9 on the CPU by libvpx.

It holds a constant rate, with a buffer of a second. With a variable one, or with a quality below a bitrate, it keeps no
maximum: after a still scene, a segment of a complex one has three times the rate.
"""

from types import MappingProxyType

from transcoding.encoders.levels import vp9_codecs, vp9_level
from transcoding.encoders.traits import ColorSignal, EncodeTarget, Family, Options, Preset, VideoEncoder

_PRESETS = {  # `cpu-used` with the deadline "good", and speeds at 360p on two cores, compared with veryfast of x264
    "ultrafast": ("5", 0.3),
    "superfast": ("5", 0.3),
    "veryfast": ("4", 0.2),
    "faster": ("4", 0.2),
    "fast": ("3", 0.15),
    "medium": ("2", 0.1),
    "slow": ("1", 0.06),
    "slower": ("1", 0.06),
    "veryslow": ("0", 0.02),
}


def _options(target: EncodeTarget) -> Options:
    return {
        "deadline": "good",
        "cpu-used": _PRESETS[target.preset][0],
        "row-mt": "1",
        "profile:v": target.profile,
        **dict.fromkeys(("b:v", "minrate", "maxrate", "bufsize"), str(target.control.bitrate)),
        "g": str(target.gop),
        "keyint_min": str(target.gop),
        **({"threads": str(target.threads)} if target.threads else {}),
    }


VPX_VP9 = VideoEncoder(
    ffmpeg_name="libvpx-vp9",
    codec="vp9",
    family=Family.CPU,
    presets=MappingProxyType({name: Preset(speed=speed, profile="0") for name, (_, speed) in _PRESETS.items()}),
    pixel_format="yuv420p",
    memory_per_pixel=1500,
    options=_options,
    level=vp9_level,
    codecs=vp9_codecs,
    color_signal=ColorSignal.CONTAINER,
)
