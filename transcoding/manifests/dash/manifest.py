"""The DASH manifest of a video."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from xml.etree import ElementTree as ET

from transcoding.manifests.dash.adaptation import Attributes, add_text, add_tiles
from transcoding.manifests.dash.document import date_time, length, mpd, rendered
from transcoding.manifests.dash.timeline import Timeline
from transcoding.manifests.dash.tracks import add_tracks, longest_segment
from transcoding.manifests.variants import Presentation

_CLOCK = "urn:mpeg:dash:utc:direct:2014"
_LEAD_SECONDS = 30
"""Seconds of media for which the time of playback has come when a video becomes playable.

dash.js fetches no segment before its time, so this is how far ahead it can buffer, if that much is encoded.
"""
_UPDATE_SECONDS = Fraction(2)
"""Interval at which players look for more: half a segment, so that they find each one soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Clock of a video that is being encoded."""

    playable_at: datetime
    """Time at which its start could be watched first."""
    now: datetime
    """Time at which the manifest is rendered."""


def dash_manifest(
    presentation: Presentation, timelines: Mapping[str, Timeline], *, duration: Fraction, growth: Growth | None = None
) -> str:
    """Render the MPD of a video of `duration` seconds in all; URLs are relative to its own, as in the HLS playlists.

    `timelines` are those of the renditions, by name. The segments of an adaptation set are those that all of its
    renditions have.

    Filling a buffer of the longest segment's length at the announced bandwidth is enough to play on without a stop.
    With `growth` players ask again for the segments to come, until there is a static MPD.
    """
    attributes = {
        **(_growing(growth) if growth else {}),
        "mediaPresentationDuration": length(duration),
        "minBufferTime": length(longest_segment(presentation, timelines)),
    }
    root = mpd("dynamic" if growth else "static", attributes)
    if growth:
        _start_at_the_beginning(root, duration)
    period = ET.SubElement(root, "Period", {"id": "0", "start": "PT0S"})
    add_tracks(period, presentation, timelines)
    for text in presentation.texts:
        add_text(period, text)
    if presentation.tiles and not growth:
        add_tiles(period, presentation.tiles)
    if growth:  # players whose clock is wrong, and who would ask a server of their own choice for the time
        ET.SubElement(root, "UTCTiming", {"schemeIdUri": _CLOCK, "value": date_time(growth.now)})
    return rendered(root)


def _growing(growth: Growth) -> Attributes:
    """Return the attributes of an MPD that grows.

    To players it is a live stream that they watch from some seconds behind its newest moment, so those that open it
    first start at its beginning.
    """
    return {
        "availabilityStartTime": date_time(growth.playable_at - timedelta(seconds=_LEAD_SECONDS)),
        "publishTime": date_time(growth.now),
        "minimumUpdatePeriod": length(_UPDATE_SECONDS),
        "suggestedPresentationDelay": length(Fraction(_LEAD_SECONDS)),
    }


def _start_at_the_beginning(root: ET.Element, duration: Fraction) -> None:
    """Request a latency as long as the video, so that dash.js starts at the beginning whenever it is opened.

    A presentation delay of that length would keep shaka-player from playing past the beginning.
    """
    service = ET.SubElement(root, "ServiceDescription", {"id": "0"})
    ET.SubElement(service, "Latency", {"target": str(math.ceil(1000 * duration))})
