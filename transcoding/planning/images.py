"""The images that were made of a video, as they are stored with it."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from transcoding import records
from transcoding.grid import FrameGrid
from transcoding.planning.thumbnails import COLUMNS, ROWS, Sampling
from transcoding.probing.streams import Resolution
from transcoding.upgrades import THUMBNAIL_UPGRADES

POSTER, SPRITES_VTT = "poster.jpg", "sprites.vtt"
_STORED = re.compile(r"poster\.jpg|(thumbnail|sprite)-\d{1,3}\.jpg|preview\.(webp|gif)", re.ASCII)
JPEG = "image/jpeg"
_MEDIA_TYPES = {"jpg": JPEG, "webp": "image/webp", "gif": "image/gif"}


def thumbnail_name(number: int) -> str:
    """Return the name of a thumbnail, counted from 0."""
    return f"thumbnail-{number}.jpg"


def sprite_name(number: int | str) -> str:
    """Return the name of a sprite sheet, counted from 0, or the pattern of all of them for a placeholder."""
    return f"sprite-{number}.jpg"


def preview_name(form: str) -> str:
    """Return the name of the animated preview in a format, webp or gif."""
    return f"preview.{form}"


def media_type_of(name: str) -> str | None:
    """Return the media type of a stored image by its name. None: no image has that name."""
    return _MEDIA_TYPES[name.rpartition(".")[2]] if _STORED.fullmatch(name) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """One image in the store."""

    name: str
    width: int
    height: int
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """An image of one moment, in seconds."""

    image: StoredImage
    time: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprites:
    """Sprite sheets: images at equal distances, in rows from the top left. The last sheet may end in black."""

    sheets: tuple[StoredImage, ...]
    width: int
    height: int
    """Size of one image."""
    count: int
    """Images in all sheets."""
    interval: Fraction
    """Distance of the images, in seconds."""

    @classmethod
    def of(cls, sampling: Sampling, grid: FrameGrid, cell: Resolution, sheets: tuple[StoredImage, ...]) -> Self:
        """Describe the sheets of a sampled video."""
        return cls(
            sheets=sheets,
            width=cell.width,
            height=cell.height,
            count=sampling.cells,
            interval=sampling.cell_frames / grid.rate,
        )

    @property
    def bandwidth(self) -> int:
        """Bits per second that the largest sheet takes while it lasts, at least 1."""
        seconds = COLUMNS * ROWS * self.interval
        return max(1, int(8 * max(sheet.size for sheet in self.sheets) / seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The animated preview: the same frames in several formats."""

    files: tuple[StoredImage, ...]
    start: Fraction
    duration: Fraction
    """In seconds, as `start`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A scene change: the first frame of a scene, in seconds, and how much it differs from the one before, 0 to 1."""

    time: Fraction
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """All images of a video that were made together, and the scene changes that were found meanwhile."""

    name: str
    """Part of their keys and URLs, never used again."""
    poster: Thumbnail
    thumbnails: tuple[Thumbnail, ...]
    sprites: Sprites
    preview: Preview
    duration: Fraction
    """Length of the video, in seconds."""
    scenes: tuple[Scene, ...]
    scene_precision: Fraction
    """Distance of the frames that were compared for scene changes, in seconds."""

    @property
    def images(self) -> tuple[StoredImage, ...]:
        """Every object of the set."""
        return (
            self.poster.image,
            *(thumbnail.image for thumbnail in self.thumbnails),
            *self.sprites.sheets,
            *self.preview.files,
        )

    @property
    def size(self) -> int:
        """Bytes of all images."""
        return sum(image.size for image in self.images)

    def to_json(self) -> dict[str, object]:
        """Return the set as JSON-ready values, with its version."""
        return records.to_versioned(self, THUMBNAIL_UPGRADES)

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read a stored set. Raises UnknownVersion for one of a later program, ValueError for anything else."""
        return records.from_versioned(cls, data, THUMBNAIL_UPGRADES)
