"""Color spaces of video (ITU-T H.273), read from sources and written to outputs as tags.

Names are those of ffprobe and of ffmpeg's options; code points are those that streams and containers hold.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

_HD_WIDTH = 1280
_PAL_LINES = 576
"""Sizes from which players take untagged video for BT.709: 1280 columns, or more lines than the 576 of PAL."""


class Primaries(StrEnum):
    """The red, green and blue that the components stand for."""

    BT709 = "bt709"
    BT470M = "bt470m"
    BT470BG = "bt470bg"
    SMPTE170M = "smpte170m"
    SMPTE240M = "smpte240m"
    FILM = "film"
    BT2020 = "bt2020"
    SMPTE428 = "smpte428"
    SMPTE431 = "smpte431"
    SMPTE432 = "smpte432"
    EBU3213 = "ebu3213"
    UNKNOWN = "unknown"


class Transfer(StrEnum):
    """The function from light to coded values."""

    BT709 = "bt709"
    BT470M = "bt470m"
    BT470BG = "bt470bg"
    SMPTE170M = "smpte170m"
    SMPTE240M = "smpte240m"
    LINEAR = "linear"
    LOG100 = "log100"
    LOG316 = "log316"
    XVYCC = "iec61966-2-4"
    BT1361E = "bt1361e"
    SRGB = "iec61966-2-1"
    BT2020_10 = "bt2020-10"
    BT2020_12 = "bt2020-12"
    PQ = "smpte2084"
    SMPTE428 = "smpte428"
    HLG = "arib-std-b67"
    UNKNOWN = "unknown"


class Matrix(StrEnum):
    """The mixture of red, green and blue in luma and chroma; `gbr` stands for the unmixed colors."""

    RGB = "gbr"
    BT709 = "bt709"
    FCC = "fcc"
    BT470BG = "bt470bg"
    SMPTE170M = "smpte170m"
    SMPTE240M = "smpte240m"
    YCGCO = "ycgco"
    BT2020NC = "bt2020nc"
    BT2020C = "bt2020c"
    SMPTE2085 = "smpte2085"
    DERIVED_NC = "chroma-derived-nc"
    DERIVED_C = "chroma-derived-c"
    ICTCP = "ictcp"
    UNKNOWN = "unknown"


class ColorRange(StrEnum):
    """The coded values of black and white: 16 and 235 of 8 bits (`tv`), or 0 and 255 (`pc`)."""

    LIMITED = "tv"
    FULL = "pc"
    UNKNOWN = "unknown"


class VideoRange(StrEnum):
    """The dynamic range of a rendition, as HLS playlists name it."""

    SDR = "SDR"
    PQ = "PQ"
    HLG = "HLG"


_RANGES: Mapping[Transfer, VideoRange] = MappingProxyType({Transfer.PQ: VideoRange.PQ, Transfer.HLG: VideoRange.HLG})
_RGB_FORMATS = re.compile(r"(?:a|0|x2)?(?:rgb|bgr)|gbr|pal8", re.ASCII)
"""Beginnings of ffmpeg's names for pixel formats of red, green and blue, those with a palette included."""
_ALPHA_FORMATS = re.compile(r"argb|abgr|rgba|bgra|gbrap|yuva|ya\d|ayuv|vuya", re.ASCII)
"""Beginnings of the names of formats with transparency."""

_PRIMARIES_CODES: Mapping[int, Primaries] = MappingProxyType(
    dict(zip((1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22, 2), Primaries, strict=True))
)
_TRANSFER_CODES: Mapping[int, Transfer] = MappingProxyType(dict(zip((1, *range(4, 19), 2), Transfer, strict=True)))
_MATRIX_CODES: Mapping[int, Matrix] = MappingProxyType(dict(zip((0, 1, *range(4, 15), 2), Matrix, strict=True)))

_MATRIX_OF: Mapping[Primaries, Matrix] = MappingProxyType(
    {
        Primaries.BT709: Matrix.BT709,
        Primaries.BT470BG: Matrix.BT470BG,
        Primaries.SMPTE170M: Matrix.SMPTE170M,
        Primaries.BT2020: Matrix.BT2020NC,
    }
)
_PRIMARIES_OF: Mapping[Matrix, Primaries] = MappingProxyType({matrix: each for each, matrix in _MATRIX_OF.items()})
_TRANSFER_OF: Mapping[Primaries, Transfer] = MappingProxyType(
    {
        Primaries.BT709: Transfer.BT709,
        Primaries.BT470BG: Transfer.SMPTE170M,  # BT.601 has one function for both of its systems
        Primaries.SMPTE170M: Transfer.SMPTE170M,
    }
)

_Name = TypeVar("_Name", Primaries, Transfer, Matrix, ColorRange)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorSpace:
    """Primaries, transfer function, matrix and range of a video; each may be unknown."""

    primaries: Primaries = Primaries.UNKNOWN
    transfer: Transfer = Transfer.UNKNOWN
    matrix: Matrix = Matrix.UNKNOWN
    range: ColorRange = ColorRange.UNKNOWN

    def __str__(self) -> str:
        return f"{self.primaries}, {self.transfer}, {self.matrix}, {self.range}"

    @classmethod
    def of_names(
        cls, *, primaries: object = None, transfer: object = None, matrix: object = None, range_: object = None
    ) -> "ColorSpace":
        """Read ffprobe's names; names that are not known here are unknown, as nothing else goes into a command."""
        return cls(
            primaries=_named(Primaries, primaries),
            transfer=_named(Transfer, transfer),
            matrix=_named(Matrix, matrix),
            range=_named(ColorRange, range_),
        )

    @classmethod
    def of_codes(cls, primaries: int, transfer: int, matrix: int, *, full: bool) -> "ColorSpace":
        """Read the code points of a `colr` box; reserved ones are unknown."""
        return cls(
            primaries=_PRIMARIES_CODES.get(primaries, Primaries.UNKNOWN),
            transfer=_TRANSFER_CODES.get(transfer, Transfer.UNKNOWN),
            matrix=_MATRIX_CODES.get(matrix, Matrix.UNKNOWN),
            range=ColorRange.FULL if full else ColorRange.LIMITED,
        )

    @property
    def video_range(self) -> VideoRange:
        """The dynamic range that follows from the transfer function."""
        return _RANGES.get(self.transfer, VideoRange.SDR)

    @property
    def hdr(self) -> bool:
        """Tell whether the transfer function is one of high dynamic range."""
        return self.transfer in _RANGES

    @property
    def codes(self) -> tuple[int, int, int]:
        """The code points of primaries, transfer function and matrix."""
        return (
            _code(_PRIMARIES_CODES, self.primaries),
            _code(_TRANSFER_CODES, self.transfer),
            _code(_MATRIX_CODES, self.matrix),
        )

    @property
    def filled(self) -> "ColorSpace":
        """The color space of a video of high dynamic range, with what it does not say: nearly all are of BT.2020."""
        return ColorSpace(
            primaries=Primaries.BT2020 if self.primaries == Primaries.UNKNOWN else self.primaries,
            transfer=self.transfer,
            matrix=Matrix.BT2020NC if self.matrix == Matrix.UNKNOWN else self.matrix,
            range=ColorRange.LIMITED if self.range == ColorRange.UNKNOWN else self.range,
        )

    @property
    def complete(self) -> bool:
        """Tell whether primaries, transfer and matrix are all known: only then does a file get a `colr` box."""
        return "unknown" not in (self.primaries, self.transfer, self.matrix)

    def _encoded_hdr(self) -> "ColorSpace":
        known = self.filled
        matrix = Matrix.BT2020NC if known.matrix == Matrix.RGB else known.matrix
        return replace(known, matrix=matrix, range=ColorRange.LIMITED)

    def encoded(self, *, long_side: int, short_side: int) -> "ColorSpace":
        """Return the color space of the renditions of such a source, whose sides are given in pixels.

        Nothing is converted, but RGB becomes YCbCr of limited range. Unknown properties are those that players assume
        for video of the source's size: BT.709 for high definition, BT.601 for standard definition. They are the same
        for all rungs; players would show untagged rungs of several sizes in different colors. High dynamic range
        becomes BT.2020 of limited range.
        """
        if self.hdr:
            return self._encoded_hdr()
        rgb = self.matrix == Matrix.RGB
        primaries = Primaries.BT709 if rgb and self.primaries == Primaries.UNKNOWN else self.primaries
        matrix = self.matrix
        if matrix in (Matrix.UNKNOWN, Matrix.RGB):
            matrix = _MATRIX_OF.get(primaries) or _usual_matrix(long_side, short_side)
        if primaries == Primaries.UNKNOWN:
            # Full range comes from computers and phones, whose primaries are those of BT.709 whatever the matrix.
            full = self.range == ColorRange.FULL
            primaries = Primaries.BT709 if full else _PRIMARIES_OF.get(matrix, Primaries.UNKNOWN)
        transfer = self.transfer
        if transfer == Transfer.UNKNOWN:
            transfer = _TRANSFER_OF.get(primaries, Transfer.UNKNOWN)
        limited = rgb or self.range == ColorRange.UNKNOWN
        return ColorSpace(
            primaries=primaries,
            transfer=transfer,
            matrix=matrix,
            range=ColorRange.LIMITED if limited else self.range,
        )


BT709 = ColorSpace(primaries=Primaries.BT709, transfer=Transfer.BT709, matrix=Matrix.BT709, range=ColorRange.LIMITED)
"""The color space of video of standard range in high definition."""


def is_rgb(pixel_format: str) -> bool:
    """Tell whether a pixel format of ffmpeg holds red, green and blue, which not every file with it says."""
    return _RGB_FORMATS.match(pixel_format) is not None


def has_alpha(pixel_format: str) -> bool:
    """Tell whether a pixel format of ffmpeg holds transparency."""
    return _ALPHA_FORMATS.match(pixel_format) is not None


def _code(codes: Mapping[int, _Name], name: _Name) -> int:
    return next(code for code, each in codes.items() if each == name)


def _named(kind: type[_Name], name: object) -> _Name:
    try:
        return kind(str(name))
    except ValueError:
        return kind("unknown")


def _usual_matrix(long_side: int, short_side: int) -> Matrix:
    if long_side >= _HD_WIDTH or short_side > _PAL_LINES:
        return Matrix.BT709
    return Matrix.BT470BG if short_side == _PAL_LINES else Matrix.SMPTE170M
