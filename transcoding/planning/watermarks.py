"""The watermark of a job: a text or an image that is drawn on every frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from transcoding.probing.images import ImageFormat

TEXT_SCALE, IMAGE_SCALE = 0.05, 0.15
DEFAULT_OPACITY, DEFAULT_MARGIN = 0.8, 0.03


class Position(StrEnum):
    """The place of a watermark in the frame."""

    TOP_LEFT = "top-left"
    TOP = "top"
    TOP_RIGHT = "top-right"
    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"
    BOTTOM_LEFT = "bottom-left"
    BOTTOM = "bottom"
    BOTTOM_RIGHT = "bottom-right"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkImage:
    """An image of the owner, as it was when the job was planned."""

    id: str
    format: ImageFormat
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """A mark of the same relative size and place in every rendition."""

    text: str = ""
    """Empty: it is an image."""
    image: MarkImage | None = None
    position: Position
    opacity: float
    """0 is invisible, 1 hides what is behind it."""
    scale: float
    """Size of the letters as a share of the frame's height, or width of the image as a share of the frame's width."""
    margin: float
    """Distance from the edges, as a share of the frame's height."""

    def letters(self, frame_height: int) -> int:
        """Return the size of the letters in a frame, in pixels."""
        return max(1, round(self.scale * frame_height))

    def size(self, image: MarkImage, width: int, height: int) -> tuple[int, int]:
        """Return the size of the image in a frame of this width and height, in pixels; it is never higher than that."""
        factor = min(self.scale * width / image.width, height / image.height)
        return max(1, round(factor * image.width)), max(1, round(factor * image.height))

    def distance(self, frame_height: int) -> int:
        """Return the distance from the edges, in pixels."""
        return round(self.margin * frame_height)


def watermark_of(requested: Mapping[str, Any] | None) -> Watermark | None:
    """Return the watermark that a request describes. Its image is a `MarkImage`, in place of the id in the request."""
    if requested is None:
        return None
    return Watermark(
        text=requested.get("text", ""),
        image=requested.get("image"),
        position=Position(requested.get("position", Position.BOTTOM_RIGHT)),
        opacity=float(requested.get("opacity", DEFAULT_OPACITY)),
        scale=float(requested.get("scale", TEXT_SCALE if "text" in requested else IMAGE_SCALE)),
        margin=float(requested.get("margin", DEFAULT_MARGIN)),
    )
