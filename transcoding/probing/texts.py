"""The subtitles and captions in a file that become texts of its video."""

from dataclasses import replace

from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import StreamFacts, StreamKind

CAPTIONS_CODEC = "eia_608"
"""Captions of CEA-608: a track of their own in QuickTime, or within frames of the video."""


def embedded_texts(facts: SourceFacts) -> list[StreamFacts]:
    """List the subtitles of an inspected file that become texts, and its captions.

    Captions within the video have the number of its stream, and nobody states their language. Captions are always for
    people who do not hear.
    """
    subtitles = [stream for stream in facts.streams if stream.kind is StreamKind.SUBTITLE and stream.used]
    found = [replace(each, captions=each.captions or each.codec == CAPTIONS_CODEC) for each in subtitles]
    return [*found, *([_within(facts)] if captioned_stream(facts) is not None else [])]


def captioned_stream(facts: SourceFacts) -> int | None:
    """Return the number of the video's stream in the uploaded file, if captions are within it."""
    return facts.video.source_index if facts.video_stream and facts.video.captions else None


def _within(facts: SourceFacts) -> StreamFacts:
    video = next(each for each in facts.streams if each.index == captioned_stream(facts))
    return replace(video, kind=StreamKind.SUBTITLE, codec=CAPTIONS_CODEC, language="", forced=False, captions=True)
