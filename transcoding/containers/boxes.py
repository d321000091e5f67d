"""ISO base media boxes (ISO/IEC 14496-12): what init segments and fragments say of themselves.

Reads only what ffmpeg's MP4 muxer writes for us, and refuses anything else rather than guess.
"""

import os
import struct
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from transcoding.color import ColorSpace
from transcoding.encoders.levels import av1_color

HEADER_BYTES = 8
_MAX_INDEX_BYTES = 256 << 20
"""Limit of the index of a progressive file: several times that of twelve hours with some audio tracks."""
_MAX_TOP_LEVEL = 64
"""Boxes of a file that are looked at."""
_MATRIX = slice(-44, -8)
"""Position in a `tkhd`, in front of its width and height."""
_UPRIGHT = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_VP9_LEVEL = 5
"""Position of the level in a `vpcC`: behind version, flags and profile."""
_LARGE = 1
_VISUAL_ENTRIES = frozenset({"avc1", "hvc1", "av01", "vp09"})
_VISUAL_ENTRY_BYTES, _AUDIO_ENTRY_BYTES = 78, 28


class MalformedBoxes(ValueError):
    """The bytes are not the boxes they should be."""


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its type and its payload, without the header."""

    kind: str
    payload: memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class InitSegment:
    """Values of a track's init segment. `edit_start` is where presentation starts, in ticks of `timescale`.

    `color` is None without a `colr` box.
    """

    timescale: int
    codecs: str
    width: int
    height: int
    edit_start: int
    color: ColorSpace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A track as the index of a progressive file describes it.

    Samples (coded frames), ticks of `timescale` and bytes are those of the whole track; `edit_start` is where
    presentation starts, in ticks.
    """

    timescale: int
    codecs: str
    samples: int
    ticks: int
    size: int
    edit_start: int


def iterate_boxes(data: bytes | memoryview) -> Iterator[Box]:
    """The boxes of a buffer, one after another."""
    view = memoryview(data)
    while view:
        size, kind, header = box_header(view)
        if size < header or size > len(view):
            raise MalformedBoxes(f"box {kind} says {size} bytes, {len(view)} are there")
        yield Box(kind, view[header:size])
        view = view[size:]


def box_header(view: memoryview) -> tuple[int, str, int]:
    """Size of the whole box, its type, and the length of its header."""
    if len(view) < HEADER_BYTES:
        raise MalformedBoxes(f"{len(view)} bytes are too few for a box")
    size, name = struct.unpack_from(">I4s", view)
    if size == _LARGE:
        if len(view) < 2 * HEADER_BYTES:
            raise MalformedBoxes(f"{len(view)} bytes are too few for a large box")
        return struct.unpack_from(">Q", view, HEADER_BYTES)[0], name.decode("latin-1"), 2 * HEADER_BYTES
    return size, name.decode("latin-1"), HEADER_BYTES


def find(data: bytes | bytearray | memoryview, *path: str) -> memoryview:
    """The payload of the first box at this path of types. Raises MalformedBoxes when there is none."""
    payload = memoryview(data)
    for kind in path:
        found = next((box.payload for box in iterate_boxes(payload) if box.kind == kind), None)
        if found is None:
            raise MalformedBoxes(f"no box {kind} on the way to {'/'.join(path)}")
        payload = found
    return payload


def read_init(data: bytes) -> InitSegment:
    """Read the `ftyp` and `moov` in front of the fragments of one track. Raises MalformedBoxes."""
    with long_enough():
        track = find(data, "moov", "trak")
        width, height = struct.unpack(">II", find(track, "tkhd")[-8:])
        return InitSegment(
            timescale=_timescale(find(track, "mdia", "mdhd")),
            codecs=_codecs(find(track, "mdia", "minf", "stbl", "stsd")),
            width=width >> 16,
            height=height >> 16,
            edit_start=_edit_start(find(track, "edts", "elst")),
            color=_color(find(track, "mdia", "minf", "stbl", "stsd")),
        )


def as_upright(init: bytes) -> bytes:
    """Return the init segment of one track with a matrix that turns nothing. Raises MalformedBoxes.

    ffmpeg 5.1 copies that of the source, although the frames are upright, unless it has turned them itself.
    """
    changed = bytearray(init)
    header = find(changed, "moov", "trak", "tkhd")
    if len(header) < -_MATRIX.start:
        raise MalformedBoxes(f"{len(header)} bytes are too few for a tkhd")
    header[_MATRIX] = struct.pack(">9i", *_UPRIGHT)
    return bytes(changed)


def with_vp9_level(init: bytes, number: int) -> bytes:
    """Return the init segment of a VP9 track with this level, e.g. 31 for 3.1. Raises MalformedBoxes.

    No stream states a level. ffmpeg derives one from the size of frames alone, which is too low for many in a second.
    """
    changed = bytearray(init)
    with long_enough():
        stsd = find(changed, "moov", "trak", "mdia", "minf", "stbl", "stsd")
        entry = next(iterate_boxes(stsd[8:]))
        find(entry.payload[_VISUAL_ENTRY_BYTES:], "vpcC")[_VP9_LEVEL] = number
    return bytes(changed)


@contextmanager
def long_enough() -> Iterator[None]:
    """Raise MalformedBoxes where a box ends before its fields do."""
    try:
        yield
    except (struct.error, IndexError, StopIteration) as error:
        raise MalformedBoxes(f"a box is too short: {error}") from error


def read_tracks(moov: bytes) -> tuple[Track, ...]:
    """Read the index of a progressive file, given as the payload of its `moov`. Raises MalformedBoxes."""
    with long_enough():
        return tuple(_read_track(box.payload) for box in iterate_boxes(moov) if box.kind == "trak")


def _read_track(track: memoryview) -> Track:
    tables = find(track, "mdia", "minf", "stbl")
    samples, size = _sample_sizes(find(tables, "stsz"))
    durations, ticks = _sample_durations(find(tables, "stts"))
    if durations != samples:
        raise MalformedBoxes(f"a track has {samples} sizes and {durations} durations")
    return Track(
        timescale=_timescale(find(track, "mdia", "mdhd")),
        codecs=_codecs(find(tables, "stsd")),
        samples=samples,
        ticks=ticks,
        size=size,
        edit_start=_edit_start(find(track, "edts", "elst")),
    )


def _sample_sizes(stsz: memoryview) -> tuple[int, int]:
    """Count the samples and their bytes. A long film has millions, so the sizes stay packed."""
    common, count = struct.unpack_from(">II", stsz, 4)
    if common:
        return int(count), int(count) * int(common)
    listed = bytes(stsz[12 : 12 + 4 * count])
    if len(listed) != 4 * count:
        raise MalformedBoxes(f"a track announces {count} sizes and lists {len(listed) // 4}")
    sizes = array("I", listed)
    if sys.byteorder == "little":
        sizes.byteswap()
    return len(sizes), sum(sizes)


def _sample_durations(stts: memoryview) -> tuple[int, int]:
    """Count the samples and their ticks."""
    samples = total = 0
    for count, ticks in struct.iter_unpack(">II", stts[8:]):
        samples += count
        total += count * ticks
    return samples, total


def media_bytes(data: bytes) -> int:
    """Bytes of coded media in a segment: what its `mdat` boxes hold."""
    return sum(len(box.payload) for box in iterate_boxes(data) if box.kind == "mdat")


def _timescale(mdhd: memoryview) -> int:
    return int(struct.unpack_from(">I", mdhd, 20 if mdhd[0] else 12)[0])


def _edit_start(elst: memoryview) -> int:
    """Media time of the only edit: how far presentation lies behind decoding."""
    (count,) = struct.unpack_from(">I", elst, 4)
    if count != 1:
        raise MalformedBoxes(f"expected one edit, found {count}")
    return int(struct.unpack_from(">q", elst, 16)[0] if elst[0] else struct.unpack_from(">i", elst, 12)[0])


def _codecs(stsd: memoryview) -> str:
    """The codecs string of the first sample entry, as RFC 6381 spells it."""
    entry = next(iterate_boxes(stsd[8:]))
    if entry.kind == "avc1":
        avcc = find(entry.payload[_VISUAL_ENTRY_BYTES:], "avcC")
        return f"avc1.{avcc[1:4].hex()}"
    if entry.kind == "hvc1":
        return _hevc_codecs(find(entry.payload[_VISUAL_ENTRY_BYTES:], "hvcC"))
    if entry.kind == "av01":
        return _av1_codecs(find(entry.payload[_VISUAL_ENTRY_BYTES:], "av1C"), _color(stsd))
    if entry.kind == "Opus":
        return "opus"
    if entry.kind == "vp09":
        return _vp9_codecs(find(entry.payload[_VISUAL_ENTRY_BYTES:], "vpcC"))
    if entry.kind == "mp4a":
        return f"mp4a.40.{_audio_object_type(find(entry.payload[_AUDIO_ENTRY_BYTES:], 'esds'))}"
    raise MalformedBoxes(f"unknown sample entry {entry.kind}")


def _color(stsd: memoryview) -> ColorSpace | None:
    """Return the color space in the `colr` box of the first sample entry, of the kind `nclx` (14496-12, 12.1.5)."""
    entry = next(iterate_boxes(stsd[8:]))
    if entry.kind not in _VISUAL_ENTRIES:
        return None
    boxes = iterate_boxes(entry.payload[_VISUAL_ENTRY_BYTES:])
    colr = next((box.payload for box in boxes if box.kind == "colr" and bytes(box.payload[:4]) == b"nclx"), None)
    if colr is None:
        return None
    return ColorSpace.of_codes(*struct.unpack_from(">HHH", colr, 4), full=bool(colr[10] & 0x80))


def _hevc_codecs(hvcc: memoryview) -> str:
    """Profile space, profile, tier, level and constraints, the latter without zeros at the end (14496-15 annex E)."""
    space, tier, profile = hvcc[1] >> 6, hvcc[1] >> 5 & 1, hvcc[1] & 0x1F
    (compatible,) = struct.unpack_from(">I", hvcc, 2)
    mirrored = int(f"{compatible:032b}"[::-1], 2)
    constraints = bytes(hvcc[6:12]).rstrip(b"\0")
    parts = [f"{'ABC'[space - 1] if space else ''}{profile}", f"{mirrored:x}", f"{'LH'[tier]}{hvcc[12]}"]
    return ".".join(["hvc1", *parts, *(f"{byte:X}" for byte in constraints)])


def _av1_codecs(av1c: memoryview, color: ColorSpace | None) -> str:
    """Profile, level, tier and bit depth of the sequence header; colors of high range (AV1 in ISOBMFF, section 5)."""
    profile, level, tier = av1c[1] >> 5, av1c[1] & 0x1F, av1c[2] >> 7
    depth = 8 if not av1c[2] & 0x40 else 12 if av1c[2] & 0x20 else 10
    colors = av1_color(color) if color and color.hdr and depth > 8 else ""  # noqa: PLR2004 - 8-bit PQ is of version 0.1
    return f"av01.{profile}.{level:02d}{'MH'[tier]}.{depth:02d}{colors}"


def _vp9_codecs(vpcc: memoryview) -> str:
    """Profile, level and bit depth, which follow version and flags (VP codec ISO media file format binding)."""
    return f"vp09.{vpcc[4]:02d}.{vpcc[_VP9_LEVEL]:02d}.{vpcc[6] >> 4:02d}"


def _audio_object_type(esds: memoryview) -> int:
    """Walk ES, decoder config and decoder specific descriptor; the last one begins with 5 bits of object type."""
    position = 4
    for tag, fixed in ((0x03, 3), (0x04, 13), (0x05, 0)):
        if esds[position] != tag:
            raise MalformedBoxes(f"expected descriptor {tag:#x}, found {esds[position]:#x}")
        position += 1
        while esds[position] & 0x80:
            position += 1
        position += 1 + fixed
    return esds[position] >> 3


def top_level_kinds(file: BinaryIO, *, max_boxes: int = _MAX_TOP_LEVEL) -> list[str]:
    """Return the types of a file's first top-level boxes, read by skipping over their payloads."""
    return [kind for kind, _, _ in islice(_top_level(file), max_boxes)]


def front_index(file: BinaryIO) -> bytes:
    """Return the payload of a file's `moov`. Raises MalformedBoxes unless it is whole and lies before the media."""
    for kind, start, end in islice(_top_level(file), _MAX_TOP_LEVEL):
        if kind == "mdat" or end - start > _MAX_INDEX_BYTES:
            break
        if kind == "moov":
            file.seek(start)
            payload = file.read(end - start)
            if len(payload) == end - start:
                return payload
    raise MalformedBoxes("the file has no index before its media")


def _top_level(file: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """Type, start of the payload and end of each box; one that says nothing of its size is the last."""
    position, length = 0, file.seek(0, os.SEEK_END)
    while position < length:
        file.seek(position)
        head = file.read(2 * HEADER_BYTES)
        if len(head) < 2 * HEADER_BYTES:
            return
        size, kind, header = box_header(memoryview(head))
        yield kind, position + header, position + max(size, header)
        if size < header:
            return
        position += size
