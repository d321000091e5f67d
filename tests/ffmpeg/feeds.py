"""FLV as live streams are fed to ffmpeg: from a key frame on, whose decode time is 0."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from execution.pipes import Feed

HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
BLOCK_BYTES = 5000
_AUDIO, _VIDEO = 8, 9


@dataclass(frozen=True)
class Tag:
    """A tag of audio or video; its time is in milliseconds."""

    kind: int
    time: int
    data: bytes

    @property
    def is_header(self) -> bool:
        """It has the parameters of a decoder and no frame."""
        return self.data[1] == 0

    @property
    def is_key_frame(self) -> bool:
        return self.kind == _VIDEO and self.data[0] >> 4 == 1 and not self.is_header

    @property
    def shown(self) -> Fraction:
        """Seconds at which a frame is shown."""
        return Fraction(self.time + int.from_bytes(self.data[2:5], signed=True), 1000)

    def at(self, time: int) -> bytes:
        stamp = (time & 0xFFFFFF).to_bytes(3) + bytes([time >> 24])
        tag = bytes([self.kind]) + len(self.data).to_bytes(3) + stamp + bytes(3) + self.data
        return tag + len(tag).to_bytes(4)


def tags_of(flv: bytes) -> Iterator[Tag]:
    """Yield the tags of audio and video of a file."""
    position = len(HEADER)
    while position < len(flv):
        size, low, high = (int.from_bytes(flv[position + at : position + end]) for at, end in ((1, 4), (4, 7), (7, 8)))
        data = flv[position + 11 : position + 11 + size]
        if flv[position] in (_AUDIO, _VIDEO):
            yield Tag(flv[position], high << 24 | low, data)
        position += 11 + size + 4


def fed(source: Path, *, key_frame: int = 0) -> tuple[bytes, Fraction]:
    """Return what is fed of a file from one of its key frames on, and the time at which that is shown, in seconds."""
    tags = list(tags_of(source.read_bytes()))
    first = [tag for tag in tags if tag.is_key_frame][key_frame]
    head = b"".join(tag.at(0) for tag in tags if tag.is_header)
    rest = (tag.at(tag.time - first.time) for tag in tags if not tag.is_header and tag.time >= first.time)
    return HEADER + head + b"".join(rest), first.shown - Fraction(first.time, 1000)


def joined(*sources: tuple[Path, int]) -> tuple[bytes, Fraction]:
    """Return what is fed of files of which each begins so many milliseconds after the first one."""
    streams = [(list(tags_of(source.read_bytes())), offset) for source, offset in sources]
    shown = next(tag for tag in streams[0][0] if tag.is_key_frame).shown
    return HEADER + b"".join(tag.at(tag.time + offset) for tags, offset in streams for tag in tags), shown


def in_blocks(stream: bytes) -> Feed:
    """Yield it in the sizes in which a network would bring it."""
    for start in range(0, len(stream), BLOCK_BYTES):
        yield stream[start : start + BLOCK_BYTES]
