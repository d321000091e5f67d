"""The DASH manifest of a video."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from xml.etree import ElementTree as ET

from transcoding.manifests.dash.adaptation import (
    Attributes,
    add_audio,
    add_text,
    add_tiles,
    add_video,
    allow_switching,
)
from transcoding.manifests.dash.timeline import Timeline
from transcoding.manifests.variants import Presentation, VideoVariant

_NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
_PROFILE = "urn:mpeg:dash:profile:isoff-live:2011"
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
    videos = [(alike, _shortest(alike, timelines)) for alike in _switchable(presentation.videos)]
    audio = [(track, timelines[track.name]) for track in presentation.audio]
    groups = presentation.audio_groups
    # The video says how long segments are: audio only comes near to its boundaries.
    measured = [timeline for _, timeline in videos] or [timeline for _, timeline in audio]
    root = ET.Element(
        "MPD",
        {
            "xmlns": _NAMESPACE,
            "profiles": _PROFILE,
            "type": "dynamic" if growth else "static",
            **(_growing(growth) if growth else {}),
            "mediaPresentationDuration": _period(duration),
            "minBufferTime": _period(max(timeline.longest for timeline in measured)),
        },
    )
    if growth:
        _start_at_the_beginning(root, duration)
    period = ET.SubElement(root, "Period", {"id": "0", "start": "PT0S"})
    first = [each for each in videos if each[0][0].sample_entry == videos[0][0][0].sample_entry]
    for alike, timeline in first:
        add_video(period, alike, timeline)
    for track, timeline in audio:
        add_audio(period, track, timeline, alone=len(audio) == 1, preferred=len(groups) > 1 and track in groups[0])
    for alike, timeline in videos[len(first) :]:  # behind the audio, whose ids stay when a codec comes later
        add_video(period, alike, timeline)
    allow_switching(period, [alike[0] for alike, _ in videos])
    for text in presentation.texts:
        add_text(period, text)
    if presentation.tiles and not growth:
        add_tiles(period, presentation.tiles)
    if growth:  # players whose clock is wrong, and who would ask a server of their own choice for the time
        ET.SubElement(root, "UTCTiming", {"schemeIdUri": _CLOCK, "value": _time(growth.now)})
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _growing(growth: Growth) -> Attributes:
    """Return the attributes of an MPD that grows.

    To players it is a live stream that they watch from some seconds behind its newest moment, so those that open it
    first start at its beginning.
    """
    return {
        "availabilityStartTime": _time(growth.playable_at - timedelta(seconds=_LEAD_SECONDS)),
        "publishTime": _time(growth.now),
        "minimumUpdatePeriod": _period(_UPDATE_SECONDS),
        "suggestedPresentationDelay": _period(Fraction(_LEAD_SECONDS)),
    }


def _start_at_the_beginning(root: ET.Element, duration: Fraction) -> None:
    """Request a latency as long as the video, so that dash.js starts at the beginning whenever it is opened.

    A presentation delay of that length would keep shaka-player from playing past the beginning.
    """
    service = ET.SubElement(root, "ServiceDescription", {"id": "0"})
    ET.SubElement(service, "Latency", {"target": str(math.ceil(1000 * duration))})


def _switchable(videos: Sequence[VideoVariant]) -> Iterable[Sequence[VideoVariant]]:
    """Divide the renditions by codec and color space: players do not switch between dynamic ranges."""
    kinds: dict[object, list[VideoVariant]] = {}
    for video in videos:
        kinds.setdefault((video.sample_entry, video.color, video.folder), []).append(video)
    return kinds.values()


def _shortest(videos: Sequence[VideoVariant], timelines: Mapping[str, Timeline]) -> Timeline:
    """Return the timeline of the renditions that are made from one plan, as far as all of them go."""
    return min((timelines[video.name] for video in videos), key=lambda timeline: len(timeline.durations))


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _period(seconds: Fraction) -> str:
    """A length of time as XML Schema writes it, to the microsecond."""
    return f"PT{float(seconds):.6f}".rstrip("0").rstrip(".") + "S"
