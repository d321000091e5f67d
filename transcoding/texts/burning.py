"""Cues as the document that libass draws from. All that is in it is ours: of a text, the words and their style alone.

A stranger's ASS would choose fonts, and can draw shapes for minutes of every frame.
"""

import html
import math
import re
from collections.abc import Iterable
from fractions import Fraction
from heapq import heappop, heappush

from transcoding.texts.cues import Cue, Cues

_LETTERS = Fraction(6, 100)
"""Size of the letters, as a share of the shorter side of the frame."""
_OUTLINE, _MARGIN = Fraction(1, 14), Fraction(1, 2)
"""The outline, and the distance from the edges, as shares of the letters."""
_EARLY = Fraction(1, 1000)
"""A frame that starts so much before a time counts as starting then: times were rounded."""
_BEFORE_FRAME = Fraction(8, 1000)
"""Seconds before its frame at which a cue begins here. Times have hundredths: it lies before this frame and not before
the one in front of it, at up to 60 frames per second."""
_TAG = re.compile(r"<(/?)([biu])(?:[.\s][^<>]*)?>|<[^<>]*>")
_LINE = re.compile(r"line:(\d+)(%?)")
_MAX_AT_ONCE, _MAX_LETTERS = 20, 1000
"""Cues on the screen at once, and letters of one: several times what can be read. With thousands, libass draws a frame
for seconds."""
_JOINER = "\u2060"
"""Keeps a backslash from being a command with what follows it. It has no width."""
_STYLE = (
    "Name,Fontname,Fontsize,PrimaryColour,SecondaryColour,OutlineColour,BackColour,Bold,Italic,Underline,StrikeOut"
    ",ScaleX,ScaleY,Spacing,Angle,BorderStyle,Outline,Shadow,Alignment,MarginL,MarginR,MarginV,Encoding"
)


def is_drawable(cues: Cues) -> bool:
    """Tell whether drawing the cues takes no longer than encoding the frames."""
    ends: list[int] = []
    for cue in cues:  # by their starts
        while ends and ends[0] <= cue.start:
            heappop(ends)
        heappush(ends, cue.end)
        if len(ends) > _MAX_AT_ONCE or len(cue.text) > _MAX_LETTERS:
            return False
    return True


def burned_document(cues: Cues, *, rate: Fraction, width: int, height: int, white: int) -> str:
    """Render the cues for frames of this rate, and of this shape in whatever size.

    `white` is the level of white, of 255. Each cue is there in the frames that start in its time, and in no others.
    """
    letters = min(width, height) * _LETTERS
    margin = round(letters * _MARGIN)
    style = (
        f"Default,DejaVu Sans,{float(letters):.2f},&H00{white:02X}{white:02X}{white:02X},&H0,&H0,&H0,0,0,0,0"
        f",100,100,0,0,1,{float(letters * _OUTLINE):.2f},0,2,{margin},{margin},{margin},1"
    )
    lines = [
        "[Script Info]",
        "ScriptType: v4.00+",
        f"PlayResX: {width}",
        f"PlayResY: {height}",
        "WrapStyle: 0",
        "ScaledBorderAndShadow: yes",
        "YCbCr Matrix: None",
        "[V4+ Styles]",
        f"Format: {_STYLE}",
        f"Style: {style}",
        "[Events]",
        "Format: Layer,Start,End,Style,Name,MarginL,MarginR,MarginV,Effect,Text",
        *_events(cues, rate),
    ]
    return "\n".join(lines) + "\n"


def _events(cues: Iterable[Cue], rate: Fraction) -> Iterable[str]:
    for cue in cues:
        start, end = (_frame(time, rate) for time in (cue.start, cue.end))
        if start < end:
            times = f"{_clock(start, rate)},{_clock(end, rate)}"
            yield f"Dialogue: 0,{times},Default,,0,0,0,,{_position(cue)}{_words(cue.text)}"


def _frame(milliseconds: int, rate: Fraction) -> int:
    """Return the first frame that starts at a time or later."""
    return max(0, math.ceil((Fraction(milliseconds, 1000) - _EARLY) * rate))


def _clock(frame: int, rate: Fraction) -> str:
    hundredths = max(0, round((frame / rate - _BEFORE_FRAME) * 100))
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60}:{minutes % 60:02}:{rest // 100:02}.{rest % 100:02}"


def _position(cue: Cue) -> str:
    """Return the command for a cue that stands in the upper or the middle third."""
    found = _LINE.search(cue.settings)
    if found is None:
        return ""
    percent = int(found[1]) if found[2] else 0
    return "{\\an8}" if percent * 3 < 100 else "{\\an5}" if percent * 3 < 200 else ""  # noqa: PLR2004 - percent


def _words(text: str) -> str:
    """Return the text of a cue of WebVTT without anything that is a command here."""
    words, at = [], 0
    for tag in _TAG.finditer(text):
        words += [_plain(text[at : tag.start()]), _command(tag)]
        at = tag.end()
    return "".join((*words, _plain(text[at:]))).replace("\n", "\\N")


def _command(tag: re.Match[str]) -> str:
    return f"{{\\{tag[2]}{0 if tag[1] else 1}}}" if tag[2] else ""


def _plain(text: str) -> str:
    return html.unescape(text).replace("\\", f"\\{_JOINER}").replace("{", "\\{").replace("}", "\\}")
