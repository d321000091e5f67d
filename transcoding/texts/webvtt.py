"""WebVTT (W3C): what every text becomes, and what players get."""

import re
from collections.abc import Iterable, Iterator

from transcoding.texts.cues import Cue, Cues
from transcoding.texts.markup import cleaned
from transcoding.texts.timing import parse_timing, time_text

WEBVTT_CONTENT_TYPE = "text/vtt; charset=utf-8"
WEBVTT_TYPE = "text/vtt"
_SIGNATURE = re.compile(r"WEBVTT(?=[ \t\n]|$)")
_ZERO_MAP = "X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0"
"""Says that times of cues are presentation times of the fragments beside them (RFC 8216, section 3.5). Ours start at 0,
edit lists applied."""
_NUMBER = r"\d{1,3}(?:\.\d{1,3})?"
_SETTINGS = {
    "vertical": re.compile(r"rl|lr"),
    "line": re.compile(rf"(?:-?\d{{1,4}}|{_NUMBER}%)(?:,(?:start|center|end))?", re.ASCII),
    "position": re.compile(rf"{_NUMBER}%(?:,(?:line-left|center|line-right))?", re.ASCII),
    "size": re.compile(rf"{_NUMBER}%", re.ASCII),
    "align": re.compile(r"start|center|end|left|right"),
}
"""The settings of cues that stay. Regions and styles of a file are left out."""


def is_webvtt(text: str) -> bool:
    """Tell whether a text says that it is WebVTT."""
    return bool(_SIGNATURE.match(text))


def parse_webvtt(text: str) -> Iterator[Cue]:
    """Yield the cues of a file. A block that has no times is no cue: notes, styles, regions."""
    for block in re.split(r"\n{2,}", text):
        lines = block.split("\n")
        for number, line in enumerate(lines[:2]):  # a cue may have a name, on a line of its own
            if timing := parse_timing(line):
                start, end, settings = timing
                words = cleaned("\n".join(lines[number + 1 :]))
                yield Cue(start=start, end=end, text=words, settings=_settings(settings))
                break


def _settings(text: str) -> str:
    pairs = (word.partition(":") for word in text.split())
    found = {name: value for name, _, value in pairs if name in _SETTINGS and _SETTINGS[name].fullmatch(value)}
    return " ".join(f"{name}:{value}" for name, value in found.items())


def webvtt(cues: Cues) -> str:
    """Render a whole file."""
    return "WEBVTT\n" + _cues(cues)


def webvtt_segment(cues: Cues) -> str:
    """Render a segment of an HLS rendition: the cues that are on the screen in its time, each with its whole time."""
    return f"WEBVTT\n{_ZERO_MAP}\n" + _cues(cues)


def _cues(cues: Iterable[Cue]) -> str:
    return "".join(
        f"\n{time_text(cue.start)} --> {time_text(cue.end)}{' ' if cue.settings else ''}{cue.settings}\n{cue.text}\n"
        for cue in cues
    )
