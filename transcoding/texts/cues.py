"""The cues of a text track as values: which text is shown when."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self

MAX_CUES = 10_000
"""Cues of one file: three times as many as a long film has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """A text on the screen, from `start` to `end` in milliseconds."""

    start: int
    end: int
    text: str
    """In the markup of WebVTT, with nothing else in it (see `transcoding.texts.markup`)."""
    settings: str = ""
    """Its position on the screen, as WebVTT writes it; empty: below."""


@dataclass(frozen=True, slots=True)
class Cues:
    """The cues of a track, by their starts."""

    cues: tuple[Cue, ...]

    @classmethod
    def of(cls, cues: Iterable[Cue]) -> Self:
        """Return these cues in order, but for those that are never shown and those that are there twice."""
        shown = dict.fromkeys(cue for cue in cues if cue.start < cue.end and cue.text)
        return cls(tuple(sorted(shown, key=lambda cue: cue.start)))

    def __iter__(self) -> Iterator[Cue]:
        return iter(self.cues)

    def __len__(self) -> int:
        return len(self.cues)

    def earlier(self, seconds: Fraction) -> Self:
        """Return them on a clock that starts so many seconds later. What is over before its start is left out."""
        if not seconds:
            return self
        shift = round(seconds * 1000)
        moved = (replace(cue, start=max(0, cue.start - shift), end=cue.end - shift) for cue in self.cues)
        return type(self)(tuple(cue for cue in moved if cue.end > 0))

    def shown_between(self, start: Fraction, end: Fraction) -> Self:
        """Return those that are on the screen at some moment between two times in seconds."""
        first, last = start * 1000, end * 1000
        return type(self)(tuple(cue for cue in self.cues if cue.start < last and cue.end > first))


NO_CUES = Cues(())
