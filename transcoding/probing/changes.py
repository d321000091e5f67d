"""Changes of size, shape and format in the middle of a video, from frames at a number of times.

The outputs have one frame size. Its shape is the one that is shown the longest, and its size the largest that any
stretch of this shape has: what a call begins with is small, and would be all that is kept of it.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from transcoding.color import ColorSpace
from transcoding.probing.geometry import Orientation, displayed, orientation, pixel_aspect, turned
from transcoding.probing.streams import Crop, FieldOrder, Resolution, VideoStream

_UNTAGGED = ColorSpace()
_COLOR_TAGS = ("primaries", "transfer", "matrix", "range")
_HALF_TURN = 180
_UPRIGHT = Orientation()
_CAPTIONS = "ATSC A53 Part 4 Closed Captions"
"""ffprobe's name of the side data of closed captions."""
_MAX_SAMPLES = 40
_FEW_SAMPLES = 8
_PIXELS = 1920 * 1080 * _MAX_SAMPLES
"""Pixels of key frames that are decoded: a second or so of work."""
_STEP_SECONDS = Fraction(1, 4)
_ALIKE = Fraction(1, 100)
"""Share by which the shapes of two frames may differ that count as the same: sides are whole pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFormat:
    """Properties that are the same in all frames of nearly all videos."""

    width: int
    height: int
    aspect: Fraction
    """Width of a pixel for a height of 1."""
    pixel_format: str

    @property
    def shape(self) -> Fraction:
        """Width of the frame on the screen for a height of 1."""
        return self.width * self.aspect / self.height


def sample_times(first: Fraction, seconds: Fraction, size: Resolution) -> list[Fraction]:
    """Return times of frames to look at, evenly over a video of this length, and fewer of large ones."""
    affordable = max(_FEW_SAMPLES, min(_MAX_SAMPLES, _PIXELS // size.pixels))
    number = max(1, min(affordable, math.ceil(seconds / _STEP_SECONDS)))
    return [max(Fraction(0), first + seconds * sample / number) for sample in range(number)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A decoded frame: its format, and the order of its fields and its orientation as it says itself."""

    format: FrameFormat
    order: FieldOrder
    color: ColorSpace = _UNTAGGED
    """Color space as its tags say."""
    orientation: Orientation = _UPRIGHT
    captions: bool = False


def parse_frames(text: str) -> list[Frame]:
    """Read the output of `frames_command`. Frames that say nothing of themselves are left out."""
    frames = json.loads(text).get("frames", [])
    return [_frame(frame) for frame in frames if min(int(frame.get("width", 0)), int(frame.get("height", 0))) > 0]


def _frame(entry: Mapping[str, Any]) -> Frame:
    order = FieldOrder.TOP_FIRST if entry.get("top_field_first") else FieldOrder.BOTTOM_FIRST
    return Frame(
        format=FrameFormat(
            width=int(entry["width"]),
            height=int(entry["height"]),
            aspect=pixel_aspect(entry),
            pixel_format=str(entry.get("pix_fmt", "")),
        ),
        order=order if entry.get("interlaced_frame") else FieldOrder.PROGRESSIVE,
        color=ColorSpace.of_names(
            primaries=entry.get("color_primaries"),
            transfer=entry.get("color_transfer"),
            matrix=entry.get("color_space"),
            range_=entry.get("color_range"),
        ),
        orientation=orientation(entry.get("side_data_list", ())),
        captions=any(each.get("side_data_type") == _CAPTIONS for each in entry.get("side_data_list", ())),
    )


def layouts_in(text: str) -> set[tuple[int, str]]:
    """Return the numbers of channels and the layouts in the output of `frames_command` about an audio track."""
    frames = json.loads(text).get("frames", [])
    return {(int(frame.get("channels", 0)), str(frame.get("channel_layout", ""))) for frame in frames}


def with_usual_frame(video: VideoStream, frames: Sequence[Frame]) -> VideoStream:
    """Return the track with the size, shape and fields that its outputs have, whether its frames change, and captions.

    What frames say of themselves counts more than what the container says of them, but for their orientation.
    """
    if not frames:
        return video
    if not video.rotation and not video.mirrored and len({frame.orientation for frame in frames}) == 1:
        video = turned(video, frames[0].orientation)
    orders = Counter(frame.order for frame in frames if frame.order is not FieldOrder.PROGRESSIVE)
    order = orders.most_common(1)[0][0] if orders else FieldOrder.PROGRESSIVE
    captions = any(frame.captions for frame in frames)
    video = replace(video, field_order=order, interlaced=bool(orders), captions=captions)
    video = _with_usual_color(video, frames)
    formats = [frame.format for frame in frames]
    if len(set(formats)) == 1 and len(orders) <= 1:
        return video
    usual = _usual(formats)
    coded = Resolution(width=usual.width, height=usual.height)
    return replace(
        video,
        coded=coded,
        crop=Crop(),
        sample_aspect=usual.aspect,
        display=displayed(coded, usual.aspect, turned=video.rotation % _HALF_TURN != 0),
        changes=True,
    )


def _with_usual_color(video: VideoStream, frames: Sequence[Frame]) -> VideoStream:
    """Return the track with the color space of most frames, if their tags differ.

    High dynamic range stays what it is: the light of the one is not that of the other.
    """
    tagged = Counter(frame.color for frame in frames if frame.color != _UNTAGGED)
    names = ({getattr(color, field) for color in tagged} - {"unknown"} for field in _COLOR_TAGS)
    if all(len(found) < 2 for found in names):  # noqa: PLR2004 - one is no change
        return video
    usual = tagged.most_common(1)[0][0]
    if usual.hdr or (video.color and video.color.hdr):
        return replace(video, changes=True)
    return replace(video, color=usual, changes=True)


def _usual(found: Sequence[FrameFormat]) -> FrameFormat:
    """Return the largest format of the shape that most frames have."""
    alike = Counter({each: sum(_same_shape(each, other) for other in found) for each in found})
    highest = max(alike.values())
    return max((each for each, count in alike.items() if count == highest), key=lambda each: each.width * each.height)


def _same_shape(one: FrameFormat, other: FrameFormat) -> bool:
    return abs(one.shape / other.shape - 1) <= _ALIKE
