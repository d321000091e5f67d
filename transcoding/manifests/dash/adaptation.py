"""Adaptation sets: the renditions between which players switch, and those from which they choose one."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from transcoding.manifests.dash.timeline import Timeline
from transcoding.manifests.names import INIT_NAME, segment_name
from transcoding.manifests.variants import AudioVariant, TileVariant, VideoVariant

_CHANNELS = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
_COLORS = "urn:mpeg:mpegB:cicp"
_COLOR_PROPERTIES = ("ColourPrimaries", "TransferCharacteristics", "MatrixCoefficients")
"""Properties of an adaptation set, in the order of `ColorSpace.codes` (ISO/IEC 23091-2)."""
_ROLES = "urn:mpeg:dash:role:2011"
_TILES = "http://dashif.org/guidelines/thumbnail_tile"

Attributes = dict[str, str]


def add_video(period: ET.Element, videos: Sequence[VideoVariant], timeline: Timeline) -> None:
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


def add_audio(period: ET.Element, audio: AudioVariant, timeline: Timeline, *, alone: bool) -> None:
    """Add an adaptation set for an audio rendition: players choose between them by language and role."""
    adaptation = _adaptation_set(period, "audio", {"lang": audio.language} if audio.language else {})
    ET.SubElement(adaptation, "AudioChannelConfiguration", {"schemeIdUri": _CHANNELS, "value": str(audio.channels)})
    if not alone:
        role = "main" if audio.default else "alternate"
        ET.SubElement(adaptation, "Role", {"schemeIdUri": _ROLES, "value": role})
    _template(adaptation, timeline)
    rate = {"audioSamplingRate": str(timeline.timescale)}
    _representation(adaptation, audio.name, audio.codecs, audio.peak_bandwidth, rate)


def add_tiles(period: ET.Element, tiles: TileVariant) -> None:
    """Add an adaptation set of sprite sheets (DASH-IF IOP 4.3, 6.2.6). All last equally long, also the last one."""
    images = {"contentType": "image", "mimeType": "image/jpeg"}
    adaptation = ET.SubElement(period, "AdaptationSet", {"id": str(len(period)), **images})
    length = tiles.columns * tiles.rows * tiles.interval
    times = {"timescale": str(length.denominator), "duration": str(length.numerator)}
    ET.SubElement(adaptation, "SegmentTemplate", {**times, "startNumber": "0", "media": tiles.url})
    size = {"width": str(tiles.width), "height": str(tiles.height)}
    representation = ET.SubElement(
        adaptation, "Representation", {"id": "thumbnails", "bandwidth": str(tiles.bandwidth), **size}
    )
    grid = f"{tiles.columns}x{tiles.rows}"
    ET.SubElement(representation, "EssentialProperty", {"schemeIdUri": _TILES, "value": grid})


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
