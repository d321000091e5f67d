"""The DASH manifest (ISO/IEC 23009-1) of a video, over the segments that HLS lists.

A SegmentTimeline says when segments are presented, which is after the edit lists of their init segments. The frames'
edit list takes off the delay of B-frames, so segment 0 starts at 0 although its first frame is composed later. The
audio's takes off the encoder's priming, so segment 0 is shorter here than its samples. Both timelines start at 0 and
need no presentationTimeOffset; with one, players would shift what the browser has already shifted.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import groupby
from xml.etree import ElementTree as ET

from transcoding.manifests.hls import INIT_NAME, AudioVariant, VideoVariant, segment_name

DASH_CONTENT_TYPE = "application/dash+xml"
_NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
_PROFILE = "urn:mpeg:dash:profile:isoff-live:2011"
_CHANNELS = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"

_COLORS = "urn:mpeg:mpegB:cicp"
_COLOR_PROPERTIES = ("ColourPrimaries", "TransferCharacteristics", "MatrixCoefficients")
"""Properties of an adaptation set, in the order of `ColorSpace.codes` (ISO/IEC 23091-2)."""
_ROLES = "urn:mpeg:dash:role:2011"
_CLOCK = "urn:mpeg:dash:utc:direct:2014"
_LEAD_SECONDS = 30
"""Seconds of media for which the time of playback has come when a video becomes playable.

dash.js fetches no segment before its time, so this is how far ahead it can buffer, if that much is encoded.
"""
_UPDATE_SECONDS = Fraction(2)
"""Interval at which players look for more: half a segment, so that they find each one soon."""

Attributes = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The segments of an adaptation set, those that exist: their lengths in ticks, as they are presented."""

    timescale: int
    durations: tuple[int, ...]

    @classmethod
    def of_samples(cls, durations: Sequence[int], *, timescale: int, skipped: int = 0) -> "Timeline":
        """Return the timeline of coded segments; an edit list skips so many ticks of the first one."""
        first, *others = durations
        return cls(timescale=timescale, durations=(first - skipped, *others))

    @property
    def longest(self) -> Fraction:
        """Length of the longest segment, in seconds."""
        return Fraction(max(self.durations), self.timescale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Clock of a video that is being encoded."""

    playable_at: datetime
    """Time at which its start could be watched first."""
    now: datetime
    """Time at which the manifest is rendered."""


def dash_manifest(
    videos: Sequence[VideoVariant],
    video_timeline: Timeline | None,
    audio: Sequence[tuple[AudioVariant, Timeline]],
    *,
    duration: Fraction,
    growth: Growth | None = None,
) -> str:
    """Render the MPD of a video of `duration` seconds in all; URLs are relative to its own, as in the HLS playlists.

    Without a video timeline it has audio alone.

    Filling a buffer of the longest segment's length at the announced bandwidth is enough to play on without a stop.
    With `growth` players ask again for the segments to come, until there is a static MPD.
    """
    root = ET.Element(
        "MPD",
        {
            "xmlns": _NAMESPACE,
            "profiles": _PROFILE,
            "type": "dynamic" if growth else "static",
            **(_growing(growth) if growth else {}),
            "mediaPresentationDuration": _period(duration),
            "minBufferTime": _period(max(timeline.longest for timeline in _timelines(video_timeline, audio))),
        },
    )
    if growth:
        _start_at_the_beginning(root, duration)
    period = ET.SubElement(root, "Period", {"id": "0", "start": "PT0S"})
    if video_timeline:
        for alike in _by_range(videos):
            _video(period, alike, video_timeline)
    for track, timeline in audio:
        _audio(period, track, timeline, alone=len(audio) == 1)
    if growth:  # players whose clock is wrong, and who would ask a server of their own choice for the time
        ET.SubElement(root, "UTCTiming", {"schemeIdUri": _CLOCK, "value": _time(growth.now)})
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _timelines(video: Timeline | None, audio: Iterable[tuple[AudioVariant, Timeline]]) -> Sequence[Timeline]:
    """Return the timelines that say how long segments are: the video's, whose boundaries audio only comes near to."""
    return [video] if video else [timeline for _, timeline in audio]


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


def _by_range(videos: Sequence[VideoVariant]) -> Iterable[Sequence[VideoVariant]]:
    """Divide the renditions by their color space: players do not switch between dynamic ranges."""
    colors = dict.fromkeys(video.color for video in videos)
    return [[video for video in videos if video.color == color] for color in colors]


def _video(period: ET.Element, videos: Sequence[VideoVariant], timeline: Timeline) -> None:
    """Add an adaptation set of video. Players that do not understand high dynamic range must not choose it."""
    largest = {
        "maxWidth": str(max(video.width for video in videos)),
        "maxHeight": str(max(video.height for video in videos)),
    }
    adaptation = _adaptation_set(period, "video", largest)
    if color := videos[0].color:
        kind = "EssentialProperty" if color.hdr else "SupplementalProperty"
        for name, code in zip(_COLOR_PROPERTIES, color.codes, strict=True):
            ET.SubElement(adaptation, kind, {"schemeIdUri": f"{_COLORS}:{name}", "value": str(code)})
    _template(adaptation, timeline)
    for video in videos:
        size = {"width": str(video.width), "height": str(video.height), "sar": "1:1"}
        rate = {"frameRate": str(video.frame_rate)}
        _representation(adaptation, video.name, video.codecs, video.peak_bandwidth, size | rate)


def _audio(period: ET.Element, audio: AudioVariant, timeline: Timeline, *, alone: bool) -> None:
    """Add an adaptation set for an audio rendition: players choose between them by language and role."""
    adaptation = _adaptation_set(period, "audio", {"lang": audio.language} if audio.language else {})
    ET.SubElement(adaptation, "AudioChannelConfiguration", {"schemeIdUri": _CHANNELS, "value": str(audio.channels)})
    if not alone:
        role = "main" if audio.default else "alternate"
        ET.SubElement(adaptation, "Role", {"schemeIdUri": _ROLES, "value": role})
    _template(adaptation, timeline)
    rate = {"audioSamplingRate": str(timeline.timescale)}
    _representation(adaptation, audio.name, audio.codecs, audio.peak_bandwidth, rate)


def _adaptation_set(period: ET.Element, kind: str, more: Attributes) -> ET.Element:
    """Segments of all its representations start together, each with a frame at which decoding can start."""
    common = {"contentType": kind, "mimeType": f"{kind}/mp4", "segmentAlignment": "true", "startWithSAP": "1"}
    return ET.SubElement(period, "AdaptationSet", {"id": str(len(period)), **common, **more})


def _template(adaptation: ET.Element, timeline: Timeline) -> None:
    template = ET.SubElement(
        adaptation,
        "SegmentTemplate",
        {
            "timescale": str(timeline.timescale),
            "startNumber": "0",
            "initialization": f"$RepresentationID$/{INIT_NAME}",
            "media": f"$RepresentationID$/{segment_name('$Number$')}",
        },
    )
    rows = ET.SubElement(template, "SegmentTimeline")
    for number, row in enumerate(_runs(timeline.durations)):
        ET.SubElement(rows, "S", ({"t": "0"} if number == 0 else {}) | row)


def _runs(durations: Iterable[int]) -> Iterable[Attributes]:
    """Equal neighbours in one row: `r` says how often the first is repeated."""
    for ticks, equal in groupby(durations):
        repeated = len(list(equal)) - 1
        yield {"d": str(ticks)} | ({"r": str(repeated)} if repeated else {})


def _representation(adaptation: ET.Element, name: str, codecs: str, bandwidth: int, more: Attributes) -> None:
    ET.SubElement(adaptation, "Representation", {"id": name, "codecs": codecs, "bandwidth": str(bandwidth), **more})


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _period(seconds: Fraction) -> str:
    """A length of time as XML Schema writes it, to the microsecond."""
    return f"PT{float(seconds):.6f}".rstrip("0").rstrip(".") + "S"
