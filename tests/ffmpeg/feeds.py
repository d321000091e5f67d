"""FLV as live streams are fed to ffmpeg: from a key frame on, whose decode time is 0."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from execution.pipes import Feed
from transcoding.flv.tags import FLV_HEADER, FlvTag, TagKind, flv_bytes

BLOCK_BYTES = 5000
_HEAD_BYTES, _SIZE_BYTES = 11, 4


def tags_of(flv: bytes) -> Iterator[FlvTag]:
    """Yield the tags of audio and video of a file."""
    position = len(FLV_HEADER)
    while position < len(flv):
        kind, size = flv[position], int.from_bytes(flv[position + 1 : position + 4])
        time = flv[position + 7] << 24 | int.from_bytes(flv[position + 4 : position + 7])
        data = flv[position + _HEAD_BYTES : position + _HEAD_BYTES + size]
        if kind != TagKind.DATA and len(data) > 1:
            yield FlvTag(TagKind(kind), time, data)
        position += _HEAD_BYTES + size + _SIZE_BYTES


def fed(source: Path, *, key_frame: int = 0) -> tuple[bytes, Fraction]:
    """Return what is fed of a file from one of its key frames on, and the time at which that is shown, in seconds."""
    tags = list(tags_of(source.read_bytes()))
    first = [tag for tag in tags if tag.is_keyframe][key_frame]
    head = [replace(tag, timestamp_ms=0) for tag in tags if tag.is_header]
    rest = (tag for tag in tags if tag.is_frame and tag.timestamp_ms >= first.timestamp_ms)
    return _written([*head, *_later(rest, -first.timestamp_ms)]), Fraction(first.composition_ms, 1000)


def joined(*sources: tuple[Path, int]) -> tuple[bytes, Fraction]:
    """Return what is fed of files of which each begins so many milliseconds after the first one, and as `fed`."""
    tags = [tag for source, offset in sources for tag in _later(tags_of(source.read_bytes()), offset)]
    return _written(tags), Fraction(next(tag for tag in tags if tag.is_keyframe).composition_ms, 1000)


def in_blocks(stream: bytes) -> Feed:
    """Yield it in the sizes in which a network would bring it."""
    for start in range(0, len(stream), BLOCK_BYTES):
        yield stream[start : start + BLOCK_BYTES]


def _later(tags: Iterator[FlvTag], offset_ms: int) -> Iterator[FlvTag]:
    return (replace(tag, timestamp_ms=tag.timestamp_ms + offset_ms) for tag in tags)


def _written(tags: list[FlvTag]) -> bytes:
    return FLV_HEADER + b"".join(map(flv_bytes, tags))
