"""The tables of one track in the index of an MP4 or QuickTime file (ISO/IEC 14496-12, 8.6 and 8.7).

Every count is checked against the bytes that are there before anything is built from it.
"""

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, repeat

from transcoding.containers.boxes import Box, find, iterate_boxes
from transcoding.containers.spans import Span

_MAX_FRAMES = 3_000_000
_MAX_CHILDREN = 1024


class UnusableIndex(ValueError):
    """The file cannot be read in parts: no index, a damaged one, or one of a kind that is not understood here."""


@dataclass(frozen=True, slots=True)
class Frames:
    """The video track's samples in decoding order.

    `times` are composition times in ticks, before any edit list; `sync` has a 1 where decoding can start.
    """

    offsets: Sequence[int]
    sizes: Sequence[int]
    times: Sequence[int]
    sync: bytes

    def span(self, first: int, end: int) -> list[Span]:
        """Return the spans of these samples."""
        return [
            (offset, offset + size) for offset, size in zip(self.offsets[first:end], self.sizes[first:end], strict=True)
        ]


@dataclass(frozen=True, slots=True)
class TrackTables:
    """A track's boxes by type, and what every use of them needs."""

    handler: str
    timescale: int
    boxes: Mapping[str, memoryview]
    chunk_offsets: Sequence[int]

    @classmethod
    def of(cls, trak: memoryview) -> "TrackTables":
        """Read the payload of a `trak`. Raises UnusableIndex, and what reading of boxes raises."""
        media = find(trak, "mdia")
        header = find(media, "mdhd")
        (timescale,) = struct.unpack_from(">I", header, 20 if header[0] else 12)
        if not timescale:
            raise UnusableIndex("a track without a time scale")
        boxes = {box.kind: box.payload for box in children(find(media, "minf", "stbl"))}
        large = "co64" in boxes
        offsets = _numbers(_table(boxes, "co64" if large else "stco", 8 if large else 4), 8 if large else 4)
        handler = bytes(find(media, "hdlr")[8:12]).decode("latin-1")
        return cls(handler, timescale, boxes, offsets)

    def chunk_ends(self, starts: Sequence[int], file_size: int) -> Sequence[int]:
        """Return where its chunks end; `starts` are those of all tracks' chunks, in order."""
        size, count = self._sample_sizes()
        ends = self._next_starts(starts, file_size) if size else self._sums_of_sizes(count)
        if any(end > file_size for end in ends):
            raise UnusableIndex("a chunk ends behind the file")
        return ends

    def _next_starts(self, starts: Sequence[int], file_size: int) -> Sequence[int]:
        """Return ends of chunks whose samples have one size, as PCM has: each ends at the next chunk of any track.

        The size that QuickTime gives for such samples is not the size of a sample in bytes.
        """
        following = (bisect_right(starts, offset) for offset in self.chunk_offsets)
        return [starts[number] if number < len(starts) else max(file_size, starts[-1]) for number in following]

    def _sums_of_sizes(self, count: int) -> Sequence[int]:
        sizes = iter(_numbers(self._size_table(count), 4))
        chunks = zip(self.chunk_offsets, self._samples_per_chunk(), strict=True)
        return [offset + sum(islice(sizes, samples)) for offset, samples in chunks]

    def frames(self, file_size: int) -> Frames:
        """All samples, one by one. Raises UnusableIndex when there are more than a video has."""
        size, count = self._sample_sizes()
        if not 0 < count <= _MAX_FRAMES:
            raise UnusableIndex(f"{count} frames")
        sizes = array("I", [size]) * count if size else _numbers(self._size_table(count), 4)
        offsets = array("Q")
        for offset, samples in zip(self.chunk_offsets, self._samples_per_chunk(), strict=True):
            if offset > file_size or samples > count - len(offsets):
                raise UnusableIndex("a chunk behind the file, or of more frames than there are")
            position = offset
            for sample_size in sizes[len(offsets) : len(offsets) + samples]:
                offsets.append(position)
                position += sample_size
            if position > file_size:
                raise UnusableIndex("a frame ends behind the file")
        if len(offsets) != count:
            raise UnusableIndex(f"{len(offsets)} of {count} frames have a position")
        return Frames(offsets, sizes, self._times(count), self._sync(count))

    def _sample_sizes(self) -> tuple[int, int]:
        """The size of all samples, 0 when they differ, and how many there are."""
        size, count = struct.unpack_from(">II", _box(self.boxes, "stsz"), 4)
        return size, count

    def _size_table(self, count: int) -> memoryview:
        sizes = _box(self.boxes, "stsz")[12:]
        if len(sizes) < 4 * count:
            raise UnusableIndex(f"{count} samples announced, sizes of {len(sizes) // 4} given")
        return sizes[: 4 * count]

    def _samples_per_chunk(self) -> Iterator[int]:
        """Return the number of samples of each chunk."""
        runs = _numbers(_table(self.boxes, "stsc", 12), 4)
        firsts = runs[::3]
        firsts.append(len(self.chunk_offsets) + 1)
        if firsts[0] != 1 or any(later < earlier for earlier, later in pairwise(firsts)):
            raise UnusableIndex("the chunks of a track are out of order")
        for first, samples, following in zip(firsts, runs[1::3], firsts[1:], strict=False):
            yield from repeat(samples, following - first)

    def _times(self, count: int) -> Sequence[int]:
        """Return each sample's presentation time, on the media's own clock."""
        times, decoded = array("q"), 0
        for samples, duration in struct.iter_unpack(">II", _table(self.boxes, "stts", 8)):
            if len(times) + samples > count:
                raise UnusableIndex("more durations than frames")
            end = decoded + samples * duration
            times.extend(range(decoded, end, duration) if duration else repeat(decoded, samples))
            decoded = end
        if len(times) != count:
            raise UnusableIndex(f"{len(times)} durations for {count} frames")
        self._add_offsets(times)
        return times

    def _add_offsets(self, times: "array[int]") -> None:
        """Add what `ctts` says; its offsets are signed, whatever the version: QuickTime does not care."""
        if "ctts" not in self.boxes:
            return
        number = 0
        for samples, offset in struct.iter_unpack(">Ii", _table(self.boxes, "ctts", 8)):
            end = number + samples
            if end > len(times):
                raise UnusableIndex("more composition offsets than frames")
            for at in range(number, end):
                times[at] += offset
            number = end

    def _sync(self, count: int) -> bytes:
        """Return the samples that decoding can start at; without the table it is every one."""
        if "stss" not in self.boxes:
            return b"\1" * count
        flags = bytearray(count)
        for number in _numbers(_table(self.boxes, "stss", 4), 4):
            if not 0 < number <= count:
                raise UnusableIndex(f"key frame {number} of {count}")
            flags[number - 1] = 1
        return bytes(flags)


def children(payload: memoryview) -> Iterator[Box]:
    """Iterate over the boxes in a box. Raises UnusableIndex for too many."""
    boxes = list(islice(iterate_boxes(payload), _MAX_CHILDREN + 1))
    if len(boxes) > _MAX_CHILDREN:
        raise UnusableIndex(f"more than {_MAX_CHILDREN} boxes in one")
    return iter(boxes)


def _box(boxes: Mapping[str, memoryview], kind: str) -> memoryview:
    if kind not in boxes:
        raise UnusableIndex(f"a track without {kind}")
    return boxes[kind]


def _table(boxes: Mapping[str, memoryview], kind: str, row_bytes: int) -> memoryview:
    """The rows of a table box. Raises UnusableIndex when there are fewer than it announces."""
    box = _box(boxes, kind)
    (rows,) = struct.unpack_from(">I", box, 4)
    if len(box) - 8 < rows * row_bytes:
        raise UnusableIndex(f"{kind} announces {rows} rows and has {(len(box) - 8) // row_bytes}")
    return box[8 : 8 + rows * row_bytes]


def _numbers(rows: memoryview, width: int) -> "array[int]":
    """Big-endian unsigned numbers of 4 or 8 bytes."""
    numbers = array("I" if width == array("I").itemsize else "Q")
    numbers.frombytes(rows)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
