"""The ladder: the renditions worth encoding. Policy is the table; the code only applies it."""

from dataclasses import dataclass
from fractions import Fraction

from transcoding.probing.streams import Resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One step of the ladder: a frame size by its short side, and what it may cost in bits per second."""

    name: str
    short_side: int
    bitrate: int


RUNGS = (
    Rung(name="2160p", short_side=2160, bitrate=16_000_000),
    Rung(name="1440p", short_side=1440, bitrate=9_000_000),
    Rung(name="1080p", short_side=1080, bitrate=5_000_000),
    Rung(name="720p", short_side=720, bitrate=3_000_000),
    Rung(name="480p", short_side=480, bitrate=1_500_000),
    Rung(name="360p", short_side=360, bitrate=800_000),
    Rung(name="240p", short_side=240, bitrate=400_000),
    Rung(name="144p", short_side=144, bitrate=200_000),
)
"""Every named size, dearest first."""

_SMALLEST_OF_LARGE_SOURCES = 360
"""Sources of at least this short side get no rung below it; smaller ones get the single rung that fits."""
_SMALLEST_UNASKED = 240
"""Short side of the smallest named rung that is chosen without being requested."""
_SMALLEST_BITRATE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionSize:
    """Name, even pixel size and bitrate (bits per second) of one rendition to encode."""

    name: str
    width: int
    height: int
    bitrate: int

    def __post_init__(self) -> None:
        if self.width % 2 or self.height % 2 or self.width <= 0 or self.height <= 0:
            raise ValueError(f"a rendition has even, positive sides, got {self.width}x{self.height}")
        if self.bitrate <= 0:
            raise ValueError(f"a rendition has a positive bitrate, got {self.bitrate}")


@dataclass(frozen=True, slots=True)
class Ladder:
    """Renditions of one codec, best first, each strictly cheaper than the last."""

    rungs: tuple[RenditionSize, ...]

    def __post_init__(self) -> None:
        if not self.rungs:
            raise ValueError("a ladder needs at least one rung")
        for upper, lower in zip(self.rungs, self.rungs[1:], strict=False):
            if lower.bitrate >= upper.bitrate:
                raise ValueError(f"{lower.name} must cost less than {upper.name}")


def plan_ladder(source: Resolution) -> Ladder:
    """Choose the rungs for a source. Never upscales; always returns one rung."""
    rungs = [rung for rung in RUNGS if _SMALLEST_OF_LARGE_SOURCES <= rung.short_side <= source.short_side]
    return Ladder(tuple(fit(source, rung) for rung in rungs) or (fit(source, _best_rung(source)),))


def single_rung(source: Resolution, *, requested: str | None, bitrate: int | None) -> Ladder:
    """One rendition of the requested size ("720p" or "1280x720") and bitrate, no larger than the source."""
    rung = _requested_rung(source, requested) if requested else _best_rung(source)
    size = fit(source, rung)
    return Ladder(
        (RenditionSize(name=size.name, width=size.width, height=size.height, bitrate=bitrate or size.bitrate),)
    )


def parse_size(text: str) -> Resolution | int:
    """Read "720p" as a short side and "1280x720" as a box; "4k" is 2160p. Raises ValueError for anything else."""
    text = "2160p" if text == "4k" else text
    if text.endswith("p") and text[:-1].isdigit() and any(rung.name == text for rung in RUNGS):
        return int(text[:-1])
    width, cross, height = text.partition("x")
    if cross and width.isdigit() and height.isdigit():
        return Resolution(width=int(width), height=int(height))
    raise ValueError(f"{text!r} is neither WIDTHxHEIGHT nor one of {', '.join(rung.name for rung in RUNGS)}")


def fit(source: Resolution, rung: Rung) -> RenditionSize:
    """Scale the source to a rung's short side, keeping its shape; both sides even, none larger than the source's."""
    short = min(rung.short_side, source.short_side)
    scale = Fraction(short, source.short_side)
    return RenditionSize(
        name=rung.name,
        width=_even(source.width * scale),
        height=_even(source.height * scale),
        bitrate=rung.bitrate,
    )


def _even(side: Fraction) -> int:
    """The even length next to this one, 2 at least; odd source sides lose their last row."""
    return max(2, round(side / 2) * 2 if side.denominator > 1 else int(side) // 2 * 2)


def _best_rung(source: Resolution) -> Rung:
    """The largest rung that fits, or a rung of the source's own size below all of them."""
    fitting = (rung for rung in RUNGS if rung.short_side <= source.short_side and rung.short_side >= _SMALLEST_UNASKED)
    return next(fitting, None) or _own_rung(source.short_side)


def _own_rung(short_side: int) -> Rung:
    """A rung for a size without a name; its bitrate shrinks with the frame from the next larger named rung's."""
    above = next((rung for rung in reversed(RUNGS) if rung.short_side >= short_side), RUNGS[0])
    share = Fraction(short_side, above.short_side) ** 2
    return Rung(
        name=f"{short_side}p", short_side=short_side, bitrate=max(_SMALLEST_BITRATE, int(above.bitrate * share))
    )


def _requested_rung(source: Resolution, requested: str) -> Rung:
    size = parse_size(requested)
    short = size if isinstance(size, int) else _short_side_in(source, size)
    short = min(short, source.short_side)
    return next((rung for rung in RUNGS if rung.short_side == short), None) or _own_rung(short)


def _short_side_in(source: Resolution, box: Resolution) -> int:
    """Short side of the source scaled to fit into a box."""
    scale = min(Fraction(box.width, source.width), Fraction(box.height, source.height))
    return max(2, int(source.short_side * scale))
