"""SubRip (.srt), which has no specification: a number, a line with times, and lines of text."""

import re
from collections.abc import Iterator

from transcoding.texts.cues import Cue
from transcoding.texts.markup import cleaned
from transcoding.texts.timing import parse_timing

_BRACES = re.compile(r"\{\\[^{}]*\}")
"""Commands of ASS, which players of SubRip follow."""
_ALIGNED = re.compile(r"\{\\an?([1-9])\b[^{}]*\}")
_MIDDLE, _TOP = frozenset("456"), frozenset("789")


def parse_subrip(text: str) -> Iterator[Cue]:
    """Yield the cues of a file. What is between two lines with times belongs to the first, but for the number."""
    timing: tuple[int, int, str] | None = None
    words: list[str] = []
    for line in text.split("\n"):
        following = parse_timing(line)
        if following is None:
            words.append(line)
            continue
        if timing:
            yield _cue(timing, _without_number(words))
        timing, words = following, []
    if timing:
        yield _cue(timing, words)


def _without_number(lines: list[str]) -> list[str]:
    return lines[:-1] if lines and lines[-1].strip().isdigit() else lines


def _cue(timing: tuple[int, int, str], lines: list[str]) -> Cue:
    words = "\n".join(lines)
    aligned = _ALIGNED.search(words)
    return Cue(
        start=timing[0],
        end=timing[1],
        text=cleaned(_BRACES.sub("", words)),
        settings=line_setting(aligned[1] if aligned else ""),
    )


def line_setting(alignment: str) -> str:
    """Return the setting of WebVTT for an alignment on the number pad, as ASS has it: 8 is above."""
    if alignment in _TOP:
        return "line:0"
    return "line:50%" if alignment in _MIDDLE else ""
