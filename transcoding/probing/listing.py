"""The streams of a source that ffprobe gives up, from the header of ffmpeg's `framecrc`."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from transcoding.probing.choice import audio_in_order, videos_in_order
from transcoding.probing.media import MAX_AUDIO_TRACKS, MAX_OTHER_VIDEOS, is_decodable, kind_of
from transcoding.probing.streams import Resolution, StreamFacts

_LINE = re.compile(r"#(media_type|codec_id|dimensions|sample_rate) (\d{1,5}): ([\w ]{1,32})", re.ASCII)
_STILL_CODECS = frozenset({"bmp", "jpegxl", "jpeg2000", "tiff", "webp"})
"""Images that covers are, and no moving video; a listing does not tell covers apart."""
_SIZE = re.compile(r"([1-9]\d{0,5})x([1-9]\d{0,5})", re.ASCII)


def parse_listing(lines: Iterable[str]) -> tuple[StreamFacts, ...]:
    """Read the output of `listing_command`: of each stream what kind it is, and in what codec and size."""
    fields: dict[int, dict[str, str]] = defaultdict(dict)
    for line in lines:
        if found := _LINE.fullmatch(line.strip()):
            name, number, value = found.groups()
            fields[int(number)][name] = value
    return tuple(_stream(number, found) for number, found in sorted(fields.items()))


def _stream(number: int, fields: dict[str, str]) -> StreamFacts:
    codec = fields.get("codec_id", "unknown")
    size = _SIZE.fullmatch(fields.get("dimensions", ""))
    rate = fields.get("sample_rate", "")
    sample_rate = int(rate) if rate.isdigit() else 0
    return StreamFacts(
        index=number,
        kind=kind_of(fields.get("media_type")),
        codec="unknown" if codec == "none" else codec,
        language="",
        default=False,
        forced=False,
        cover=False,
        accessory=False,
        size=Resolution(width=int(size[1]), height=int(size[2])) if size else None,
        frames=None,
        channels=0,
        sample_rate=sample_rate,
        layout="",
        duration=None,
        decodable=is_decodable(codec, channels=0, sample_rate=sample_rate),
        used=False,
    )


def unknown_stream(number: int) -> StreamFacts:
    """Return what is known of a stream that cannot be listed: that it is there."""
    return _stream(number, {})


def readable_streams(streams: Sequence[StreamFacts]) -> Iterator[Sequence[int]]:
    """Yield the streams to copy: all that have an accepted codec, then one of each kind, then the video alone.

    Audio alone is copied where what is beside it can only be a cover.
    """
    everything = videos_in_order(streams)
    videos = [number for number in everything if streams[number].decodable]
    audio = audio_in_order(streams)
    if audio and all(streams[number].codec in _STILL_CODECS for number in everything):
        yield from dict.fromkeys((tuple(sorted(audio[:MAX_AUDIO_TRACKS])), tuple(audio[:1])))
        return
    choices = (
        (*videos[: 1 + MAX_OTHER_VIDEOS], *audio[:MAX_AUDIO_TRACKS]),
        (*videos[:1], *audio[:1]),
        tuple(videos[:1]),
    )
    yield from (tuple(sorted(choice)) for choice in dict.fromkeys(choices) if videos)
