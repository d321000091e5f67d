"""Live streams in HLS: a playlist that moves on, and segments that are fetched one after another."""

import time
from collections.abc import Iterator
from itertools import chain

from outbound.fetching import Part
from relay.errors import (
    SourceEnded,
    SourceError,
    SourceNotMedia,
    SourceRefused,
    SourceRejected,
    SourceSilent,
    SourceUnsupported,
)
from relay.sources.alignment import Packets
from relay.sources.direct import FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS
from relay.sources.fetching import Connection, Fetcher
from relay.sources.playlists import (
    MediaPlaylist,
    Piece,
    Segment,
    chosen_variant,
    is_master,
    media_playlist,
    variants_of,
)
from relay.sources.sniffing import container_of

_MAX_HEADER_BYTES = 1 << 20
_BLOCK_BYTES = 256 << 10
_PAUSE_PER_WORK = 20
"""A playlist of thousands of segments is read less often: a twentieth of the time is enough for it."""
_PACKED_AUDIO = (b"ID3", b"\xff\xf1", b"\xff\xf9", b"\x0b\x77")
"""Beginnings of segments that are audio without a container: tags, AAC, AC-3."""


class Hls:
    """The segments of one variant, from near the live edge on."""

    def __init__(self, fetcher: Fetcher, url: str, text: bytes) -> None:
        """Read the playlist at `url`, and the first bytes of a segment. Raises SourceError, SessionEnded."""
        self._fetcher = fetcher
        self._url = url
        self._loaded = time.monotonic()
        self._min_pause = 0.0
        self._playlist = self._first_playlist(text)
        self._next = self._playlist.edge()
        self._latest = time.monotonic()
        """Time of the last bytes, or of their acceptance by the reader."""
        self._started = False
        self._failure: SourceError | None = None
        self._pause = FIRST_PAUSE_SECONDS
        """Seconds to wait when a segment cannot be had."""
        self._header: tuple[Piece, bytes] | None = None
        self._header_sent = False
        self._connection: Connection | None = None
        self._bytes = self._all()
        try:
            self._head = next(self._bytes, b"")
            self.container = self._container()
            self._started = True
        except BaseException:
            self.close()
            raise

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes of the segments. Raises SourceError when the playlist brings no more of them."""
        for block in chain([self._head], self._bytes):
            yield block
            self._latest = time.monotonic()

    def close(self) -> None:
        """Close the connection. Not while another thread reads `blocks`."""
        if self._connection:
            self._connection.close()

    def _first_playlist(self, text: bytes) -> MediaPlaylist:
        if is_master(text):
            variants = variants_of(text, self._url)
            if not variants:
                raise SourceNotMedia("the playlist of the source names no stream")
            self._url, text = self._read(chosen_variant(variants, height=self._fetcher.limits.height).url)
        playlist = self._parsed(text, self._url)
        if any(segment.encrypted for segment in playlist.segments):
            raise SourceUnsupported("the source is encrypted")
        return playlist

    def _parsed(self, text: bytes, url: str) -> MediaPlaylist:
        started = time.thread_time()
        try:
            return media_playlist(text, url)
        finally:
            self._min_pause = _PAUSE_PER_WORK * (time.thread_time() - started)

    def _read(self, url: str) -> tuple[str, bytes]:
        self._loaded = time.monotonic()
        return self._fetcher.read(url, max_bytes=self._fetcher.limits.playlist_bytes)

    def _container(self) -> str:
        found = container_of(self._head, ended=True)
        if found == "flv" or not found:
            raise SourceNotMedia("the segments of the source are neither MPEG-TS nor fragmented MP4")
        return found

    def _all(self) -> Iterator[bytes]:
        while True:
            for number in range(max(self._next, self._playlist.first), self._playlist.behind):
                segment = self._playlist.segments[number - self._playlist.first]
                self._next = number + 1
                if not segment.missing:
                    yield from self._segment(segment)
            if self._playlist.ended:
                return
            self._reload()

    def _reload(self) -> None:
        """Load the playlist again when it is due, until it has something new. Raises SourceError."""
        pause = self._playlist.target_seconds
        retry = FIRST_PAUSE_SECONDS
        if self._failure and not self._started:
            raise self._failure
        while True:
            self._check_progress()
            self._fetcher.pause(self._loaded + max(pause, self._min_pause) - time.monotonic())
            try:
                url, text = self._read(self._url)
                fresh = self._parsed(text, url)
            except SourceRefused:
                raise
            except SourceError as error:
                self._failure, pause, retry = error, retry, min(2 * retry, MAX_PAUSE_SECONDS)
                continue
            renumbered = fresh.behind <= self._playlist.first  # a playlist that is only older is one of a cache
            if fresh.behind > self._next or fresh.ended or renumbered:
                break
            pause = self._playlist.target_seconds / 2
        if fresh.first > self._next or renumbered:
            self._next = fresh.edge()
        self._playlist = fresh

    def _check_progress(self) -> None:
        """Raise the last failure, or SourceSilent, when there were no bytes for too long."""
        allowed = self._fetcher.limits.silence_seconds + 2 * self._playlist.target_seconds
        if time.monotonic() - self._latest > allowed:
            raise self._failure or SourceSilent("the playlist of the source does not move on")

    def _segment(self, segment: Segment) -> Iterator[bytes]:
        """Yield the bytes of a segment, as far as they can be had."""
        if segment.encrypted:
            raise SourceUnsupported("the source is encrypted")
        try:
            if segment.header is None:
                yield from self._packets(segment.piece)
            else:
                yield from self._fragment(segment.header, segment.piece)
            self._pause = FIRST_PAUSE_SECONDS
        except (SourceRejected, SourceNotMedia) as error:
            self._failure = error  # it is gone, or none: the next one follows
            self._check_progress()
            self._fetcher.pause(self._pause)  # the server that it is on may be another one's
            self._pause = min(2 * self._pause, MAX_PAUSE_SECONDS)

    def _fragment(self, header: Piece, piece: Piece) -> Iterator[bytes]:
        data, fragment = self._header_data(header), bytearray()
        limit = self._fetcher.limits.fragment_bytes
        for block in self._piece(piece):  # as a whole, since a part of one would spoil the stream
            fragment += block
            if len(fragment) > limit:
                raise SourceNotMedia(f"the source sends a segment of fragmented MP4 of more than {limit} bytes")
        if not fragment:
            raise SourceNotMedia("the source sends an empty segment")
        if not self._header_sent:
            self._header_sent = True
            yield data
        for start in range(0, len(fragment), _BLOCK_BYTES):
            yield bytes(fragment[start : start + _BLOCK_BYTES])

    def _packets(self, piece: Piece) -> Iterator[bytes]:
        packets, whole = Packets(), 0
        for number, block in enumerate(self._piece(piece)):
            if not number and block.startswith(_PACKED_AUDIO):
                raise SourceUnsupported("the segments of the source are audio alone, without a container")
            if units := packets.feed(block):
                whole += len(units)
                yield units
        if not whole:
            raise SourceNotMedia("the segments of the source are neither MPEG-TS nor fragmented MP4")

    def _header_data(self, piece: Piece) -> bytes:
        """Return the initialization section, which must be the same for all segments."""
        if self._header and self._header[0] == piece:
            return self._header[1]
        _, data = self._fetcher.read(piece.url, max_bytes=_MAX_HEADER_BYTES, part=piece.part)
        before, self._header = self._header, (piece, data)
        if before and before[1] != data:
            raise SourceEnded("the source changed its format, which a stream cannot do within fragmented MP4")
        return data

    def _piece(self, piece: Piece) -> Iterator[bytes]:
        """Yield the bytes of a file, or of a part of it, over as many connections as it takes."""
        received, pause = 0, FIRST_PAUSE_SECONDS
        while True:
            try:
                for block in self._rest_of(piece, received):
                    received += len(block)
                    yield block
            except (SourceRejected, SourceRefused, SourceNotMedia):
                raise
            except SourceError as error:
                if not self._started:
                    raise
                self._failure = error
            else:
                return
            self._check_progress()
            self._fetcher.pause(pause)
            self._fetcher.stats.reconnects += 1
            pause = min(2 * pause, MAX_PAUSE_SECONDS)

    def _rest_of(self, piece: Piece, received: int) -> Iterator[bytes]:
        start = piece.part.start + received
        end = None if piece.part.length is None else piece.part.start + piece.part.length
        if end is not None and start >= end:
            return
        part = Part(start, None if end is None else end - start)
        self._connection = connection = self._fetcher.connect(piece.url, part=part)
        try:
            position = connection.start
            for block in connection.blocks():
                needed = block[max(0, start - position) : None if end is None else max(0, end - position)]
                position += len(block)
                if position - connection.start > self._fetcher.limits.segment_bytes:
                    raise SourceNotMedia("the source sends a segment without end")
                if needed:
                    yield needed
                if end is not None and position >= end:
                    return
        finally:
            connection.close()
