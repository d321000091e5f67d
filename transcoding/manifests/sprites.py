"""WebVTT of sprite sheets: which part of which sheet shows a moment, for players that show it while scrubbing."""

from collections.abc import Iterator
from fractions import Fraction

from transcoding.planning.images import Sprites, sprite_name
from transcoding.planning.thumbnails import COLUMNS, ROWS

VTT_CONTENT_TYPE = "text/vtt; charset=utf-8"


def sprites_vtt(sprites: Sprites, *, duration: Fraction) -> str:
    """Render the cues; URLs are relative to its own, with the part of the image as a media fragment (`#xywh=`)."""
    return "WEBVTT\n" + "".join(f"\n{cue}\n" for cue in _cues(sprites, duration))


def _cues(sprites: Sprites, duration: Fraction) -> Iterator[str]:
    for number in range(sprites.count):
        start, end = number * sprites.interval, min((number + 1) * sprites.interval, duration)
        sheet, index = divmod(number, COLUMNS * ROWS)
        row, column = divmod(index, COLUMNS)
        area = f"{column * sprites.width},{row * sprites.height},{sprites.width},{sprites.height}"
        yield f"{_time(start)} --> {_time(end)}\n{sprite_name(sheet)}#xywh={area}"


def _time(seconds: Fraction) -> str:
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
