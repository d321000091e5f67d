"""Adaptation sets: the renditions between which players switch, and those from which they choose one."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from xml.etree import ElementTree as ET

from transcoding.manifests.dash.timeline import Timeline
from transcoding.manifests.names import INIT_NAME, segment_name, text_file
from transcoding.manifests.variants import AudioVariant, TextVariant, TileVariant, VideoVariant
from transcoding.probing.streams import AudioRole
from transcoding.texts.webvtt import WEBVTT_TYPE

_CHANNELS = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
_COLORS = "urn:mpeg:mpegB:cicp"
_COLOR_PROPERTIES = ("ColourPrimaries", "TransferCharacteristics", "MatrixCoefficients")
"""Properties of an adaptation set, in the order of `ColorSpace.codes` (ISO/IEC 23091-2)."""
_SWITCHING = "urn:mpeg:dash:adaptation-set-switching:2016"
"""Property with the ids of adaptation sets that players may switch to (DASH-IF IOP, section 3.8)."""
_ROLES = "urn:mpeg:dash:role:2011"
_ROLE_VALUES: Mapping[AudioRole, str] = MappingProxyType(
    {AudioRole.DUB: "dub", AudioRole.COMMENTARY: "commentary", AudioRole.DESCRIPTION: "description"}
)
_PURPOSES = "urn:tva:metadata:cs:AudioPurposeCS:2007"
_PURPOSE_VALUES: Mapping[AudioRole, str] = MappingProxyType({AudioRole.DESCRIPTION: "1", AudioRole.CLEAR_SPEECH: "2"})
"""Audio for people who do not see, and for those who do not hear well (ETSI TS 102 822-3-1)."""
_PREFERRED = {"selectionPriority": "2"}
"""Higher than that of other adaptation sets, which is 1."""
_TILES = "http://dashif.org/guidelines/thumbnail_tile"
_TEXT_BANDWIDTH = 1000
"""Bits per second: more than any text has that is read."""

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
    _template(adaptation, timeline, videos[0].folder)
    for video in videos:
        size = {"width": str(video.width), "height": str(video.height), "sar": "1:1"}
        rate = {"frameRate": str(video.frame_rate)}
        _representation(adaptation, video.name, video.codecs, video.peak_bandwidth, size | rate)


def allow_switching(period: ET.Element, videos: Sequence[VideoVariant]) -> None:
    """Say of adaptation sets that differ in nothing but their codec that players may switch between them.

    `videos` are the first ones of the sets of video, in their order.
    """
    sets = [each for each in period if each.get("contentType") == "video"]
    for video, adaptation in zip(videos, sets, strict=True):
        others = [
            other.get("id", "")
            for another, other in zip(videos, sets, strict=True)
            if another.sample_entry != video.sample_entry and another.color == video.color
        ]
        if others:
            switching = ET.Element("SupplementalProperty", {"schemeIdUri": _SWITCHING, "value": ",".join(others)})
            adaptation.insert(len(adaptation.findall("EssentialProperty")), switching)  # in the order of the schema


def add_audio(period: ET.Element, audio: AudioVariant, timeline: Timeline, *, alone: bool, preferred: bool) -> None:
    """Add an adaptation set for an audio rendition: players choose between them by language and role."""
    said = ({"lang": audio.language} if audio.language else {}) | (_PREFERRED if preferred else {})
    adaptation = _adaptation_set(period, "audio", said)
    ET.SubElement(adaptation, "AudioChannelConfiguration", {"schemeIdUri": _CHANNELS, "value": str(audio.channels)})
    if audio.label not in ("", audio.name):
        ET.SubElement(adaptation, "Label").text = audio.label
    if purpose := _PURPOSE_VALUES.get(audio.role):
        ET.SubElement(adaptation, "Accessibility", {"schemeIdUri": _PURPOSES, "value": purpose})
    if role := _role(audio, alone=alone):
        ET.SubElement(adaptation, "Role", {"schemeIdUri": _ROLES, "value": role})
    _template(adaptation, timeline, audio.folder)
    rate = {"audioSamplingRate": str(timeline.timescale)}
    _representation(adaptation, audio.name, audio.codecs, audio.peak_bandwidth, rate)


def _role(audio: AudioVariant, *, alone: bool) -> str | None:
    """Return the role of an audio rendition. One that is alone and has no purpose of its own needs none."""
    other = None if alone else "alternate"
    return "main" if audio.default and not alone else _ROLE_VALUES.get(audio.role, other)


def add_tiles(period: ET.Element, tiles: TileVariant) -> None:
    """Add an adaptation set of sprite sheets (DASH-IF IOP 4.3, 6.2.6). All last equally long, also the last one."""
    images = {"contentType": "image", "mimeType": "image/jpeg"}
    adaptation = ET.SubElement(period, "AdaptationSet", {"id": _next_id(period), **images})
    length = tiles.columns * tiles.rows * tiles.interval
    times = {"timescale": str(length.denominator), "duration": str(length.numerator)}
    ET.SubElement(adaptation, "SegmentTemplate", {**times, "startNumber": "0", "media": tiles.url})
    size = {"width": str(tiles.width), "height": str(tiles.height)}
    representation = ET.SubElement(
        adaptation, "Representation", {"id": "thumbnails", "bandwidth": str(tiles.bandwidth), **size}
    )
    grid = f"{tiles.columns}x{tiles.rows}"
    ET.SubElement(representation, "EssentialProperty", {"schemeIdUri": _TILES, "value": grid})


def add_text(period: ET.Element, text: TextVariant) -> None:
    """Add an adaptation set for a text: one file, whose times are those of the presentation."""
    kind = {"contentType": "text", "mimeType": WEBVTT_TYPE, "lang": text.language}
    adaptation = ET.SubElement(period, "AdaptationSet", {"id": _next_id(period), **kind})
    ET.SubElement(adaptation, "Label").text = text.label
    for role in (*(["main"] if text.default else []), _text_role(text)):
        ET.SubElement(adaptation, "Role", {"schemeIdUri": _ROLES, "value": role})
    attributes = {"id": text.name, "bandwidth": str(_TEXT_BANDWIDTH)}
    ET.SubElement(ET.SubElement(adaptation, "Representation", attributes), "BaseURL").text = text_file(text.name)


def _text_role(text: TextVariant) -> str:
    if text.forced:
        return "forced-subtitle"
    return "caption" if text.captions else "subtitle"


def _adaptation_set(period: ET.Element, kind: str, more: Attributes) -> ET.Element:
    """Segments of all its representations start together, each with a frame at which decoding can start."""
    common = {"contentType": kind, "mimeType": f"{kind}/mp4", "segmentAlignment": "true", "startWithSAP": "1"}
    return ET.SubElement(period, "AdaptationSet", {"id": _next_id(period), **common, **more})


def _next_id(period: ET.Element) -> str:
    return str(len(period.findall("AdaptationSet")))


def _template(adaptation: ET.Element, timeline: Timeline, folder: str = "") -> None:
    offset = {"presentationTimeOffset": str(timeline.offset)} if timeline.offset else {}
    template = ET.SubElement(
        adaptation,
        "SegmentTemplate",
        {
            "timescale": str(timeline.timescale),
            **offset,
            "startNumber": str(timeline.first_segment),
            "initialization": f"{folder}$RepresentationID$/{INIT_NAME}",
            "media": f"{folder}$RepresentationID$/{segment_name('$Number$')}",
        },
    )
    rows = ET.SubElement(template, "SegmentTimeline")
    for number, row in enumerate(_runs(timeline.durations)):
        ET.SubElement(rows, "S", ({"t": str(timeline.start)} if number == 0 else {}) | row)


def _runs(durations: Iterable[int]) -> Iterable[Attributes]:
    """Equal neighbours in one row: `r` says how often the first is repeated."""
    for ticks, equal in groupby(durations):
        repeated = len(list(equal)) - 1
        yield {"d": str(ticks)} | ({"r": str(repeated)} if repeated else {})


def _representation(adaptation: ET.Element, name: str, codecs: str, bandwidth: int, more: Attributes) -> None:
    ET.SubElement(adaptation, "Representation", {"id": name, "codecs": codecs, "bandwidth": str(bandwidth), **more})
