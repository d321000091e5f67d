"""MPEG-4 in AVI with packed B-frames, as DivX 5 and Xvid write it for Video for Windows: no encoder here does."""

import struct
from collections.abc import Iterator, Sequence

_VOP = b"\x00\x00\x01\xb6"
_USER_DATA = b"\x00\x00\x01\xb2DivX503b1393p"
_EMPTY = _VOP + bytes((0b01_0_1_0000, 0b0_1_0_0_1111))
"""A P-frame at time 0 of a clock of 25 ticks, of which nothing is coded."""
_B_FRAME = 0b10
_KEY_FRAME = 0x10
_VIDEO = b"00dc"


def packed(avi: bytes) -> bytes:
    """Pack each B-frame of an AVI of ffmpeg's with the frame in front of it, and put an empty frame in its place.

    The video must be the first stream, MPEG-4 of 25 frames per second, with one B-frame between two others at most.
    """
    movi = avi.index(b"movi")
    size = struct.unpack_from("<I", avi, movi - 4)[0]
    chunks = list(_packed(list(_chunks(avi[movi + 4 : movi - 8 + 8 + size]))))
    body, index = bytearray(b"movi"), bytearray()
    for kind, data in chunks:
        flags = 0 if kind == _VIDEO and data[data.index(_VOP) + 4] >> 6 else _KEY_FRAME
        index += struct.pack("<4sIII", kind, flags, len(body), len(data))
        body += struct.pack("<4sI", kind, len(data)) + data + b"\0" * (len(data) % 2)
    head = avi[12 : movi - 8]
    parts = head + b"LIST" + struct.pack("<I", len(body)) + body + b"idx1" + struct.pack("<I", len(index)) + index
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"AVI " + parts


def _chunks(movi: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(movi):
        kind, size = struct.unpack_from("<4sI", movi, at)
        yield kind, movi[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _packed(chunks: Sequence[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    frames = [data for kind, data in chunks if kind == _VIDEO]
    paired = []
    for number, data in enumerate(frames):
        if _is_b(data):
            paired.append(_EMPTY)
        else:
            behind = frames[number + 1] if number + 1 < len(frames) else b""
            paired.append(_declared(data) + (behind if _is_b(behind) else b""))
    replaced = iter(paired)
    for kind, data in chunks:
        yield kind, next(replaced) if kind == _VIDEO else data


def _is_b(frame: bytes) -> bool:
    at = frame.find(_VOP)
    return at >= 0 and frame[at + 4] >> 6 == _B_FRAME


def _declared(frame: bytes) -> bytes:
    """Say in front of a key frame that B-frames are packed."""
    at = frame.index(_VOP)
    return frame[:at] + _USER_DATA + frame[at:] if frame[at + 4] >> 6 == 0 else frame
