"""Interface of sources: bytes of a live stream, from wherever they come."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLimits:
    """Limits of what is fetched, in seconds and bytes."""

    silence_seconds: float = 10.0
    """Time without a byte, across reconnections, after which a source has failed."""
    stall_seconds: float = 5.0
    """Time without a byte after which a connection that was good is given up for another one."""
    min_bytes_per_second: int = 500
    """A source that is slower for long is silent. Speech needs eight times as much."""
    head_seconds: float = 10.0
    """Time for the head of a response, redirects included."""
    segment_bytes: int = 64 << 20
    """Size of one segment of HLS: ten seconds of 50 Mbit/s."""
    fragment_bytes: int = 16 << 20
    """Size of one of fragmented MP4, which is held as a whole."""
    playlist_bytes: int = 1 << 20
    bytes_per_second: int = 12_500_000
    """More is not read, but for `burst_bytes` at a time: no live stream has 100 Mbit/s for long."""
    burst_bytes: int = 16 << 20
    height: int | None = None
    """Lines that are enough, of a source that offers several sizes. None: the largest is taken."""


@dataclass(slots=True)
class SourceStats:
    """Counts of a source so far. Written by its thread, read by others."""

    bytes: int = 0
    reconnects: int = 0


class Source(Protocol):
    """A source whose first bytes are media."""

    container: str
    """Container of all bytes: "mpegts", "flv" or "mp4"."""
    stats: SourceStats

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes, in one thread. The end of the iteration is the end of the source, or of its being open.

        Raises RelayError.
        """
        ...

    def close(self) -> None:
        """End `blocks` within 0.2 s, from any thread. Its connections are closed by then."""
        ...
