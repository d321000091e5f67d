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
_DRAWING = re.compile(r"\\p[1-9]")
_BREAKS = re.compile(r"\\[Nn]")
_USUAL_ORDER = "layer,start,end,style,name,marginl,marginr,marginv,effect,text"


def is_ass(text: str) -> bool:
    """Tell whether a text begins like such a file."""
    return bool(_OPENING.match(text))


def parse_ass(text: str) -> Iterator[Cue]:
    """Yield the cues of a file, in its order."""
    events, order = False, _USUAL_ORDER.split(",")
    for line in text.split("\n"):
        kind, _, rest = line.strip().partition(":")
        if kind.startswith("["):
            events = kind.lower() == "[events]"
        elif events and kind == "Format":
            order = [name.strip().lower() for name in rest.split(",")]
        elif events and kind == "Dialogue":
            fields = dict(zip(order, rest.split(",", len(order) - 1), strict=False))
            start, end = parse_clock(fields.get("start", "")), parse_clock(fields.get("end", ""))
            if start is not None and end is not None:
                yield _cue(start, end, fields.get("text", ""))


def _cue(start: int, end: int, text: str) -> Cue:
    commands = "".join(_COMMANDS.findall(text))
    aligned = _ALIGNED.search(commands)
    words = "" if _DRAWING.search(commands) else "".join(map(_piece, _COMMANDS.split(text)))
    return Cue(start=start, end=end, text=cleaned(words), settings=line_setting(aligned[1] if aligned else ""))


def _piece(piece: str) -> str:
    """Return the tags for commands, and words as they are: brackets mean nothing here."""
    if not piece.startswith("{"):
        return escaped(_BREAKS.sub("\n", piece).replace("\\h", "\u00a0"))
    styles = _STYLE.findall(piece)
    return "".join(f"<{'' if int(number) else '/'}{name}>" for name, number in styles)
