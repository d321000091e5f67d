"""Warnings about sources: a code for programs, a sentence for people, and how much of it there is.

Every warning is about something that is handled by default, and its sentence says how. Whoever finds another kind adds
a code and its sentence here; API, events, admin and schema read this list.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Self


class SourceWarning(StrEnum):
    """Something unusual about a source, which is handled by default."""

    VARIABLE_FRAME_RATE = "variable_frame_rate"
    ROTATED = "rotated"
    INTERLACED = "interlaced"
    HDR = "hdr"
    ANAMORPHIC = "anamorphic"
    NO_AUDIO = "no_audio"
    NO_VIDEO = "no_video"
    AUDIO_STARTS_LATE = "audio_starts_late"
    AUDIO_CUT = "audio_cut"
    AUDIO_LONGER = "audio_longer"
    TRUNCATED = "truncated"
    TIMESTAMP_GAP = "timestamp_gap"
    TIMESTAMPS_RESTART = "timestamps_restart"
    PARTS_IGNORED = "parts_ignored"
    ALPHA_DROPPED = "alpha_dropped"
    FORMAT_CHANGES = "format_changes"
    DAMAGED = "damaged"
    STREAMS_IGNORED = "streams_ignored"
    TEXT_UNREADABLE = "text_unreadable"


SENTENCES: Mapping[SourceWarning, str] = MappingProxyType(
    {
        SourceWarning.VARIABLE_FRAME_RATE: "The frames do not come at a steady rate. The outputs have one, and show"
        " each frame at the time at which the source does.",
        SourceWarning.ROTATED: "The video is stored turned. The outputs are upright, as a player would show it.",
        SourceWarning.INTERLACED: "The video is interlaced. The outputs are not: their frames are made of its fields.",
        SourceWarning.HDR: "The video has high dynamic range. Its colors are mapped to standard range, unless a"
        " request keeps them.",
        SourceWarning.ANAMORPHIC: "The pixels of the video are not square. Those of the outputs are, and its shape on"
        " the screen stays.",
        SourceWarning.NO_AUDIO: "The file has no audio track that can be played. The outputs have none.",
        SourceWarning.NO_VIDEO: "The file has no video track. The outputs are audio alone.",
        SourceWarning.AUDIO_STARTS_LATE: "The audio starts later than the video. There is silence until then.",
        SourceWarning.AUDIO_CUT: "There is audio before or after the video, which the outputs leave out.",
        SourceWarning.AUDIO_LONGER: "The audio is longer than the video. The first frame comes as"
        " early as the audio, and the last one stays until it ends.",
        SourceWarning.TRUNCATED: "The file ends before the end that it announces. The outputs end where it does.",
        SourceWarning.TIMESTAMP_GAP: "There is a gap in the times of the frames. The last frame before it stays for as"
        " long.",
        SourceWarning.TIMESTAMPS_RESTART: "The clock of the file starts again, as in recordings that were joined. All"
        " parts are played, in the order of the file.",
        SourceWarning.PARTS_IGNORED: "The file was joined from parts with different codecs. Those that differ from most"
        " of it are not in the outputs.",
        SourceWarning.ALPHA_DROPPED: "The video has transparency. What is transparent is shown on black.",
        SourceWarning.FORMAT_CHANGES: "The size, shape, format or color space changes in the middle of the file. The"
        " outputs have one size, into which all is fitted without distortion, and one color space: colors of the"
        " others may look different.",
        SourceWarning.DAMAGED: "Parts of the file are damaged. What could not be decoded was concealed.",
        SourceWarning.STREAMS_IGNORED: "The file has streams that are not in the outputs. Subtitles that consist of"
        " images can be burned in.",
        SourceWarning.TEXT_UNREADABLE: "The file has subtitles that cannot be read. Players do not get them.",
    }
)
"""A sentence or two for each: what it is, and what was done about it."""

_COUNTED: Mapping[SourceWarning, str] = MappingProxyType(
    {
        SourceWarning.TIMESTAMP_GAP: "gaps",
        SourceWarning.TIMESTAMPS_RESTART: "restarts",
        SourceWarning.PARTS_IGNORED: "parts",
        SourceWarning.FORMAT_CHANGES: "changes",
        SourceWarning.DAMAGED: "errors of the decoder",
        SourceWarning.STREAMS_IGNORED: "streams",
        SourceWarning.TEXT_UNREADABLE: "streams",
    }
)
"""The things that are counted."""

_EARLIER = MappingProxyType({"extra_streams": SourceWarning.STREAMS_IGNORED})
"""Codes of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A warning about one source, and its extent."""

    code: SourceWarning
    seconds: Fraction | None = None
    """The extent in seconds, where it has one."""
    count: int | None = None
    """The number of what is counted, for the codes in `_COUNTED`."""

    def __post_init__(self) -> None:
        if self.count is not None and self.code not in _COUNTED:
            raise ValueError(f"nothing is counted of {self.code}")

    @property
    def detail(self) -> str:
        """The sentence for people, with the extent where it is known."""
        counted = "" if self.count is None else f"{_COUNTED[self.code]}: {self.count}"
        extent = "" if self.seconds is None else f"{float(self.seconds):.2f} s"
        numbers = ", ".join(filter(None, (counted, extent)))
        return f"{SENTENCES[self.code]} ({numbers})" if numbers else SENTENCES[self.code]

    def to_document(self) -> dict[str, object]:
        """Return the warning as clients see it."""
        seconds = None if self.seconds is None else round(float(self.seconds), 3)
        return {"code": self.code.value, "detail": self.detail, "seconds": seconds, "count": self.count}

    @classmethod
    def from_document(cls, stored: object) -> Self:
        """Read a warning that was stored as a document, or by an earlier version as its code alone.

        Raises ValueError for anything else.
        """
        if isinstance(stored, str):
            return cls(code=_EARLIER.get(stored) or SourceWarning(stored))
        if not isinstance(stored, Mapping):
            raise ValueError(f"{stored!r} is no warning")  # noqa: TRY004 - data, no bug
        seconds, count = stored.get("seconds"), stored.get("count")
        return cls(
            code=SourceWarning(str(stored.get("code"))),
            seconds=None if seconds is None else Fraction(str(seconds)),
            count=None if count is None else int(count),
        )


def warning_documents(stored: Iterable[object]) -> list[dict[str, object]]:
    """Return stored warnings as clients see them, whichever version stored them."""
    return [Notice.from_document(each).to_document() for each in stored]
