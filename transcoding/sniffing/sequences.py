"""Frames of H.264 and HEVC as their sequence parameter sets describe them: size, pixels, colors, rate."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from transcoding.color import ColorSpace
from transcoding.sniffing.bits import BitReader, OutOfBits
from transcoding.sniffing.nal import h264_sequence, skip_profile, unescaped

_ASPECTS = (
    (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11),
    (80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1),
)  # fmt: skip
"""Shapes of a pixel by code, from 1 on (ISO/IEC 14496-10, table E-1)."""
_OWN_ASPECT = 255
_MAX_ASPECT = 10
_SUBSAMPLED = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}
"""Pixels of luma for one of chroma, across and down."""
_UNSPECIFIED = (2, 2, 2)
_MAX_SIDE = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFacts:
    """Frames of a sequence, cropped. None: the sequence does not say it."""

    width: int
    height: int
    sample_aspect: Fraction = Fraction(1)
    interlaced: bool = False
    color: ColorSpace | None = None
    rate: Fraction | None = None


def read_h264_frames(unit: bytes) -> FrameFacts:
    """Read a sequence parameter set of H.264. Raises OutOfBits for one that is none."""
    bits = BitReader(unescaped(unit)[1:])
    sequence = h264_sequence(bits)
    if not sequence.frames_only:
        bits.skip(1)
    bits.skip(1)
    fields = 1 if sequence.frames_only else 2
    across, down = (1, 1) if sequence.separate_planes else _SUBSAMPLED[sequence.chroma]
    columns, rows = sequence.macroblocks
    width, height = _cropped(bits, 16 * columns, 16 * rows * fields, (across, down * fields))
    facts = FrameFacts(width=width, height=height, interlaced=not sequence.frames_only)
    try:
        return _with_usability(bits, facts) if bits.flag() else facts
    except OutOfBits:
        return facts  # size and fields are all that decoders need


def read_hevc_frames(unit: bytes) -> FrameFacts:
    """Read the size in a sequence parameter set of HEVC. Raises OutOfBits for one that is none."""
    bits = BitReader(unescaped(unit)[2:])
    bits.skip(4)
    layers = bits.number(3)
    bits.skip(1)
    skip_profile(bits, layers)
    bits.unsigned()
    chroma = bits.unsigned()
    if chroma not in _SUBSAMPLED:
        raise OutOfBits(f"{chroma} is no chroma format")
    separate = chroma == 3 and bits.flag()  # noqa: PLR2004 - 4:4:4
    width, height = bits.unsigned(), bits.unsigned()
    width, height = _cropped(bits, width, height, (1, 1) if separate else _SUBSAMPLED[chroma])
    return FrameFacts(width=width, height=height)


def _cropped(bits: BitReader, width: int, height: int, unit: tuple[int, int]) -> tuple[int, int]:
    if bits.flag():
        left, right, top, bottom = (bits.unsigned() for _ in range(4))
        width -= (left + right) * unit[0]
        height -= (top + bottom) * unit[1]
    if not (1 <= width <= _MAX_SIDE and 1 <= height <= _MAX_SIDE):
        raise OutOfBits("frames cannot have this size")
    return width, height


def _with_usability(bits: BitReader, facts: FrameFacts) -> FrameFacts:
    """Read video usability information (ISO/IEC 14496-10, E.1.1) up to the rate."""
    aspect = _aspect(bits) if bits.flag() else Fraction(1)
    if bits.flag():  # overscan
        bits.skip(1)
    color = _color(bits) if bits.flag() else None
    if bits.flag():  # positions of chroma
        bits.unsigned()
        bits.unsigned()
    rate = None
    if bits.flag():
        units, scale = bits.number(32), bits.number(32)
        rate = Fraction(scale, 2 * units) if units else None
    return FrameFacts(
        width=facts.width,
        height=facts.height,
        sample_aspect=aspect,
        interlaced=facts.interlaced,
        color=color,
        rate=rate or None,
    )


def _aspect(bits: BitReader) -> Fraction:
    code = bits.number(8)
    if code == _OWN_ASPECT:
        width, height = bits.number(16), bits.number(16)
    else:
        width, height = _ASPECTS[code - 1] if 1 <= code <= len(_ASPECTS) else (1, 1)
    aspect = Fraction(width, height) if width and height else Fraction(1)
    return aspect if Fraction(1, _MAX_ASPECT) <= aspect <= _MAX_ASPECT else Fraction(1)


def _color(bits: BitReader) -> ColorSpace | None:
    bits.skip(3)
    full = bits.flag()
    codes = (bits.number(8), bits.number(8), bits.number(8)) if bits.flag() else _UNSPECIFIED
    return ColorSpace.of_codes(*codes, full=full)
