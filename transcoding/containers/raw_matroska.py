"""Matroska around the frames of a raw stream, each with the time at which it is shown, and an index (RFC 9559).

ffmpeg cannot make such a file: its demuxers of raw streams give no times to frames that are coded in another order than
they are shown in, and copying Matroska without times of decoding, it moves some of them.
"""

import struct
from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from transcoding.probing.frame_order import CodedFrames
from transcoding.probing.streams import Resolution
from transcoding.sniffing.nal import Searchable

CODEC_IDS = {"h264": b"V_MPEG4/ISO/AVC", "hevc": b"V_MPEGH/ISO/HEVC"}
"""Names of codecs in Matroska."""

_CUES = b"\x1c\x53\xbb\x6b"
_KEY = 0x80
_BLOCK_BYTES = 1 << 20
_NANOSECONDS = 1_000_000_000
_MILLISECONDS = 1000
_CUE_MILLISECONDS = 500
_CLUSTER_OVERHEAD = len(b"\x1f\x43\xb6\x75") + 8 + len(b"\xe7") + 8 + 8 + len(b"\xa3") + 8 + len(b"\x81\x00\x00\x80")
"""Bytes of a cluster beside the one frame that is in it."""


def even_times(frames: CodedFrames, rate: Fraction, *, first: int = 0) -> "array[int]":
    """Return the milliseconds at which frames of a constant rate are shown, in coding order; `first`: the earliest."""
    return array("q", (first + round(_MILLISECONDS * position / rate) for position in frames.positions()))


def slot_times(frames: CodedFrames, slots: Sequence[int]) -> "array[int]":
    """Return the milliseconds at which frames are shown, in coding order: the nth one that is shown has the nth slot.

    `slots` are ascending, and as many as there are frames.
    """
    return array("q", (slots[position] for position in frames.positions()))


def matroska_stream(  # noqa: PLR0913 - what the header says, by name
    data: Searchable,
    length: int,
    frames: CodedFrames,
    times: Sequence[int],
    *,
    codec: str,
    rate: Fraction,
    size: Resolution,
) -> Iterator[bytes]:
    """Yield the file in pieces. `data` has `length` bytes, `rate` are frames per second.

    `times` are milliseconds from 0 on, in coding order.
    """
    ends = array("q", [*frames.starts[1:], length])
    track, clusters = _track(codec, rate, size), len(frames.starts) * _CLUSTER_OVERHEAD + length - frames.starts[0]
    info = _info(max(times) / Fraction(_MILLISECONDS) + 1 / rate)
    front = len(_seek_head(0)) + len(info) + len(track)
    cues = _cues(frames, times, front)
    yield _element(b"\x1a\x45\xdf\xa3", _element(b"\x42\x82", b"matroska") + _element(b"\x42\x87", _number(4)))
    yield b"\x18\x53\x80\x67" + _size(front + clusters + len(cues)) + _seek_head(front + clusters) + info + track
    for start, end, key, time in zip(frames.starts, ends, frames.keys, times, strict=True):
        stamp = _element(b"\xe7", _number(time))
        block = b"\xa3" + _size(4 + end - start) + b"\x81\x00\x00" + bytes([_KEY * key])
        yield b"\x1f\x43\xb6\x75" + _size(len(stamp) + len(block) + end - start) + stamp + block
        for begin, stop in pairwise([*range(start, end, _BLOCK_BYTES), end]):
            yield data[begin:stop]
    yield cues


def _cues(frames: CodedFrames, times: Sequence[int], front: int) -> bytes:
    """Return the index: the time of a key frame, and where its cluster begins, counted from the segment's beginning.

    It has no two key frames of one half second: intra-coded streams are as fast to seek in without.
    """
    points, next_time = [], 0
    for number, (start, key, time) in enumerate(zip(frames.starts, frames.keys, times, strict=True)):
        if key and time >= next_time:
            next_time = time + _CUE_MILLISECONDS
            position = front + number * _CLUSTER_OVERHEAD + start - frames.starts[0]
            where = _element(b"\xb7", _element(b"\xf7", _number(1)) + _element(b"\xf1", _number(position)))
            points.append(_element(b"\xbb", _element(b"\xb3", _number(time)) + where))
    return _element(_CUES, b"".join(points))


def _seek_head(cues: int) -> bytes:
    entry = _element(b"\x53\xab", _CUES) + _element(b"\x53\xac", _number(cues))
    return _element(b"\x11\x4d\x9b\x74", _element(b"\x4d\xbb", entry))


def _info(seconds: Fraction) -> bytes:
    scale = _element(b"\x2a\xd7\xb1", _number(_NANOSECONDS // _MILLISECONDS))
    return _element(b"\x15\x49\xa9\x66", scale + _element(b"\x44\x89", struct.pack(">d", _MILLISECONDS * seconds)))


def _track(codec: str, rate: Fraction, size: Resolution) -> bytes:
    entry = b"".join(
        (
            _element(b"\xd7", _number(1)),
            _element(b"\x73\xc5", _number(1)),
            _element(b"\x83", _number(1)),
            _element(b"\x9c", _number(0)),
            _element(b"\x23\xe3\x83", _number(round(_NANOSECONDS / rate))),
            _element(b"\x86", CODEC_IDS[codec]),
            _element(b"\xe0", _element(b"\xb0", _number(size.width)) + _element(b"\xba", _number(size.height))),
        )
    )
    return _element(b"\x16\x54\xae\x6b", _element(b"\xae", entry))


def _element(number: bytes, payload: bytes) -> bytes:
    return number + _size(len(payload)) + payload


def _size(length: int) -> bytes:
    return b"\x01" + length.to_bytes(7, "big")


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")
