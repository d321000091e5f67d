"""Levels of the codecs: the lowest one that allows a size, a rate and a peak bit rate, and its name in playlists."""

import math
from dataclasses import dataclass
from fractions import Fraction

from transcoding.color import ColorRange, ColorSpace
from transcoding.encoders.traits import CodecLevel, RateControl
from transcoding.errors import InputRejected

H264_PROFILES = {"main": "4D40", "high": "6400"}
"""profile_idc and constraint flags as x264 writes them; main carries constraint_set1."""
HEVC_TIERS = {"main": "L", "high": "H"}
AV1_TIERS = {"main": "M", "high": "H"}

_H264 = (
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


@dataclass(frozen=True, slots=True)
class _Row:
    """Limits of one level: samples per frame and second, sides in samples, bits per second in either tier."""

    name: str
    frame: int
    rate: int
    side: int
    main: int
    high: int = 0


_HEVC = (  # H.265 tables A.8 and A.9; no side is longer than the square root of eight frames
    _Row("3.0", 552_960, 16_588_800, 2_103, 6_000_000),
    _Row("3.1", 983_040, 33_177_600, 2_804, 10_000_000),
    _Row("4.0", 2_228_224, 66_846_720, 4_222, 12_000_000, 30_000_000),
    _Row("4.1", 2_228_224, 133_693_440, 4_222, 20_000_000, 50_000_000),
    _Row("5.0", 8_912_896, 267_386_880, 8_444, 25_000_000, 100_000_000),
    _Row("5.1", 8_912_896, 534_773_760, 8_444, 40_000_000, 160_000_000),
    _Row("5.2", 8_912_896, 1_069_547_520, 8_444, 60_000_000, 240_000_000),
    _Row("6.0", 35_651_584, 1_069_547_520, 16_888, 60_000_000, 240_000_000),
    _Row("6.1", 35_651_584, 2_139_095_040, 16_888, 120_000_000, 480_000_000),
    _Row("6.2", 35_651_584, 4_278_190_080, 16_888, 240_000_000, 800_000_000),
)
_AV1 = (  # AV1 annex A.3; the shorter of the two sides that it allows, as frames may be portrait
    _Row("3.0", 665_856, 19_975_680, 2_448, 6_000_000),
    _Row("3.1", 1_065_024, 31_950_720, 3_096, 10_000_000),
    _Row("4.0", 2_359_296, 70_778_880, 3_456, 12_000_000, 30_000_000),
    _Row("4.1", 2_359_296, 141_557_760, 3_456, 20_000_000, 50_000_000),
    _Row("5.0", 8_912_896, 267_386_880, 4_352, 30_000_000, 100_000_000),
    _Row("5.1", 8_912_896, 534_773_760, 4_352, 40_000_000, 160_000_000),
    _Row("5.2", 8_912_896, 1_069_547_520, 4_352, 60_000_000, 240_000_000),
    _Row("6.0", 35_651_584, 1_069_547_520, 8_704, 60_000_000, 240_000_000),
    _Row("6.1", 35_651_584, 2_139_095_040, 8_704, 100_000_000, 480_000_000),
    _Row("6.2", 35_651_584, 4_278_190_080, 8_704, 160_000_000, 800_000_000),
)

_VP9 = (  # level, samples per frame and per second: what ffmpeg's muxer derives a level from, which no stream states
    ("1.0", 36_864, 829_440),
    ("1.1", 73_728, 2_764_800),
    ("2.0", 122_880, 4_608_000),
    ("2.1", 245_760, 9_216_000),
    ("3.0", 552_960, 20_736_000),
    ("3.1", 983_040, 36_864_000),
    ("4.0", 2_228_224, 83_558_400),
    ("4.1", 2_228_224, 160_432_128),
    ("5.0", 8_912_896, 311_951_360),
    ("5.1", 8_912_896, 588_251_136),
    ("5.2", 8_912_896, 1_176_502_272),
    ("6.0", 35_651_584, 1_176_502_272),
    ("6.1", 35_651_584, 2_353_004_544),
    ("6.2", 35_651_584, 4_706_009_088),
)


def h264_level(width: int, height: int, rate: Fraction, control: RateControl) -> CodecLevel:
    """The lowest level whose limits hold for this size (pixels), rate (frames per second) and peak bit rate.

    Raises InputRejected when there is none.
    """
    macroblocks = math.ceil(width / _MACROBLOCK) * math.ceil(height / _MACROBLOCK)
    for level, per_second, per_frame, bits in _H264:
        if macroblocks <= per_frame and macroblocks * rate <= per_second and control.max_rate <= bits:
            return CodecLevel(level)
    raise _none("H.264", width, height, rate)


def hevc_level(width: int, height: int, rate: Fraction, control: RateControl) -> CodecLevel:
    """The lowest HEVC level that allows this, in main tier. Raises InputRejected when there is none.

    The buffer counts as well: its limits are the same numbers as those of the rates.
    """
    bits = max(control.max_rate, control.buffer_size)
    row = _lowest(_HEVC, width, height, rate, bits)
    if row is None:
        raise _none("HEVC", width, height, rate)
    return CodecLevel(row.name, "main" if bits <= row.main else "high")


def hevc_level_of_hardware(width: int, height: int, rate: Fraction, control: RateControl) -> CodecLevel:
    """As `hevc_level`, in high tier where the level has one: it costs the hardware nothing and allows it peaks."""
    level = hevc_level(width, height, rate, control)
    return CodecLevel(level.name, "high" if next(row for row in _HEVC if row.name == level.name).high else "main")


def av1_level(width: int, height: int, rate: Fraction, control: RateControl) -> CodecLevel:
    """The lowest AV1 level that allows this. Raises InputRejected when there is none."""
    row = _lowest(_AV1, width, height, rate, control.max_rate)
    if row is None:
        raise _none("AV1", width, height, rate)
    return CodecLevel(row.name, "main" if control.max_rate <= row.main else "high")


def vp9_level(width: int, height: int, rate: Fraction, _: RateControl) -> CodecLevel:
    """The lowest VP9 level that allows this size and rate. Raises InputRejected when there is none."""
    samples = width * height
    for level, per_frame, per_second in _VP9:
        if samples <= per_frame and int(samples * rate) <= per_second:
            return CodecLevel(level)
    raise _none("VP9", width, height, rate)


def h264_codecs(profile: str, level: CodecLevel) -> str:
    """The codecs string of RFC 6381, e.g. avc1.64001f for High at level 3.1."""
    return f"avc1.{H264_PROFILES[profile].lower()}{h264_number(level):02x}"


def hevc_codecs(_: str, level: CodecLevel) -> str:
    """The codecs string of ISO/IEC 14496-15, e.g. hvc1.1.6.L93.90 for Main at level 3.1: frames, and progressive."""
    return f"hvc1.1.6.{HEVC_TIERS[level.tier]}{hevc_number(level)}.90"


def hevc_ten_bit_codecs(level: CodecLevel, _: ColorSpace) -> str:
    """The codecs string of Main 10, e.g. hvc1.2.4.L93.90 at level 3.1."""
    return f"hvc1.2.4.{HEVC_TIERS[level.tier]}{hevc_number(level)}.90"


def av1_ten_bit_codecs(level: CodecLevel, color: ColorSpace) -> str:
    """The codecs string of 10 bits, e.g. av01.0.04M.10.0.110.09.16.09.0: with colors, as BT.709 is meant without."""
    return f"av01.0.{av1_number(level):02d}{AV1_TIERS[level.tier]}.10{av1_color(color)}"


def av1_color(color: ColorSpace) -> str:
    """The optional part of AV1's codecs string: not monochrome, 4:2:0, code points of the color space, its range."""
    primaries, transfer, matrix = color.codes
    return f".0.110.{primaries:02d}.{transfer:02d}.{matrix:02d}.{int(color.range == ColorRange.FULL)}"


def av1_codecs(_: str, level: CodecLevel) -> str:
    """The codecs string of AV1 in ISOBMFF, e.g. av01.0.04M.08 for Main at level 3.0 with 8 bits."""
    return f"av01.0.{av1_number(level):02d}{AV1_TIERS[level.tier]}.08"


def vp9_codecs(profile: str, level: CodecLevel) -> str:
    """The codecs string of VP9 in ISOBMFF, e.g. vp09.00.31.08 for profile 0 at level 3.1 with 8 bits."""
    return f"vp09.{int(profile):02d}.{h264_number(level):02d}.08"


def h264_number(level: CodecLevel) -> int:
    """level_idc of H.264, and the level of VP9, e.g. 31."""
    return int(level.name.replace(".", ""))


def hevc_number(level: CodecLevel) -> int:
    """general_level_idc of HEVC, e.g. 93 for 3.1."""
    return h264_number(level) * 3


def av1_number(level: CodecLevel) -> int:
    """seq_level_idx of AV1, e.g. 5 for 3.1."""
    major, minor = level.name.split(".")
    return (int(major) - 2) * 4 + int(minor)


def _lowest(rows: tuple[_Row, ...], width: int, height: int, rate: Fraction, bits: int) -> _Row | None:
    samples, longest = width * height, max(width, height)
    fitting = (
        row
        for row in rows
        if samples <= row.frame
        and samples * rate <= row.rate
        and longest <= row.side
        and bits <= max(row.main, row.high)
    )
    return next(fitting, None)


def _none(codec: str, width: int, height: int, rate: Fraction) -> InputRejected:
    return InputRejected(
        f"no {codec} level allows {width}x{height} at {float(rate):.2f} frames per second; request a smaller size"
    )
