"""Sample positions of an MP4 or QuickTime file (ISO/IEC 14496-12), so that a step can fetch only what it needs.

This decides which bytes are fetched, never when a frame is shown: times that count are ffmpeg's, and these tables are
trusted only after they were held against them. Every count is checked against the bytes that are there before anything
is built from it; whatever is odd is an UnusableIndex, and the whole file is fetched instead.
"""

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, takewhile

from transcoding.containers.boxes import MalformedBoxes, box_header
from transcoding.containers.mp4_tables import Frames, TrackTables, UnusableIndex, children
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

_MAX_CHUNKS = 1_000_000
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
        boxes = list(children(memoryview(moov)))
        if any(box.kind in _FRAGMENTED for box in boxes):
            raise UnusableIndex("the file is fragmented")
        tables = [TrackTables.of(box.payload) for box in boxes if box.kind == "trak"]
        videos = [table for table in tables if table.handler == "vide"]
        if len(videos) > 1:
            raise UnusableIndex(f"{len(videos)} video tracks")
        if sum(len(table.chunk_offsets) for table in tables) > _MAX_CHUNKS:
            raise UnusableIndex("too many chunks")
        starts = array("Q", sorted(offset for table in tables for offset in table.chunk_offsets))
        tracks = tuple(
            Track(table.handler, table.timescale, table.chunk_offsets, table.chunk_ends(starts, file_size))
            for table in tables
        )
        return Mp4Index(tracks, videos[0].frames(file_size) if videos else _NO_FRAMES)


@contextmanager
def _usable() -> Iterator[None]:
    """Whatever does not fit the format makes an index unusable."""
    try:
        yield
    except (MalformedBoxes, struct.error, IndexError) as error:
        raise UnusableIndex(str(error)) from error
