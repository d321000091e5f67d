"""A scene that is mastered twice: in standard range, and in high dynamic range with its white at 203 cd/m2 (BT.2408).

It is a chart of 24 colors and lights that are brighter than white, which the master of standard range shows as white.
"""

from collections.abc import Sequence
from math import log, sqrt
from pathlib import Path

from tests.ffmpeg import sources
from transcoding.hdr import SDR_WHITE, pq_value

COLUMNS, ROWS = 8, 4
PATCH = 24
SIZE = (COLUMNS * PATCH, ROWS * PATCH)
CHART = (
    *((115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170)),
    *((214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)),
    *((56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161)),
    *((243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)),
)
"""A usual chart of colors, in 8-bit BT.709."""
LIGHTS = (250, 320, 400, 500, 600, 700, 850, 1000)
"""Lights above white, in cd/m2, grey."""
_GAMMA = 2.4
_BT709_TO_BT2020 = ((0.627404, 0.329283, 0.043313), (0.069097, 0.919540, 0.011362), (0.016391, 0.088013, 0.895595))
_HLG_PEAK, _HLG_GAMMA = 1000, 1.2
_LUMA = (0.2627, 0.6780, 0.0593)
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073


def in_standard_range() -> bytes:
    """The patches as the master of standard range shows them, RGB of 8 bits, one pixel each."""
    return bytes(part for patch in (*CHART, *[(255, 255, 255)] * len(LIGHTS)) for part in patch)


def master(path: Path, curve: str, *codec: str) -> Path:
    """Encode the scene in 10 bits with a transfer function of ffmpeg's name; five frames."""
    signal = {"smpte2084": _pq, "arib-std-b67": _hlg}[curve]
    pixels = b"".join(_word(value) for light in _light() for value in signal(light))
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb48le", "-video_size", f"{COLUMNS}x{ROWS}", "-framerate", "25")
    tags = f"setparams=color_primaries=bt2020:color_trc={curve}:colorspace=bt2020nc:range=tv"
    size = f"scale={SIZE[0]}:{SIZE[1]}:flags=neighbor"
    converted = f"{size},scale=out_color_matrix=bt2020:out_range=tv:flags=accurate_rnd,format=yuv420p10le,{tags}"
    sources.run([*raw, "-i", "-", "-vf", converted, *codec, f"file:{path}"], stdin=pixels * 5)
    return path


def hevc(*parameters: str) -> tuple[str, ...]:
    """Options for x265, with parameters of its own."""
    own = ":".join(("log-level=error", *parameters))
    return "-c:v", "libx265", "-preset", "ultrafast", "-crf", "4", "-tag:v", "hvc1", "-x265-params", own


VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "10", "-b:v", "0")
"""Its coded stream does not say the transfer function, only its container does."""


def _light() -> Sequence[Sequence[float]]:
    """Light of the patches in BT.2020, in cd/m2."""
    chart = [[SDR_WHITE * (part / 255) ** _GAMMA for part in patch] for patch in CHART]
    wide = [[sum(f * part for f, part in zip(row, patch, strict=True)) for row in _BT709_TO_BT2020] for patch in chart]
    return [*wide, *([float(light)] * 3 for light in LIGHTS)]


def _pq(light: Sequence[float]) -> Sequence[float]:
    return [pq_value(part) for part in light]


def _hlg(light: Sequence[float]) -> Sequence[float]:
    """Return the signal for which a display of 1000 cd/m2 shows this light (BT.2100)."""
    shown = sum(f * part for f, part in zip(_LUMA, light, strict=True)) / _HLG_PEAK
    back = shown ** (1 / _HLG_GAMMA - 1) if shown else 0.0
    return [_hlg_signal(part / _HLG_PEAK * back) for part in light]


def _hlg_signal(scene: float) -> float:
    return sqrt(3 * scene) if scene <= 1 / 12 else _A * log(12 * scene - _B) + _C


def _word(value: float) -> bytes:
    return round(65535 * min(max(value, 0.0), 1.0)).to_bytes(2, "little")
