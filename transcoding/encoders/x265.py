"""HEVC on the CPU by x265."""

from types import MappingProxyType

from transcoding.encoders.levels import hevc_codecs, hevc_level, hevc_ten_bit_codecs
from transcoding.encoders.traits import EncodeTarget, Family, Options, Preset, TenBits, VideoEncoder
from transcoding.hdr import HdrMetadata

_SPEEDS = {  # 720p at 3 Mbit/s on two cores, compared with veryfast of x264
    "ultrafast": 0.6,
    "superfast": 0.5,
    "veryfast": 0.35,
    "faster": 0.35,
    "fast": 0.25,
    "medium": 0.2,
    "slow": 0.08,
    "slower": 0.03,
    "veryslow": 0.02,
}


def _options(target: EncodeTarget) -> Options:
    """Return options as for x264. `info=0` keeps x265's own text out of the stream."""
    own = {
        "level-idc": target.level.name,
        "high-tier": str(int(target.level.tier == "high")),
        "keyint": str(target.gop),
        "min-keyint": str(target.gop),
        "scenecut": "0",
        "open-gop": "0",
        "info": "0",
        "log-level": "error",
    }
    if target.pass_number:
        own |= {"pass": str(target.pass_number), "stats": target.statistics}
    if target.threads:
        own["pools"] = str(target.threads)
    if target.hdr:
        own |= _metadata(target.hdr)
    return {
        "preset": target.preset,
        "profile:v": target.profile,
        "b:v": str(target.control.bitrate),
        "maxrate": str(target.control.max_rate),
        "bufsize": str(target.control.buffer_size),
        "g": str(target.gop),
        "bf": "3",
        "x265-params": ":".join(f"{name}={_quoted(value)}" for name, value in own.items()),
        "tag:v": "hvc1",
    }


def _metadata(hdr: HdrMetadata) -> Options:
    """Return parameters for the metadata, which lies in the init segment beside the parameter sets."""
    own = {}
    if hdr.display:
        green_x, green_y, blue_x, blue_y, red_x, red_y, white_x, white_y = hdr.display.chromaticities
        own["master-display"] = (
            f"G({green_x},{green_y})B({blue_x},{blue_y})R({red_x},{red_y})WP({white_x},{white_y})"
            f"L({hdr.display.max_luminance},{hdr.display.min_luminance})"
        )
    if hdr.light:
        own["max-cll"] = f"{hdr.light.max_content},{hdr.light.max_average}"
    return own


def _quoted(value: str) -> str:
    """Escape the separators of parameters, which a path may contain."""
    return value.replace("\\", "\\\\").replace(":", "\\:")


X265 = VideoEncoder(
    ffmpeg_name="libx265",
    codec="hevc",
    family=Family.CPU,
    presets=MappingProxyType({name: Preset(speed=speed, profile="main") for name, speed in _SPEEDS.items()}),
    pixel_format="yuv420p",
    memory_per_pixel=1000,
    options=_options,
    level=hevc_level,
    codecs=hevc_codecs,
    two_pass=True,
    ten_bits=TenBits(profile="main10", pixel_format="yuv420p10le", codecs=hevc_ten_bit_codecs),
    low_delay=MappingProxyType({"tune": "zerolatency", "bf": "0"}),
)
