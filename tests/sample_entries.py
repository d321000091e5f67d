"""Boxes in the sample entry of an MP4 file that no muxer here writes there."""

import struct

_PARENTS = ("moov", "trak", "mdia", "minf", "stbl", "stsd", "hvc1")
_FIELDS = {"stsd": 8, "hvc1": 78}
"""Bytes of fields in front of the boxes inside."""


def with_dolby_vision(mp4: bytes, *, profile: int, compatibility: int) -> bytes:
    """Add a configuration record of Dolby Vision to the first HEVC track. The index must lie behind the media.

    Its box is `dvcC` up to profile 7, `dvvC` for later ones.
    """
    flags = profile << 9 | 6 << 3 | 0b101  # level 6; RPU and base layer are there, an enhancement layer is not
    record = struct.pack(">BBHB", 1, 0, flags, compatibility << 4) + bytes(19)
    return _inserted(mp4, _box(b"dvvC" if profile > 7 else b"dvcC", record), _PARENTS)


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def _inserted(data: bytes, box: bytes, path: tuple[str, ...]) -> bytes:
    """Put a box at the end of the box at a path of types, and make all boxes around it larger."""
    if not path:
        return data + box
    position = 0
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if kind == path[0].encode():
            start = position + 8 + _FIELDS.get(path[0], 0)
            inner = _inserted(data[start : position + size], box, path[1:])
            grown = struct.pack(">I", start - position + len(inner)) + data[position + 4 : start] + inner
            return data[:position] + grown + data[position + size :]
        position += size
    raise ValueError(f"the file has no {path[0]}")
