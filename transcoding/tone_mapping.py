"""The mapping of high dynamic range to standard range, as a table of colors that ffmpeg interpolates in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import exp

from transcoding.color import Transfer
from transcoding.hdr import SDR_WHITE, USUAL_PEAK, pq_luminance, pq_value

TABLE_NAME = "tones.cube"
_NODES = 33
"""Values of each color in the table: what lies between them differs by less than a step of 8 bits."""
_CACHED_TABLES = 4
"""Cached tables of a process, of a megabyte each: masters may say any of ten thousand peaks."""
_GAMMA = 2.4
"""Of displays of standard range (ITU-R BT.1886)."""
_HLG_GAMMA = 1.2
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073
"""Of HLG, for a display of 1000 cd/m2 (ITU-R BT.2100)."""
_BT2020_LUMA = (0.2627, 0.6780, 0.0593)
_BT709_LUMA = (0.2126, 0.7152, 0.0722)
_BT2020_TO_BT709 = (
    (1.660491, -0.587641, -0.072850),
    (-0.124550, 1.132900, -0.008349),
    (-0.018151, -0.100579, 1.118730),
)

Color = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class ToneCurve:
    """The curve of ITU-R BT.2390 from a master with so much light (cd/m2) to a display whose white is `white`.

    Dark and middle tones stay as they are, what is brighter is rolled off towards white. It works on the PQ value of
    the strongest of red, green and blue. The others follow, so that hues stay.
    """

    peak: int
    white: int = SDR_WHITE

    @cached_property
    def source(self) -> float:
        """PQ value of the brightest light of the master."""
        return pq_value(self.peak)

    @cached_property
    def target(self) -> float:
        """PQ value of white, relative to that of the brightest light."""
        return pq_value(self.white) / self.source

    @cached_property
    def knee(self) -> float:
        """Value, relative to that of the brightest light, from which on the curve leaves the straight line."""
        return max(0.0, 1.5 * self.target - 0.5)

    def mapped(self, value: float) -> float:
        """Return the PQ value, 0 to 1, that another becomes: above the knee by a Hermite spline."""
        source, target, knee = self.source, self.target, self.knee
        relative = min(value / source, 1.0)
        if relative <= knee:
            return relative * source
        t = (relative - knee) / (1 - knee)
        spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * target
        return spline * source

    def shown(self, light: Color) -> Color:
        """Return what a color in cd/m2 becomes, as a share of white."""
        strongest = max(light)
        if not strongest:
            return 0.0, 0.0, 0.0
        gain = pq_luminance(self.mapped(pq_value(strongest))) / self.white / strongest
        return _each(lambda part: gain * part, light)


@lru_cache(_CACHED_TABLES)
def tone_table(transfer: Transfer, peak: int) -> str:
    """Return a table in the format of `.cube` from RGB of BT.2020 with a transfer function to RGB of BT.709.

    White is where nothing in the master is brighter, 203 cd/m2 at most. Nothing in the table depends on frames: all
    chunks of a video are mapped alike, by any version of ffmpeg.
    """
    curve = ToneCurve(peak=peak, white=min(peak, SDR_WHITE))
    colors = (curve.shown(_light(transfer, signal)) for signal in _grid())
    rows = ("{:.6f} {:.6f} {:.6f}".format(*in_bt709(color)) for color in colors)
    return "\n".join([f"LUT_3D_SIZE {_NODES}", *rows, ""])


def in_bt709(color: Color) -> Color:
    """Return the coded values, 0 to 1, of light in BT.2020 as a share of white.

    What lies outside of BT.709 is clipped, which adds luminance. It is darkened by the share of that, so that colors
    outside differ from those at the edge and from each other.
    """
    signed = [sum(map(_product, row, color)) for row in _BT2020_TO_BT709]
    shown = [max(part, 0.0) for part in signed]
    luminance, before = sum(map(_product, _BT709_LUMA, shown)), sum(map(_product, _BT709_LUMA, signed))
    share = max(before, 0.0) / luminance if luminance else 1.0
    red, green, blue = (share * min(part, 1.0) ** (1 / _GAMMA) for part in shown)
    return red, green, blue


def _product(one: float, other: float) -> float:
    return one * other


def _grid() -> Iterator[Color]:
    """Yield the signals of a table, red changing fastest."""
    nodes = [node / (_NODES - 1) for node in range(_NODES)]
    return ((red, green, blue) for blue, green, red in product(nodes, repeat=3))


def _light(transfer: Transfer, signal: Color) -> Color:
    """Return the light of a signal in cd/m2; that of HLG as a display of 1000 cd/m2 shows it."""
    if transfer != Transfer.HLG:
        return _each(pq_luminance, signal)
    scene = _each(_hlg_scene, signal)
    gain = USUAL_PEAK * sum(map(_product, _BT2020_LUMA, scene)) ** (_HLG_GAMMA - 1)
    return _each(lambda part: gain * part, scene)


def _each(change: Callable[[float], float], color: Color) -> Color:
    red, green, blue = color
    return change(red), change(green), change(blue)


def _hlg_scene(signal: float) -> float:
    """Return the light of the scene for a signal of HLG, both 0 to 1."""
    return signal**2 / 3 if signal <= 1 / 2 else (exp((signal - _HLG_C) / _HLG_A) + _HLG_B) / 12
