"""The DASH manifest of a live stream: dynamic while it runs, static at its end, over the segments that HLS lists.

Each takeover and each return of the publisher begins a Period: media time goes on by segment numbers, the clock on the
wall does not wait for it, and in one Period the media would fall out of the window.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from xml.etree import ElementTree as ET

from transcoding.manifests.dash.document import date_time, length, mpd, rendered
from transcoding.manifests.dash.timeline import Timeline
from transcoding.manifests.dash.tracks import add_tracks, longest_segment
from transcoding.manifests.variants import Presentation

_CLOCK = "urn:mpeg:dash:utc:http-iso:2014"
DELAY_SEGMENTS = 3
"""Distance from the newest moment at which players play, in segments: as in HLS (RFC 8216, section 6.3.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePeriod:
    """Segments of one worker from one connection of the publisher."""

    id: str
    starts_at: datetime
    """Time on the wall clock of its first frame, as far as known. It never begins before the end of another one."""
    presentation: Presentation
    timelines: Mapping[str, Timeline]
    """Those of its segments that are in the window, by the name of the rendition."""
    duration: Fraction | None
    """From its first frame, in or before the window, to its last one, in seconds. None: it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveClock:
    """Times of a stream that runs."""

    now: datetime
    """Time at which the manifest is rendered."""
    window: Fraction
    """Seconds that viewers can go back."""
    url: str
    """URL of the time."""


def live_manifest(
    periods: Sequence[LivePeriod],
    *,
    started_at: datetime,
    base: str,
    segment_seconds: Fraction,
    clock: LiveClock | None,
) -> str:
    """Render the MPD of a stream that `started_at` some time. Media URLs are relative to `base`.

    `clock` None: nothing follows, so that the duration of the last Period is known, too.
    """
    starts = list(_starts(periods, started_at))
    attributes = {
        **_kind(clock, started_at, segment_seconds, starts, periods),
        "minBufferTime": length(max(longest_segment(each.presentation, each.timelines) for each in periods)),
    }
    root = mpd("dynamic" if clock else "static", attributes)
    for start, period in zip(starts, periods, strict=True):
        lasting = {} if period.duration is None else {"duration": length(period.duration)}
        element = ET.SubElement(root, "Period", {"id": period.id, "start": length(start), **lasting})
        ET.SubElement(element, "BaseURL").text = base
        add_tracks(element, period.presentation, period.timelines)
    if clock:
        ET.SubElement(root, "UTCTiming", {"schemeIdUri": _CLOCK, "value": clock.url})
    return rendered(root)


def _kind(
    clock: LiveClock | None,
    started_at: datetime,
    segment_seconds: Fraction,
    starts: Sequence[Fraction],
    periods: Sequence[LivePeriod],
) -> dict[str, str]:
    if clock is None:
        return {"mediaPresentationDuration": length(starts[-1] + (periods[-1].duration or 0))}
    return {
        "availabilityStartTime": date_time(started_at),
        "publishTime": date_time(clock.now),
        "minimumUpdatePeriod": length(segment_seconds),
        "timeShiftBufferDepth": length(clock.window),
        "suggestedPresentationDelay": length(DELAY_SEGMENTS * segment_seconds),
    }


def _starts(periods: Sequence[LivePeriod], started_at: datetime) -> Iterator[Fraction]:
    """Yield the starts of the Periods, in seconds. Where a publisher's clock is fast, one begins at another's end."""
    earliest = Fraction(0)
    for period in periods:
        since = Fraction((period.starts_at - started_at).total_seconds()).limit_denominator(1_000_000)
        start = max(since, earliest)
        earliest = start + (period.duration or 0)
        yield start
