"""The ladder: the renditions worth encoding. Policy is the table; the code only applies it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from transcoding.errors import ResolutionUnavailable
from transcoding.probing.streams import Resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One step of the ladder: a frame size by its short side, and what it may cost in bits per second."""

    name: str
    short_side: int
    bitrate: int
    of_larger_sources: bool = True
    """Sources with a larger short side have it, too."""


RUNGS = (
    Rung(name="2160p", short_side=2160, bitrate=16_000_000),
    Rung(name="1440p", short_side=1440, bitrate=9_000_000),
    Rung(name="1080p", short_side=1080, bitrate=5_000_000),
    Rung(name="720p", short_side=720, bitrate=3_000_000),
    Rung(name="576p", short_side=576, bitrate=2_000_000, of_larger_sources=False),
    Rung(name="480p", short_side=480, bitrate=1_500_000),
    Rung(name="360p", short_side=360, bitrate=800_000),
    Rung(name="240p", short_side=240, bitrate=400_000),
    Rung(name="144p", short_side=144, bitrate=200_000),
)
"""Every named size, dearest first. 576p is that of PAL: it is nobody's second choice."""

_SMALLEST_OF_LARGE_SOURCES = 360
"""Sources of at least this short side get no rung below it; smaller ones get the single rung that fits."""
_SMALLEST_UNASKED = 240
"""Short side of the smallest named rung that is chosen without being requested."""
_SMALLEST_BITRATE = 100_000
_LONGEST_SIDE = 8192
"""Longest side of frames that encoders take; that of the hardware's is half as long."""
_NEARLY_ALIKE = Fraction(21, 20)
"""Two rungs of a ladder are further apart than this: the source's own size takes the place of a named one below it."""


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
    """Choose the rungs for a source: its own size, and the named ones below it. Never upscales.

    A source whose short side lies between two names keeps all of its lines in a rung of that size.
    """
    source = _bounded(source)
    best = _best_rung(source)
    below = (
        rung
        for rung in RUNGS
        if rung.of_larger_sources
        and rung.short_side >= _SMALLEST_OF_LARGE_SOURCES
        and rung.short_side * _NEARLY_ALIKE < best.short_side
    )
    return Ladder(tuple(fit(source, rung) for rung in (best, *below)))


def single_rung(source: Resolution, *, requested: str | None, bitrate: int | None) -> Ladder:
    """One rendition of the requested size ("720p" or "1280x720") and bitrate, no larger than the source."""
    source = _bounded(source)
    rung = _requested_rung(source, requested) if requested else _best_rung(source)
    size = fit(source, rung)
    return Ladder(
        (RenditionSize(name=size.name, width=size.width, height=size.height, bitrate=bitrate or size.bitrate),)
    )


def chosen_ladder(source: Resolution, requested: Sequence[str]) -> Ladder:
    """Renditions of the requested sizes, but those that are larger than the source; each size once.

    Raises ResolutionUnavailable where none is left.
    """
    bounded = _bounded(source)
    fitting = [size for size in requested if not is_larger(size, bounded)]
    if not fitting:
        raise ResolutionUnavailable(
            f"the source is {source.width}x{source.height}, and nothing is enlarged; request a smaller size",
            field="resolutions",
        )
    return _descending(bounded, [_requested_rung(bounded, size) for size in fitting])


def fitting_ladder(source: Resolution, requested: Sequence[tuple[str, int | None]]) -> Ladder:
    """Renditions of the requested sizes and bitrates (None: the usual one) that are no larger than the source.

    None are requested, or all are larger: as `plan_ladder`, in the latter case the source's own size alone.
    """
    if not requested:
        return plan_ladder(source)
    bounded = _bounded(source)
    rungs = [
        replace(rung, bitrate=bitrate or rung.bitrate)
        for size, bitrate in requested
        if not is_larger(size, bounded)
        for rung in (_requested_rung(bounded, size),)
    ]
    return _descending(bounded, rungs or [_best_rung(bounded)])


def _descending(source: Resolution, rungs: Iterable[Rung]) -> Ladder:
    """Return the ladder of these rungs: each size once, and none that costs as much as a larger one."""
    by_side = {rung.short_side: rung for rung in rungs}
    chosen: list[Rung] = []
    for side in sorted(by_side, reverse=True):
        if not chosen or by_side[side].bitrate < chosen[-1].bitrate:  # tiny ones cost the least there is, all of them
            chosen.append(by_side[side])
    return Ladder(tuple(fit(source, rung) for rung in chosen))


def is_larger(requested: str, source: Resolution) -> bool:
    """Tell whether a requested size needs more lines than the source has, or is a box that it does not fill."""
    size = parse_size(requested)
    return (size if isinstance(size, int) else _short_side_in(source, size)) > source.short_side


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


def _bounded(source: Resolution) -> Resolution:
    """Return the size of a source, or the largest of its shape that encoders take."""
    scale = Fraction(_LONGEST_SIDE, max(source.width, source.height))
    if scale >= 1:
        return source
    return Resolution(width=max(1, int(source.width * scale)), height=max(1, int(source.height * scale)))


def _best_rung(source: Resolution) -> Rung:
    """Return the rung of the source's own size, less a last odd row; the largest named one for sources above it."""
    short = min(source.short_side // 2 * 2, RUNGS[0].short_side)
    if short < _SMALLEST_UNASKED:
        return _own_rung(source.short_side)
    return _named(short) or _between(short)


def _named(short_side: int) -> Rung | None:
    return next((rung for rung in RUNGS if rung.short_side == short_side), None)


def _between(short_side: int) -> Rung:
    """Return a rung between two named ones; its bitrate lies between theirs as the number of its pixels does."""
    named = [rung for rung in RUNGS if rung.of_larger_sources]
    above = next(rung for rung in reversed(named) if rung.short_side > short_side)
    below = next(rung for rung in named if rung.short_side < short_side)
    pixels = Fraction(short_side**2 - below.short_side**2, above.short_side**2 - below.short_side**2)
    bitrate = below.bitrate + int((above.bitrate - below.bitrate) * pixels)
    return Rung(name=f"{short_side}p", short_side=short_side, bitrate=bitrate)


def _own_rung(short_side: int) -> Rung:
    """Return a rung of a requested size, or below all names; its bitrate shrinks with the pixels of the next name."""
    above = next(
        (rung for rung in reversed(RUNGS) if rung.of_larger_sources and rung.short_side >= short_side), RUNGS[0]
    )
    share = Fraction(short_side, above.short_side) ** 2
    return Rung(
        name=f"{short_side}p", short_side=short_side, bitrate=max(_SMALLEST_BITRATE, int(above.bitrate * share))
    )


def _requested_rung(source: Resolution, requested: str) -> Rung:
    size = parse_size(requested)
    short = size if isinstance(size, int) else _short_side_in(source, size)
    short = min(short, source.short_side)
    return _named(short) or _own_rung(short)


def _short_side_in(source: Resolution, box: Resolution) -> int:
    """Short side of the source scaled to fit into a box."""
    scale = min(Fraction(box.width, source.width), Fraction(box.height, source.height))
    return max(2, int(source.short_side * scale))
