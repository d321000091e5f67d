"""HLS media playlists of live streams: windows that slide, with parts for low latency (draft-pantos-hls-rfc8216bis).

There is no EXT-X-DISCONTINUITY, and so no discontinuity sequence: decode times follow from segment numbers, also after
another worker has taken over. Only the clock on the wall jumps then, and EXT-X-PROGRAM-DATE-TIME says so.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction

from transcoding.manifests.hls.tags import quoted, tag, yes_or_no
from transcoding.manifests.names import INIT_NAME, PLAYLIST_NAME, segment_name

LIVE_VERSION = 9
"""EXT-X-VERSION of live playlists: that of playlist delta updates."""
SKIPPABLE_TARGETS = 6
"""Age from which segments may be left out of a delta update, in target durations; the least that is allowed."""
PARTS_TARGETS = 3
"""Age up to which segments are listed with their parts, in target durations (section 4.4.4.9)."""
MIN_SEGMENTS = 6
"""Segments of the shortest window. Section 6.2.2 wants three target durations at least; twice as many let a player that
reloads late go on."""
HOLD_BACK_PARTS = 3
"""Distance from the end at which players of low latency play, in part targets (section 4.4.3.8: at least three)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a segment; the URL is relative to the playlist."""

    name: str
    duration: Fraction
    """In seconds."""
    independent: bool
    """It has a key frame, or is audio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSegment:
    """A whole segment."""

    duration: Fraction
    """In seconds."""
    starts_at: datetime | None = None
    """Time on the wall clock of its first frame. None: it follows from the segment before."""
    parts: Sequence[Part] = ()
    """Empty: none are known any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEdge:
    """The newest that there is of a rendition: a whole segment, or a part of the one after it."""

    segment: int
    part: int | None = None
    """None: the whole segment is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LowLatency:
    """The newest parts, which a playlist of low latency has beyond whole segments."""

    part_target: Fraction
    """Longest part of any rendition of the stream, in seconds."""
    parts: Sequence[Part] = ()
    """Those of the segment after the last whole one."""
    hint: str = ""
    """Name of the part that comes next. Empty: nobody knows."""
    edges: dict[str, LiveEdge] = field(default_factory=dict)
    """The newest of the other renditions, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveWindow:
    """The part of a rendition that its playlist lists."""

    first_segment: int
    segments: Sequence[LiveSegment]
    target_seconds: int
    ended: bool = False
    """Nothing follows any more."""
    blocking: bool = True
    """Requests for it may wait for the next segment, and are answered with delta updates on request."""
    low_latency: LowLatency | None = None
    """None: a stream of normal latency, or none of the newest parts is known."""


def listed_segments(seconds: int, segment_seconds: Fraction) -> int:
    """Return the number of segments in a window in which viewers can go back so many seconds."""
    return max(MIN_SEGMENTS, math.ceil(seconds / segment_seconds))


def stored_segments(seconds: int, segment_seconds: Fraction) -> int:
    """Return the number of newest segments that must be there for players of such a window.

    What has left a playlist stays for as long as the playlist was, and a segment more (section 6.2.2).
    """
    return 2 * listed_segments(seconds, segment_seconds) + 1


def live_playlist(window: LiveWindow, *, skip: bool = False) -> str:
    """Render the playlist of one rendition. It has no type, so that segments may leave it (RFC 8216, section 6.2.2).

    `skip`: as a delta update, without the segments that a player has known for long, if there are any.
    """
    skipped = _first_newer(window, SKIPPABLE_TARGETS * window.target_seconds) if skip else 0
    return "\n".join(_lines(window, skipped)) + "\n"


def _lines(window: LiveWindow, skipped: int) -> Iterator[str]:
    yield "#EXTM3U"
    yield f"#EXT-X-VERSION:{LIVE_VERSION}"
    yield f"#EXT-X-TARGETDURATION:{window.target_seconds}"
    if window.blocking and not window.ended:
        yield from _control(window)
    yield f"#EXT-X-MEDIA-SEQUENCE:{window.first_segment}"
    yield "#EXT-X-INDEPENDENT-SEGMENTS"
    if skipped:
        yield f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"
    yield f'#EXT-X-MAP:URI="{INIT_NAME}"'
    yield from _segments(window, skipped)
    if window.ended:
        yield "#EXT-X-ENDLIST"
    elif window.low_latency:
        yield from _newest(window.low_latency)


def _control(window: LiveWindow) -> Iterator[str]:
    """Promise what the server does for players that know of it."""
    parts = window.low_latency
    hold_back = _seconds(HOLD_BACK_PARTS * parts.part_target) if parts else None
    yield tag(
        "EXT-X-SERVER-CONTROL",
        [
            ("CAN-BLOCK-RELOAD", "YES"),
            ("PART-HOLD-BACK", hold_back),
            ("CAN-SKIP-UNTIL", str(SKIPPABLE_TARGETS * window.target_seconds)),
        ],
    )
    if parts:
        yield f"#EXT-X-PART-INF:PART-TARGET={_seconds(parts.part_target)}"


def _segments(window: LiveWindow, skipped: int) -> Iterator[str]:
    in_parts = _first_newer(window, PARTS_TARGETS * window.target_seconds)
    for position, segment in enumerate(window.segments[skipped:], skipped):
        if segment.starts_at:
            yield f"#EXT-X-PROGRAM-DATE-TIME:{_moment(segment.starts_at)}"
        if position >= in_parts and not window.ended:
            yield from map(_part, segment.parts)
        yield f"#EXTINF:{_seconds(segment.duration)},"
        yield segment_name(window.first_segment + position)


def _newest(low_latency: LowLatency) -> Iterator[str]:
    yield from map(_part, low_latency.parts)
    if low_latency.hint:
        yield tag("EXT-X-PRELOAD-HINT", [("TYPE", "PART"), ("URI", quoted(low_latency.hint))])
    for name, edge in low_latency.edges.items():
        yield tag(
            "EXT-X-RENDITION-REPORT",
            [
                ("URI", quoted(f"../{name}/{PLAYLIST_NAME}")),
                ("LAST-MSN", str(edge.segment)),
                ("LAST-PART", None if edge.part is None else str(edge.part)),
            ],
        )


def _part(part: Part) -> str:
    return tag(
        "EXT-X-PART",
        [
            ("DURATION", _seconds(part.duration)),
            ("URI", quoted(part.name)),
            ("INDEPENDENT", yes_or_no(value=True) if part.independent else None),
        ],
    )


def _first_newer(window: LiveWindow, seconds: int) -> int:
    """Return the position of the first segment that ends less than so many seconds before the playlist."""
    newest = window.low_latency.parts if window.low_latency else ()
    newer = sum((part.duration for part in newest), start=Fraction(0))
    for position in range(len(window.segments) - 1, -1, -1):
        if newer >= seconds:
            return position + 1
        newer += window.segments[position].duration
    return 0


def _seconds(seconds: Fraction) -> str:
    return f"{float(seconds):.6f}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
