"""Thumbnails of a video: what is requested, which frames of an encoded rendition are read, and the sizes of images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, Self

from transcoding import records
from transcoding.grid import FrameGrid
from transcoding.probing.streams import Resolution
from transcoding.upgrades import THUMBNAIL_UPGRADES

DEFAULT_COUNT = 10
MAX_THUMBNAILS = 50
"""Thumbnails of a video, chosen by us or at requested times."""
MIN_WIDTH, MAX_WIDTH = 16, 3840
THUMBNAIL_BOX = Resolution(width=320, height=180)
"""Default size of thumbnails; frames of another shape are as large as fits into it."""
CELL_BOX = Resolution(width=160, height=90)
"""Size of an image in a sprite sheet, likewise."""
POSTER_BOX = Resolution(width=1280, height=1280)
PREVIEW_WIDTH, PREVIEW_SECONDS, PREVIEW_RATE = 480, 5, 10

COLUMNS, ROWS = 5, 5
"""Images in a sprite sheet."""
MAX_CELLS = 8 * COLUMNS * ROWS
"""Images in all sprite sheets of a video; of a longer one they are further apart."""
_CELL_SECONDS, _MIN_CELL_SECONDS = 10, 1
MAX_CANDIDATES = 200
"""Frames that are measured, and may become the poster."""
_CANDIDATE_SECONDS, _KEY_SECONDS = Fraction(1, 2), Fraction(3)
"""Distance of the frames that are measured where all are decoded, and where key frames are, which cost more each."""
_MIN_KEY_FRAMES = 6
"""Key frames below which they are too few to choose from. Decoding ten seconds whole costs no more than the preview."""
MAX_DECODED_FRAMES = 216_000
"""Frames up to which a whole rendition is decoded: two hours with 30 per second."""
MAX_DECODED_SHARE = Fraction(1, 10)
"""Share of the encoded pixels up to which a whole rendition is decoded.

Decoding costs about a tenth of encoding as many pixels; all images together may cost 3 % of it.
"""


class Sized(Protocol):
    """Anything with a size in pixels, such as a rendition."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailRequest:
    """The images that a client requests of a video."""

    count: int = DEFAULT_COUNT
    """Thumbnails, spread over the video. Beside `times` it means nothing."""
    times: tuple[Fraction, ...] = ()
    """Moments of the thumbnails, in seconds, ascending. None: they are chosen for what they show."""
    width: int | None = None
    """Width of the thumbnails in pixels. None: they fit into `THUMBNAIL_BOX`."""

    def to_json(self) -> dict[str, object]:
        """Return the request as JSON-ready values, with its version."""
        return records.to_versioned(self, THUMBNAIL_UPGRADES)

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read a stored request. Raises UnknownVersion for one of a later program, ValueError for anything else."""
        return records.from_versioned(cls, data, THUMBNAIL_UPGRADES)


def fitted_into(shape: Sized, box: Sized) -> Resolution:
    """Return the largest size of this shape within a box, with even sides; never larger than the shape itself."""
    scale = min(Fraction(1), Fraction(box.width, shape.width), Fraction(box.height, shape.height))
    return Resolution(width=_even(shape.width * scale), height=_even(shape.height * scale))


def as_wide_as(shape: Sized, width: int) -> Resolution:
    """Return the size of this shape with a width, with even sides; never larger than the shape itself."""
    scale = min(Fraction(1), Fraction(width, shape.width))
    return Resolution(width=_even(shape.width * scale), height=_even(shape.height * scale))


def thumbnail_size(shape: Sized, request: ThumbnailRequest) -> Resolution:
    """Return the size of the thumbnails of a video of this shape."""
    return as_wide_as(shape, request.width) if request.width else fitted_into(shape, THUMBNAIL_BOX)


def _even(side: Fraction) -> int:
    return max(2, 2 * round(side / 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The frames of one rendition that are decoded, counted on the grid of the video."""

    whole: bool
    """Every frame is decoded. Otherwise the first one of each of `gops`, and each of them is measured."""
    gops: tuple[int, ...]
    cell_frames: int
    """Distance of the images in sprite sheets, in frames."""
    candidate_frames: int
    """Distance of the frames that are measured, in frames."""
    cells: int

    @property
    def sheets(self) -> int:
        """Number of sprite sheets."""
        return -(-self.cells // (COLUMNS * ROWS))

    @property
    def decoded_per_cell(self) -> int:
        """Decoded frames for each image in sprite sheets."""
        return self.cell_frames if self.whole else self.cell_frames // self.candidate_frames

    @property
    def decoded_per_candidate(self) -> int:
        """Decoded frames for each one that is measured."""
        return self.candidate_frames if self.whole else 1


def plan_sampling(grid: FrameGrid, rung: Sized, encoded: Sequence[Sized], *, count: int) -> Sampling:
    """Choose the frames of a rendition to decode, of a video that was encoded into these renditions.

    A small rendition is decoded whole: then scene changes are found to the frame. So is any of a short video. Of a long
    one, or where there is no small rendition, only key frames are decoded, and no more than `MAX_CANDIDATES`.
    """
    seconds = min(Fraction(_CELL_SECONDS), max(Fraction(_MIN_CELL_SECONDS), grid.duration / (COLUMNS * ROWS)))
    cell_seconds = max(seconds, grid.duration / MAX_CELLS)
    share = Fraction(_pixels(rung), sum(map(_pixels, encoded)))
    gops = range(-(-grid.frame_count // grid.gop_frames))
    whole = len(gops) < _MIN_KEY_FRAMES or (share <= MAX_DECODED_SHARE and grid.frame_count <= MAX_DECODED_FRAMES)
    usual = _CANDIDATE_SECONDS if whole else _KEY_SECONDS
    near = max(grid.duration / MAX_CANDIDATES, min(usual, grid.duration / (2 * count)))
    candidate_frames = _multiple(near * grid.rate, 1 if whole else grid.gop_frames)
    cell_frames = _multiple(cell_seconds * grid.rate, 1 if whole else candidate_frames)
    return Sampling(
        whole=whole,
        gops=tuple(gops if whole else gops[:: candidate_frames // grid.gop_frames]),
        cell_frames=cell_frames,
        candidate_frames=candidate_frames,
        cells=-(-grid.frame_count // cell_frames),
    )


def _multiple(frames: Fraction, of: int) -> int:
    """Return the least multiple that is not less than so many frames."""
    return of * math.ceil(frames / of)


def _pixels(sized: Sized) -> int:
    return sized.width * sized.height


def gops_of(grid: FrameGrid, frames: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of the GOPs with these frames, ascending."""
    return tuple(sorted({frame // grid.gop_frames for frame in frames}))


def by_segment(grid: FrameGrid, gops: Sequence[int]) -> dict[int, list[int]]:
    """Group ascending GOPs by their segment, and count them from its beginning."""
    found: dict[int, list[int]] = {}
    for gop in gops:
        segment = min(gop // grid.segment_gops, grid.total_segments - 1)  # a short tail belongs to the last one
        found.setdefault(segment, []).append(gop - segment * grid.segment_gops)
    return found


def frame_at(grid: FrameGrid, time: Fraction) -> int:
    """Return the frame that is shown at a time in seconds; behind the end, the last one."""
    return max(0, min(math.floor(time * grid.rate), grid.frame_count - 1))


def preview_frames(grid: FrameGrid, poster: int) -> tuple[int, int]:
    """Return the first frame of the animated preview and the one behind its last: it shows where the poster is from."""
    length = min(grid.frame_count, math.ceil(PREVIEW_SECONDS * grid.rate))
    first = min(poster, grid.frame_count - length)
    return first, first + length
