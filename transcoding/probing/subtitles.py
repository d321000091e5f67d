"""The streams of subtitles that consist of text, and lie where they can be taken out."""

from transcoding.probing.streams import StreamFacts, StreamKind

TEXT_CODECS = frozenset({"ass", "eia_608", "mov_text", "srt", "ssa", "subrip", "text", "webvtt"})
"""Codecs of subtitles that consist of text. Others consist of images."""
_CONTAINERS = ("matroska", "mov")
"""Beginnings of ffprobe's names of the containers that such subtitles lie in."""


def is_extracted(stream: StreamFacts, format_name: str) -> bool:
    """Tell whether a stream of a file in this container becomes a text."""
    return stream.kind is StreamKind.SUBTITLE and stream.codec in TEXT_CODECS and format_name.startswith(_CONTAINERS)
