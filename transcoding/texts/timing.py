"""Times of cues, as text formats write them; milliseconds here."""

import re

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_LINE = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s+(\S.*))?", re.ASCII)
_CLOCK = re.compile(r"\s*(\d{1,3}):(\d{1,2}):(\d{1,2})[.:](\d{1,3})\s*", re.ASCII)
_HOUR, _MINUTE, _SECOND = 3_600_000, 60_000, 1000


def parse_timing(line: str) -> tuple[int, int, str] | None:
    """Read `start --> end` of WebVTT or SubRip, and what follows on the line. None: it is another line."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    parts = found.groups()
    return _milliseconds(*parts[:4]), _milliseconds(*parts[4:8]), (parts[8] or "").strip()


def parse_clock(text: str) -> int | None:
    """Read a time of ASS, such as 0:01:02.50. None: it is none."""
    found = _CLOCK.fullmatch(text)
    return _milliseconds(*found.groups()) if found else None


def _milliseconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> int:
    return int(hours or 0) * _HOUR + int(minutes) * _MINUTE + int(seconds) * _SECOND + int(fraction.ljust(3, "0"))


def time_text(milliseconds: int) -> str:
    """Write a time as WebVTT does."""
    hours, rest = divmod(milliseconds, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    seconds, rest = divmod(rest, _SECOND)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"
