"""Sample positions of an MP4 or QuickTime file (ISO/IEC 14496-12), so that a step can fetch only what it needs.

This decides which bytes are fetched, never when a frame is shown: times that count are ffmpeg's, and these tables are
trusted only after they were held against them. Every count is checked against the bytes that are there before anything
is built from it; whatever is odd is an UnusableIndex, and the whole file is fetched instead.
"""

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise, repeat, takewhile

from transcoding.containers.boxes import Box, MalformedBoxes, box_header, find, iterate_boxes
from transcoding.containers.spans import Span, bridged, first_bytes, merge
from transcoding.probing.timing import Packet

LARGEST_HEAD_BYTES = 16
LARGEST_INDEX_BYTES = 64 << 20
"""Everything but the media itself, in bytes: twelve hours of 60 frames per second with audio need about 40 MB."""
MAX_TOP_BOXES = 64
READABLE_CODECS = frozenset({"h264", "hevc", "av1", "mpeg4", "prores", "mjpeg"})
"""Codecs, by ffmpeg's names, of which a file may be read in parts.

Their packets' times and flags come from the index alone, and their decoders report errors in a packet of zeros, so
that reading a hole is noticed.
"""

_MAX_FRAMES = 3_000_000
_MAX_CHUNKS = 1_000_000
_MAX_CHILDREN = 1024
_FRAGMENTED = frozenset({"moof", "mvex", "sidx", "styp", "mfra"})
_OPENING_FRAMES = 40
"""First frames that ffmpeg may decode on opening a file, to learn its pixel format and how far frames are reordered.

It stops when 20 have come out; when video and audio lie far apart it reads on, but only looks at times that the index
holds.
"""
_OPENING_AUDIO_CHUNKS = 8
_OPENING_AUDIO_BYTES = 1 << 14
"""The same for an audio track, whichever is less: a chunk has one packet or more, the largest kinds have 8 kB."""
_OPENING_BYTES = 1 << 16
"""The same for any other track: chapters and time codes are read whole on opening, and are that short."""
_READ_AHEAD_FRAMES = 64
"""Frames read beyond the last needed one: ffmpeg's queues hold 16, up to 16 threads one each, reordering another 16."""
_SEEK_SLACK = Fraction(1, 1000)
"""Seconds by which a key frame must lie before the requested time to be surely the one that ffmpeg starts at."""

_SOUGHT_AUDIO_SECONDS = 1
"""Seconds of audio before the key frame of a seek: ffmpeg seeks by times of decoding, which are earlier."""


class UnusableIndex(ValueError):
    """The file cannot be read in parts: no index, a damaged one, or one of a kind that is not understood here."""


class IndexTooLarge(UnusableIndex):
    """The index has more bytes than are read."""


@dataclass(frozen=True, slots=True)
class TopBox:
    """One box of the file itself: its type, where it starts, where its payload does, and where it ends."""

    kind: str
    start: int
    payload: int
    end: int


@dataclass(frozen=True, slots=True)
class Track:
    """One track: what it holds ("vide", "soun", …), ticks per second, and where its chunks of samples lie."""

    handler: str
    timescale: int
    starts: Sequence[int]
    ends: Sequence[int]

    @property
    def chunks(self) -> Iterator[Span]:
        """The chunks in their order."""
        return zip(self.starts, self.ends, strict=True)

    def opening(self) -> list[Span]:
        """Return the spans that ffmpeg reads to probe a track that is not the video."""
        if self.handler == "soun":
            return first_bytes(islice(self.chunks, _OPENING_AUDIO_CHUNKS), _OPENING_AUDIO_BYTES)
        return first_bytes(self.chunks, _OPENING_BYTES)


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


_NO_FRAMES = Frames((), (), (), b"")


@dataclass(frozen=True, slots=True)
class Mp4Index:
    """The tracks of a file; at most one of them is the video."""

    tracks: tuple[Track, ...]
    frames: Frames
    """Those of the video; none where there is only audio."""

    @property
    def timescale(self) -> int:
        """Ticks per second of the video track. Raises UnusableIndex where there is none."""
        for track in self.tracks:
            if track.handler == "vide":
                return track.timescale
        raise UnusableIndex("there is no video track")

    def opening(self) -> list[Span]:
        """Return the spans that ffmpeg reads to probe a file, whatever it does next."""
        spans = self.frames.span(0, _OPENING_FRAMES)
        for track in self.tracks:
            if track.handler != "vide":
                spans += track.opening()
        return merge(spans)

    def video(self, *, seek: Fraction | None, until: Fraction, shift: int) -> list[Span]:
        """Return the spans needed to decode from a seek to `seek` until the frame after the one shown at `until`.

        Times are seconds on ffmpeg's clock, `shift` what `shift_to` found. No `seek`: from the first frame on.
        """
        first = 0 if seek is None else self._start_of(self._ticks(seek - _SEEK_SLACK, shift))
        return merge(self.opening() + self.frames.span(first, self._end_of(self._ticks(until, shift))))

    def audio(self, stream: int) -> list[Span]:
        """Return the spans needed to decode all of an audio track, by ffmpeg's stream index. Raises UnusableIndex."""
        return merge([*self.opening(), *self._audio_track(stream).chunks])

    def audio_until(  # noqa: PLR0913 - what is read, by name
        self,
        stream: int,
        end: Fraction,
        packets: Iterable[Packet],
        *,
        seek: Fraction | None = None,
        shift: int = 0,
        spare: int,
    ) -> list[Span]:
        """Return the same after a seek, up to a time on ffmpeg's clock, in seconds. `packets` are ffmpeg's of it.

        `seek` and `shift` are those of `video`: ffmpeg seeks the video, and the audio to where that leads. Up to
        `spare` bytes between them are included, for fewer and longer spans.
        """
        timescale = self._audio_track(stream).timescale
        ticks = end * timescale
        first = (self._sought(seek, shift) - _SOUGHT_AUDIO_SECONDS) * timescale if seek is not None else 0
        early = takewhile(lambda packet: packet.pts < ticks, packets)
        needed = (packet for packet in early if seek is None or packet.pts >= first)
        spans = merge([*self.opening(), *((packet.position, packet.position + packet.size) for packet in needed)])
        return bridged(spans, spare)

    def _audio_track(self, stream: int) -> Track:
        """Find the track that ffmpeg gives this index; it counts tracks as they come."""
        if stream >= len(self.tracks) or self.tracks[stream].handler != "soun":
            raise UnusableIndex(f"track {stream} is not audio")
        return self.tracks[stream]

    def shift_to(self, packets: Iterable[Packet]) -> int | None:
        """Return what turns this index's times into those of ffmpeg's packets of the video track, in ticks.

        None: the packets are not these samples. Each must be one of them, in order, of the same size, with all times
        apart by the same amount, and a sync sample must be a key frame to ffmpeg too, or it would start before it.
        """
        frames, shift, number = self.frames, None, -1
        offsets, sizes, sync, times, count = (
            frames.offsets,
            frames.sizes,
            frames.sync,
            frames.times,
            len(frames.offsets),
        )
        for pts, _, key, _, size, position in packets:
            number += 1
            while number < count and offsets[number] != position:
                number += 1
            if number >= count or sizes[number] != size or (sync[number] and not key):
                return None
            if shift is None:
                shift = pts - times[number]
            elif pts - times[number] != shift:
                return None
        return shift

    def _ticks(self, time: Fraction, shift: int) -> Fraction:
        return time * self.timescale - shift

    def _start_of(self, time: Fraction) -> int:
        """The last sync sample shown at or before a time: ffmpeg starts there, or at a later one."""
        number = self.frames.sync.rfind(1)
        while number > 0 and self.frames.times[number] > time:
            number = self.frames.sync.rfind(1, 0, number)
        return max(number, 0)

    def _sought(self, seek: Fraction, shift: int) -> Fraction:
        """The time on ffmpeg's clock, in seconds, of the frame that a seek leads to, or of an earlier one."""
        start = self._start_of(self._ticks(seek - _SEEK_SLACK, shift))
        return Fraction(self.frames.times[start] + shift, self.timescale) if self.frames.times else Fraction(0)

    def _end_of(self, time: Fraction) -> int:
        """One past the last sample, in decoding order, that is read for the frame after this time to come out."""
        times = self.frames.times
        following = min((shown for shown in times if shown > time), default=None)
        if following is None:
            return len(times)
        last = next(number for number in range(len(times) - 1, -1, -1) if times[number] <= following)
        return last + 1 + _READ_AHEAD_FRAMES


def read_top_box(head: bytes, start: int, file_size: int) -> TopBox:
    """Read the header of the box at `start`; `head` is its first 16 bytes, or what there is of them."""
    with _usable():
        size, kind, header = box_header(memoryview(head))
    end = start + size if size else file_size
    if not start + header <= end <= file_size:
        raise UnusableIndex(f"the box {kind} at {start} ends at {end} of {file_size}")
    if kind in _FRAGMENTED:
        raise UnusableIndex("the file is fragmented")
    return TopBox(kind, start, start + header, end)


def read_index(moov: bytes | memoryview, file_size: int) -> Mp4Index:
    """Read the payload of a `moov` box. Raises UnusableIndex."""
    with _usable():
        boxes = list(_children(memoryview(moov)))
        if any(box.kind in _FRAGMENTED for box in boxes):
            raise UnusableIndex("the file is fragmented")
        tables = [_Tables.of(box.payload) for box in boxes if box.kind == "trak"]
        videos = [table for table in tables if table.handler == "vide"]
        if len(videos) > 1:
            raise UnusableIndex(f"{len(videos)} video tracks")
        if sum(len(table.chunk_offsets) for table in tables) > _MAX_CHUNKS:
            raise UnusableIndex("too many chunks")
        starts = array("Q", sorted(offset for table in tables for offset in table.chunk_offsets))
        tracks = tuple(table.track(starts, file_size) for table in tables)
        return Mp4Index(tracks, videos[0].frames(file_size) if videos else _NO_FRAMES)


@contextmanager
def _usable() -> Iterator[None]:
    """Whatever does not fit the format makes an index unusable."""
    try:
        yield
    except (MalformedBoxes, struct.error, IndexError) as error:
        raise UnusableIndex(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Tables:
    """A track's boxes by type, and what every use of them needs."""

    handler: str
    timescale: int
    boxes: Mapping[str, memoryview]
    chunk_offsets: Sequence[int]

    @classmethod
    def of(cls, trak: memoryview) -> "_Tables":
        media = find(trak, "mdia")
        header = find(media, "mdhd")
        (timescale,) = struct.unpack_from(">I", header, 20 if header[0] else 12)
        if not timescale:
            raise UnusableIndex("a track without a time scale")
        boxes = {box.kind: box.payload for box in _children(find(media, "minf", "stbl"))}
        large = "co64" in boxes
        offsets = _numbers(_table(boxes, "co64" if large else "stco", 8 if large else 4), 8 if large else 4)
        handler = bytes(find(media, "hdlr")[8:12]).decode("latin-1")
        return cls(handler, timescale, boxes, offsets)

    def track(self, starts: Sequence[int], file_size: int) -> Track:
        """The track with its chunks; `starts` are those of all tracks' chunks, in order."""
        size, count = self._sample_sizes()
        ends = self._next_starts(starts, file_size) if size else self._sums_of_sizes(count)
        if any(end > file_size for end in ends):
            raise UnusableIndex("a chunk ends behind the file")
        return Track(self.handler, self.timescale, self.chunk_offsets, ends)

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


def _children(payload: memoryview) -> Iterator[Box]:
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
