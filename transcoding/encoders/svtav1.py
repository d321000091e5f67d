"""AV1 on the CPU by SVT-AV1.

With an average bitrate it keeps no maximum: after a still frame its segments have seven times the rate. With a quality
it does, give or take a third. So it gets a quality, and the bitrate as the maximum.
"""

from types import MappingProxyType

from transcoding.encoders.levels import av1_codecs, av1_level, av1_ten_bit_codecs, h264_number
from transcoding.encoders.traits import EncodeTarget, Family, Options, Preset, TenBits, VideoEncoder
from transcoding.hdr import CHROMATICITY_UNIT, LUMINANCE_UNIT, HdrMetadata

_USUAL_QUALITY = "35"
_QUALITY_OF_BITRATES = "25"
"""Better than most bitrates allow, so that the bitrate decides wherever the content is not easy."""
_PRESETS = {  # its own presets, and speeds at 360p on two cores, compared with veryfast of x264
    "ultrafast": ("10", 0.9),
    "superfast": ("9", 0.7),
    "veryfast": ("8", 0.5),
    "faster": ("8", 0.5),
    "fast": ("7", 0.35),
    "medium": ("6", 0.2),
    "slow": ("5", 0.12),
    "slower": ("4", 0.07),
    "veryslow": ("3", 0.04),
}


def _options(target: EncodeTarget) -> Options:
    own = {"scd": "0"} | ({"lp": str(target.threads)} if target.threads else {})
    if target.hdr:
        own |= _metadata(target.hdr)
    return {
        "preset": _PRESETS[target.preset][0],
        "level:v": str(h264_number(target.level)),
        "crf": _USUAL_QUALITY if target.control.constant_quality else _QUALITY_OF_BITRATES,
        "maxrate": str(target.control.bitrate),
        "bufsize": str(target.control.bitrate),
        "g": str(target.gop),
        "flags": "+cgop",
        "svtav1-params": ":".join(f"{name}={value}" for name, value in own.items()),
    }


def _metadata(hdr: HdrMetadata) -> dict[str, str]:
    """Return parameters for the metadata, in plain numbers."""
    own = {}
    if hdr.display:
        green_x, green_y, blue_x, blue_y, red_x, red_y, white_x, white_y = (
            f"{steps / CHROMATICITY_UNIT:.5f}" for steps in hdr.display.chromaticities
        )
        brightest, darkest = hdr.display.max_luminance, hdr.display.min_luminance
        own["mastering-display"] = (
            f"G({green_x},{green_y})B({blue_x},{blue_y})R({red_x},{red_y})WP({white_x},{white_y})"
            f"L({brightest / LUMINANCE_UNIT:.4f},{darkest / LUMINANCE_UNIT:.4f})"
        )
    if hdr.light:
        own["content-light"] = f"{hdr.light.max_content},{hdr.light.max_average}"
    return own


SVTAV1 = VideoEncoder(
    ffmpeg_name="libsvtav1",
    codec="av1",
    family=Family.CPU,
    presets=MappingProxyType({name: Preset(speed=speed, profile="main") for name, (_, speed) in _PRESETS.items()}),
    pixel_format="yuv420p",
    memory_per_pixel=3000,
    options=_options,
    level=av1_level,
    codecs=av1_codecs,
    holds_quality=True,
    ten_bits=TenBits(profile="main", pixel_format="yuv420p10le", codecs=av1_ten_bit_codecs),
)
