"""Filters that draw a watermark on the frames of a rendition.

It is drawn at the size of the rendition, so that it is as sharp as that allows. The text goes through a file: it is
never part of the graph, and nothing in it is expanded.
"""

from transcoding.color import Transfer
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import VideoRendition
from transcoding.planning.watermarks import Position, Watermark

TEXT_NAME = "watermark.txt"
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
"""Of the Debian package fonts-dejavu-core."""
_WHITE = 255
_WHITES = {Transfer.PQ: 148, Transfer.HLG: 191}
"""Levels of 8 bits of white letters in high dynamic range: 203 cd/m2, which graphics have there (ITU-R BT.2408)."""
_OUTLINE = 16
"""Letters are so many times as large as their black outline, which keeps them legible on white."""
_ACROSS = {
    "{margin}": (Position.TOP_LEFT, Position.LEFT, Position.BOTTOM_LEFT),
    "(w-{width})/2": (Position.TOP, Position.CENTER, Position.BOTTOM),
    "w-{width}-{margin}": (Position.TOP_RIGHT, Position.RIGHT, Position.BOTTOM_RIGHT),
}
_DOWN = {
    "{margin}": (Position.TOP_LEFT, Position.TOP, Position.TOP_RIGHT),
    "(h-{height})/2": (Position.LEFT, Position.CENTER, Position.RIGHT),
    "h-{height}-{margin}": (Position.BOTTOM_LEFT, Position.BOTTOM, Position.BOTTOM_RIGHT),
}


def watermarked(plan: EncodePlan, rendition: VideoRendition) -> tuple[str, ...]:
    """Return the filter that draws the plan's watermark on frames of this rendition, if it has one."""
    mark = plan.watermark
    if mark is None:
        return ()
    size, level = mark.height(rendition.height), _white(rendition)
    x, y = _corner(mark, rendition.height, width="text_w", height="text_h")
    options = {
        "fontfile": FONT,
        "textfile": TEXT_NAME,
        "expansion": "none",
        "fontsize": str(size),
        "fontcolor": f"0x{level:02x}{level:02x}{level:02x}@{mark.opacity:.3f}",
        "borderw": str(max(1, round(size / _OUTLINE))),
        "bordercolor": f"black@{mark.opacity:.3f}",
        "x": x,
        "y": y,
    }
    return ("drawtext=" + ":".join(f"{name}={value}" for name, value in options.items()),)


def watermark_files(plan: EncodePlan) -> dict[str, str]:
    """Return the files that `watermarked` reads, by their names."""
    return {TEXT_NAME: plan.watermark.text} if plan.watermark else {}


def _white(rendition: VideoRendition) -> int:
    return _WHITES.get(rendition.hdr.transfer, _WHITE) if rendition.hdr else _WHITE


def _corner(mark: Watermark, frame_height: int, **size: str) -> tuple[str, str]:
    """Return the expressions of the left and the top edge of a mark whose size has these names."""
    margin = mark.distance(frame_height)
    across = next(each for each, positions in _ACROSS.items() if mark.position in positions)
    down = next(each for each, positions in _DOWN.items() if mark.position in positions)
    return across.format(margin=margin, **size), down.format(margin=margin, **size)
