"""The streams of subtitles: those of text that can be taken out, and those of images that can be drawn."""

from transcoding.probing.streams import StreamFacts, StreamKind

TEXT_CODECS = frozenset({"ass", "eia_608", "mov_text", "srt", "ssa", "subrip", "text", "webvtt"})
"""Codecs of subtitles that consist of text. Others consist of images."""
BITMAP_CODECS = frozenset({"dvb_subtitle", "dvd_subtitle", "hdmv_pgs_subtitle"})
"""Codecs of subtitles that consist of images, and that there is a decoder for."""
_CONTAINERS = ("matroska", "mov")
"""Beginnings of ffprobe's names of the containers that such subtitles lie in."""


def is_extracted(stream: StreamFacts, format_name: str) -> bool:
    """Tell whether a stream of a file in this container becomes a text."""
    return stream.kind is StreamKind.SUBTITLE and stream.codec in TEXT_CODECS and format_name.startswith(_CONTAINERS)


def is_of_images(stream: StreamFacts) -> bool:
    """Tell whether the subtitles of a stream are images that can be drawn on frames."""
    return stream.kind is StreamKind.SUBTITLE and stream.codec in BITMAP_CODECS
