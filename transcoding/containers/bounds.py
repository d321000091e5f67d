"""Bounds of an MP4 or QuickTime index, read here before any program opens the file.

ffmpeg's demuxer makes an entry of memory for each sample that an index announces, and one more each time that an edit
list shows it. A file of 830 bytes can announce 80 million. So the announcements are compared with each other and with
the bytes of the file first. Tables are read in blocks: neither their length nor what they say costs memory here.

A file whose boxes are odd in other ways is left to ffmpeg, within the limits of the process that runs it.
"""

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import IO

from transcoding.containers.box_tree import Check, boxes, checked, tree, unchecked
from transcoding.containers.boxes import HEADER_BYTES, MalformedBoxes
from transcoding.containers.spans import Span
from transcoding.errors import EXPORT_AGAIN, InputRejected

MAX_SAMPLES = 6_000_000
"""Entries of an index, of all tracks together.

Twelve hours of 60 frames per second have 2.6 million, each track of AAC beside them 2 million.
"""
MAX_SHOWN_AGAIN = 500_000
"""Entries that edit lists may always add. Cutting an hour into a thousand scenes adds a group of frames for each."""

_MAX_REPEATS = 2
"""Times that the bytes of a file may be media, beyond which its samples lie on top of each other."""
_REPEATED_BYTES = 16 << 20
"""Bytes that may always be media twice: some programs store frames that are alike once."""
_MAX_EDITS = 100_000
_MAX_TOP_BOXES = 100_000
"""Boxes of the file that are looked at: fragments of a second of 13 hours, two boxes each."""
_MAX_BOXES = 20_000
"""Boxes within one `moov`; a track has about thirty."""
_MAX_TABLE_BYTES = 40 * MAX_SAMPLES
"""Bytes of all tables: those of a sample are its size, its duration, its offset, and mostly less."""
_BLOCK_ROWS = 1 << 14
_TABLES = frozenset({"mdhd", "hdlr", "stsz", "stz2", "stsc", "stco", "co64", "stts", "stss", "elst", "mvhd"})
_MEDIA_HANDLERS = frozenset({b"vide", b"soun", b"subp", b"clcp", b"m1a "})
"""Handlers that say what a track is. Beside that QuickTime has one that says where its bytes are."""
_PCM_ENTRY_SAMPLES = 1024
"""Samples of PCM, or what counts like it, that ffmpeg's demuxer joins to one entry."""


def refuse_unbounded(file: IO[bytes], size: int, *, max_tracks: int, check: Check = unchecked) -> None:
    """Raise InputRejected for an index that announces more than the file can hold, or more than a video has.

    Of a sparse copy, every box but the media must be there. A file of another family passes. `check` is called again
    and again, and may raise.
    """
    counts = _Counts(size, max_tracks, check)
    try:
        for kind, start, end in checked(islice(boxes(file, 0, size), _MAX_TOP_BOXES), check):
            if kind == "moov":
                counts.add_index(file, (start, end))
            elif kind == "moof":
                counts.add_fragment(file, (start, end))
    except (MalformedBoxes, struct.error):
        return  # ffmpeg says best what is wrong


@dataclass
class _Counts:
    """Announcements of all indexes and fragments of a file, added up."""

    size: int
    max_tracks: int
    check: Check
    tracks: int = 0
    samples: int = 0
    media_bytes: int = 0

    def add_index(self, file: IO[bytes], moov: Span) -> None:
        index = list(islice(checked(tree(file, moov), self.check), _MAX_BOXES + 1))
        if len(index) > _MAX_BOXES:
            raise InputRejected(f"the file's index has more than {_MAX_BOXES} boxes; {EXPORT_AGAIN}")
        self.tracks += sum(kind == "trak" for kind, _ in index)
        if self.tracks > self.max_tracks:
            raise InputRejected(f"the file has {self.tracks} streams; {self.max_tracks} are allowed: {EXPORT_AGAIN}")
        if sum(end - start for kind, (start, end) in index if kind in _TABLES) > _MAX_TABLE_BYTES:
            raise InputRejected(f"the file's index has more than {_MAX_TABLE_BYTES} bytes; {EXPORT_AGAIN}")
        timescale = next((_timescale(file, payload) for kind, payload in index if kind == "mvhd"), 0)
        for track in _tracks(file, index, self.check):
            self.add_samples(track.samples())
            self.add_samples(track.shown_again(timescale))
            self.media_bytes += track.media_bytes()
        if self.media_bytes > _MAX_REPEATS * self.size + _REPEATED_BYTES:
            raise InputRejected(
                f"the file's index uses the same bytes over and over: {self.media_bytes} bytes of media in a file of"
                f" {self.size}; {EXPORT_AGAIN}"
            )

    def add_fragment(self, file: IO[bytes], moof: Span) -> None:
        """Add the samples that the runs of a fragment announce, each with an entry, even if it has no row for it."""
        for kind, (start, end) in islice(checked(tree(file, moof), self.check), _MAX_BOXES):
            if kind == "trun" and end - start >= HEADER_BYTES:
                self.add_samples(_read(file, ">I", start + 4)[0])

    def add_samples(self, samples: int) -> None:
        self.samples += samples
        if self.samples > MAX_SAMPLES:
            raise InputRejected(
                f"the file's index announces {self.samples} frames and audio packets; {MAX_SAMPLES} are allowed: cut it"
            )


@dataclass
class _Track:
    """The tables of one track: for each type of box the last one, as ffmpeg takes them."""

    file: IO[bytes]
    size: int
    check: Check
    tables: dict[str, Span] = field(default_factory=dict)

    def samples(self) -> int:
        """Return the entries that ffmpeg makes of the track before it looks at edits."""
        common, count = self._sizes()
        if self._is_pcm():
            runs = self._runs()
            return sum(chunks * -(-samples // _PCM_ENTRY_SAMPLES) for samples, chunks in runs)
        if common and count > self.size:
            raise InputRejected(
                f"the file's index announces {count} frames, but the file has only {self.size} bytes; {EXPORT_AGAIN}"
            )
        return count

    def shown_again(self, movie_timescale: int) -> int:
        """Return the entries that the edit list adds: each edit shows samples from a sync sample on."""
        edits = self._edits(movie_timescale)
        _, count = self._sizes()
        if len(edits) < 2 or self._is_pcm():  # noqa: PLR2004 - one edit shows nothing twice
            return 0
        if len(edits) * count <= MAX_SHOWN_AGAIN:
            return 0
        times, numbers = self._time_line(count)
        sync = array("I", islice(chain.from_iterable(self._blocks("stss", 4, 4)), MAX_SAMPLES))
        shown = 0
        for start, length in checked(edits, self.check):
            first = _sample_at(times, numbers, start)
            if sync:
                first = sync[max(0, bisect_right(sync, first + 1) - 1)] - 1
            shown += max(0, _sample_at(times, numbers, start + length) + 1 - first)
        again = max(0, shown - count)
        if again > MAX_SHOWN_AGAIN and again > count:
            raise InputRejected(f"an edit list shows {count} frames as if they were {shown}; {EXPORT_AGAIN}")
        return again

    def media_bytes(self) -> int:
        """Return the bytes of a video track that lie within the file, each as often as samples lie on it."""
        if self._handler() != b"vide":
            return 0
        common, count = self._sizes()
        wide = "co64" in self.tables
        offsets = chain.from_iterable(self._blocks("co64" if wide else "stco", 4, 8 if wide else 4))
        sizes = chain.from_iterable(self._size_blocks(count))
        found = 0
        for samples, chunks in self._runs():
            for offset in islice(offsets, chunks):
                length = samples * common if common else sum(islice(sizes, samples))
                found += max(0, min(length, self.size - offset))
                count -= samples
                if count <= 0:
                    return found
        return found

    def _sizes(self) -> tuple[int, int]:
        """Return the size of all samples, 0 where they differ, and their number."""
        if "stz2" in self.tables:
            return 0, _read(self.file, ">I", self.tables["stz2"][0] + 8)[0]
        if "stsz" not in self.tables:
            return 0, 0
        common, count = _read(self.file, ">II", self.tables["stsz"][0] + 4)
        if not common and count > self._rows("stsz", 12, 4):
            raise InputRejected(f"the file's index announces the sizes of more frames than it has; {EXPORT_AGAIN}")
        return common, count

    def _size_blocks(self, count: int) -> Iterator["array[int]"]:
        if "stsz" in self.tables:
            start, end = self.tables["stsz"]
            yield from self._numbers((start + 12, min(end, start + 12 + 4 * count)), 4)

    def _handler(self) -> bytes:
        return _handler(self.file, self.tables["hdlr"]) if "hdlr" in self.tables else b""

    def _is_pcm(self) -> bool:
        """Tell whether ffmpeg takes the track for PCM: every sample lasts a tick, and a chunk is a few entries."""
        if self._handler() != b"soun" or self._rows("stts", 4, 8, counted=True) != 1:
            return False
        return _read(self.file, ">I", self.tables["stts"][0] + 12)[0] == 1

    def _runs(self) -> Iterator[tuple[int, int]]:
        """Yield the samples of a chunk, and how many chunks in a row have so many."""
        wide = "co64" in self.tables
        left = self._rows("co64" if wide else "stco", 4, 8 if wide else 4, counted=True)
        rows = chain.from_iterable(self._blocks("stsc", 4, 4))
        run = tuple(islice(rows, 3))
        while len(run) == 3 and left > 0:  # noqa: PLR2004 - first chunk, samples, description
            following = tuple(islice(rows, 3))
            chunks = following[0] - run[0] if len(following) == 3 else left  # noqa: PLR2004 - as above
            if chunks > 0:
                yield run[1], min(chunks, left)
                left -= chunks
            run = following

    def _edits(self, movie_timescale: int) -> list[tuple[int, int]]:
        """Return the start and length of each edit that is not empty, in ticks of the track."""
        if "elst" not in self.tables or "mdhd" not in self.tables or not movie_timescale:
            return []
        start, end = self.tables["elst"]
        wide = _read(self.file, ">B", start)[0] == 1
        row = ">QqI" if wide else ">IiI"
        rows = min(_read(self.file, ">I", start + 4)[0], (end - start - 8) // struct.calcsize(row))
        if rows > _MAX_EDITS:
            raise InputRejected(f"an edit list has {rows} edits; {_MAX_EDITS} are allowed: {EXPORT_AGAIN}")
        self.file.seek(start + 8)
        timescale = _timescale(self.file, self.tables["mdhd"])
        self.file.seek(start + 8)
        found = struct.iter_unpack(row, self.file.read(rows * struct.calcsize(row)))
        return [(at, length * timescale // movie_timescale) for length, at, _ in found if at >= 0]

    def _time_line(self, count: int) -> tuple["array[int]", "array[int]"]:
        """Return for each run of equal durations its start in ticks, and the number of its first sample."""
        times, numbers, time, number = array("Q"), array("Q"), 0, 0
        rows = chain.from_iterable(self._blocks("stts", 4, 4))
        for samples, duration in zip(rows, rows, strict=False):
            if number >= count or time >> 63:
                break
            if samples:
                times.append(time)
                numbers.append(number)
            time, number = time + samples * duration, number + samples
        times.append(min(time, (1 << 64) - 1))
        numbers.append(count)
        return times, numbers

    def _blocks(self, kind: str, head: int, width: int) -> Iterator["array[int]"]:
        """Yield the numbers of a table whose rows follow `head` bytes and their count; none if there is no table."""
        if kind in self.tables:
            start, end = self.tables[kind]
            yield from self._numbers((start + head + 4, end), width)

    def _numbers(self, payload: Span, width: int) -> Iterator["array[int]"]:
        for numbers in _blocks(self.file, payload, width):
            self.check()
            yield numbers

    def _rows(self, kind: str, head: int, row_bytes: int, *, counted: bool = False) -> int:
        """Return how many rows of a table are there; `counted`: behind their number, and no more than it says."""
        if kind not in self.tables:
            return 0
        start, end = self.tables[kind]
        there = max(0, end - start - head - 4 * counted) // row_bytes
        return min(there, _read(self.file, ">I", start + head)[0]) if counted else there


def _tracks(file: IO[bytes], index: list[tuple[str, Span]], check: Check) -> Iterator[_Track]:
    """Yield each track with the tables that follow it."""
    size = file.seek(0, 2)
    track: _Track | None = None
    for kind, payload in index:
        if kind == "trak":
            if track:
                yield track
            track = _Track(file, size, check)
        elif track and kind in _TABLES and (kind != "hdlr" or _handler(file, payload) in _MEDIA_HANDLERS):
            track.tables[kind] = payload
    if track:
        yield track


def _sample_at(times: "array[int]", numbers: "array[int]", tick: int) -> int:
    """Return the number of the sample that is decoded at a time, the last one for any later time."""
    run = bisect_right(times, min(tick, (1 << 64) - 1)) - 1
    last = len(times) - 1
    if run >= last:
        return numbers[last]
    span, samples = times[run + 1] - times[run], numbers[run + 1] - numbers[run]
    return numbers[run] + (samples * (tick - times[run]) // span if span else 0)


def _blocks(file: IO[bytes], payload: Span, width: int) -> Iterator["array[int]"]:
    """Yield big-endian unsigned numbers of 4 or 8 bytes, in blocks; other readers of the file may come between."""
    position, end = payload
    while end - position >= width:
        file.seek(position)
        block = file.read(min(end - position, _BLOCK_ROWS * width) // width * width)
        numbers = array("Q" if width > 4 else "I")  # noqa: PLR2004 - bytes of an unsigned int
        numbers.frombytes(block[: len(block) // width * width])
        if sys.byteorder == "little":
            numbers.byteswap()
        if not numbers:
            return
        yield numbers
        position += len(numbers) * width


def _handler(file: IO[bytes], payload: Span) -> bytes:
    """Return the type in a `hdlr`; empty where it is cut off."""
    file.seek(payload[0] + 8)
    return file.read(4)


def _timescale(file: IO[bytes], header: Span) -> int:
    """Return the ticks per second in a `mvhd` or `mdhd`."""
    start, _ = header
    return int(_read(file, ">I", start + (20 if _read(file, ">B", start)[0] == 1 else 12))[0])


def _read(file: IO[bytes], layout: str, position: int) -> tuple[int, ...]:
    file.seek(position)
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
