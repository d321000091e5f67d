"""Advanced SubStation Alpha (.ass, .ssa): the words, where they stand, and what is bold, italic or underlined.

Fonts, colors, movements and drawings have no counterpart in WebVTT.
"""

import re
from collections.abc import Iterator

from transcoding.texts.cues import Cue
from transcoding.texts.markup import cleaned, escaped
from transcoding.texts.subrip import line_setting
from transcoding.texts.timing import parse_clock

_OPENING = re.compile(r"\s*\[(?:script info|events|v4\+? styles)\]", re.IGNORECASE)
_COMMANDS = re.compile(r"(\{[^{}]*\})")
_STYLE = re.compile(r"\\([biu])(\d{1,3})(?!\d)")
_ALIGNED = re.compile(r"\\an([1-9])")
_PLACED = re.compile(r"\\pos\(\s*-?[\d.]+\s*,\s*(-?\d{1,9})(?:\.\d*)?\s*\)", re.ASCII)
_HEIGHT = re.compile(r"\s*(\d{1,6})\s*", re.ASCII)
_DRAWING = re.compile(r"\\p[1-9]")
_BREAKS = re.compile(r"\\[Nn]")
_TOP, _MIDDLE, _BOTTOM = "8", "5", "2"
_USUAL_HEIGHT = 288
"""Lines of the screen that positions are on, unless a file says otherwise."""
_USUAL_ORDER = "layer,start,end,style,name,marginl,marginr,marginv,effect,text"


def is_ass(text: str) -> bool:
    """Tell whether a text begins like such a file."""
    return bool(_OPENING.match(text))


def parse_ass(text: str) -> Iterator[Cue]:
    """Yield the cues of a file, in its order."""
    events, order, height = False, _USUAL_ORDER.split(","), _USUAL_HEIGHT
    for line in text.split("\n"):
        kind, _, rest = line.strip().partition(":")
        if kind.startswith("["):
            events = kind.lower() == "[events]"
        elif kind == "PlayResY" and (number := _HEIGHT.fullmatch(rest)):
            height = int(number[1])
        elif events and kind == "Format":
            order = [name.strip().lower() for name in rest.split(",")]
        elif events and kind == "Dialogue":
            fields = dict(zip(order, rest.split(",", len(order) - 1), strict=False))
            start, end = parse_clock(fields.get("start", "")), parse_clock(fields.get("end", ""))
            if start is not None and end is not None:
                yield _cue(start, end, fields.get("text", ""), height)


def _cue(start: int, end: int, text: str, height: int) -> Cue:
    commands = "".join(_COMMANDS.findall(text))
    aligned, placed = _ALIGNED.search(commands), _PLACED.search(commands)
    alignment = _third(int(placed[1]), height) if placed else aligned[1] if aligned else ""
    words = "" if _DRAWING.search(commands) else "".join(map(_piece, _COMMANDS.split(text)))
    return Cue(start=start, end=end, text=cleaned(words), settings=line_setting(alignment))


def _third(y: int, height: int) -> str:
    """Return the alignment of the third of the screen that a height lies in."""
    if y * 3 < height:
        return _TOP
    return _MIDDLE if y * 3 < height * 2 else _BOTTOM


def _piece(piece: str) -> str:
    """Return the tags for commands, and words as they are: brackets mean nothing here."""
    if not piece.startswith("{"):
        return escaped(_BREAKS.sub("\n", piece).replace("\\h", "\u00a0"))
    styles = _STYLE.findall(piece)
    return "".join(f"<{'' if int(number) else '/'}{name}>" for name, number in styles)
