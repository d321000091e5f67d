"""The subtitles in a file that become texts of its video."""

from transcoding.probing.streams import StreamFacts, StreamKind

TEXT_CODECS = frozenset({"ass", "mov_text", "srt", "ssa", "subrip", "text", "webvtt"})
"""Codecs of subtitles that consist of text. Others consist of images."""
_CONTAINERS = ("matroska", "mov")
"""Beginnings of ffprobe's names of the containers that such subtitles lie in."""


def is_extracted(stream: StreamFacts, format_name: str) -> bool:
    """Tell whether a stream of a file in this container becomes a text."""
    return stream.kind is StreamKind.SUBTITLE and stream.codec in TEXT_CODECS and format_name.startswith(_CONTAINERS)


def embedded_texts(streams: tuple[StreamFacts, ...]) -> list[StreamFacts]:
    """List the subtitles of an inspected file that become texts."""
    return [stream for stream in streams if stream.kind is StreamKind.SUBTITLE and stream.used]
