"""Reading a text file of any of the formats: WebVTT, SubRip, ASS and SSA."""

from collections.abc import Callable, Iterator
from itertools import islice

from transcoding.errors import NoCues, TextRejected
from transcoding.texts.ass import is_ass, parse_ass
from transcoding.texts.characters import characters
from transcoding.texts.cues import MAX_CUES, Cue, Cues
from transcoding.texts.subrip import parse_subrip
from transcoding.texts.timing import parse_timing
from transcoding.texts.webvtt import is_webvtt, parse_webvtt

_OPENING_LINES = 100
"""Lines of a file of SubRip within which its first cue begins."""


def read_text(data: bytes, *, encoding: str = "") -> Cues:
    """Return the cues of a file. Its content says what format it has. Takes time in proportion to its size.

    `encoding` as in `characters`. Raises TextRejected for a file that is no such text or has too many cues, and NoCues.
    """
    text = characters(data, encoding)
    cues = list(islice(_parser(text)(text), MAX_CUES + 1))
    if len(cues) > MAX_CUES:
        raise TextRejected(f"the file has more than {MAX_CUES} cues: leave out those that only animate")
    found = Cues.of(cues)
    if not found:
        raise NoCues("the file has no cue with a text, and a start before its end")
    return found


def _parser(text: str) -> Callable[[str], Iterator[Cue]]:
    if is_webvtt(text):
        return parse_webvtt
    if is_ass(text):
        return parse_ass
    lines = text.lstrip().split("\n", _OPENING_LINES)[:_OPENING_LINES]
    if any(parse_timing(line) for line in lines):
        return parse_subrip
    raise TextRejected("the file is none of WebVTT, SubRip (SRT), ASS and SSA")
