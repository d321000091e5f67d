"""Broadcasts of live sources: streams with their clocks, and windows of HLS over segments."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
_PACKET, _CLOCK = 188, 90_000


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream with its clock. `again(n)` returns the bytes of its n-th repetition, if it has any."""

    data: bytes
    marks: Sequence[tuple[float, int]]
    """Seconds since the beginning, and the bytes that are due by then. The last is its whole length."""
    again: Callable[[int], bytes] | None = None

    @property
    def seconds(self) -> float:
        return self.marks[-1][0]

    def offset(self, seconds: float) -> int:
        """Return the bytes that are due after so many seconds."""
        found = bisect_right(self.marks, seconds, key=lambda mark: mark[0])
        return self.marks[found - 1][1] if found else 0


def stream_with_clock(data: bytes, *, seconds: float = 0, again: Callable[[int], bytes] | None = None) -> Stream:
    """Read the clock of MPEG-TS or FLV. Other bytes, or all with `seconds`, are spread evenly over their time."""
    if seconds:
        return Stream(data, [(step * seconds / 100, len(data) * step // 100) for step in range(1, 101)], again)
    marks = list(_flv_clock(data) if data.startswith(b"FLV") else _ts_clock(data))
    average = (marks[-1][0] - marks[0][0]) / max(1, len(marks) - 1)
    return Stream(data, [*marks, (marks[-1][0] + average, len(data))], again)


def _ts_clock(data: bytes) -> Iterator[tuple[float, int]]:
    first = None
    for position in range(0, len(data) - _PACKET + 1, _PACKET):
        packet = data[position : position + 12]
        if packet[3] & 0x20 and packet[4] and packet[5] & 0x10:
            pcr = int.from_bytes(packet[6:10], "big") << 1 | packet[10] >> 7
            first = pcr if first is None else first
            yield (pcr - first) % (1 << 33) / _CLOCK, position


def _flv_clock(data: bytes) -> Iterator[tuple[float, int]]:
    position, latest = 13, 0.0
    while position + 11 <= len(data):
        size = int.from_bytes(data[position + 1 : position + 4], "big")
        latest = max(
            latest, (data[position + 7] << 24 | int.from_bytes(data[position + 4 : position + 7], "big")) / 1000
        )
        position += 11 + size + 4
        yield latest, position


@dataclass(frozen=True, slots=True)
class Segments:
    """A stream cut into segments of HLS, with the names under which they are served."""

    segments: Sequence[tuple[str, float, bytes]]
    """Name, seconds and bytes of each."""
    header: bytes = b""
    """The initialization section of fragmented MP4."""


def segments_of(stream: bytes, *, seconds: float = 1, fragmented: bool = False) -> Segments:
    """Cut a stream at its key frames, with ffmpeg."""
    kind = ("fmp4", "m4s") if fragmented else ("mpegts", "ts")
    with tempfile.TemporaryDirectory() as folder:
        words = ["-i", "pipe:0", "-c", "copy", "-copyts", "-f", "hls", "-hls_time", str(seconds), "-hls_list_size", "0"]
        words += ["-hls_segment_type", kind[0], "-hls_segment_filename", f"{folder}/%d.{kind[1]}"]
        words += ["-hls_flags", "independent_segments", f"{folder}/index.m3u8"]
        subprocess.run([FFMPEG, "-v", "error", *words], input=stream, check=True)
        lines = re.findall(r"#EXTINF:([\d.]+),\n(\S+)", Path(folder, "index.m3u8").read_text())
        cut = [(name, float(duration), Path(folder, name).read_bytes()) for duration, name in lines]
        return Segments(cut, Path(folder, "init.mp4").read_bytes() if fragmented else b"")


@dataclass(slots=True)
class Window:
    """A live window over segments. It moves in real time from the first request of its playlist on."""

    parts: Segments
    listed: int = 5
    """Segments in the playlist."""
    ahead: int = 3
    """Segments that are there at the beginning."""
    ends: bool = True
    """The playlist says so when the last segment is in it."""
    discontinuity: int | None = None
    """Number of a segment before which there is one."""
    tags: Sequence[str] = ()
    """Further lines of the playlist's head."""
    ranges: bool = False
    """All segments are parts of one file."""
    started: float | None = None

    def there(self) -> int:
        """Return the number of segments that exist by now."""
        now = time.monotonic()
        self.started = self.started or now
        elapsed, number = now - self.started, self.ahead
        for _, seconds, _ in self.parts.segments[self.ahead :]:
            elapsed -= seconds
            if elapsed < 0:
                break
            number += 1
        return min(number, len(self.parts.segments))

    def playlist(self) -> bytes:
        end = self.there()
        start = max(0, end - self.listed)
        longest = max(seconds for _, seconds, _ in self.parts.segments)
        lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{max(1, round(longest))}"]
        lines += [f"#EXT-X-MEDIA-SEQUENCE:{start}", *self.tags]
        if self.parts.header:
            lines.append('#EXT-X-MAP:URI="init.mp4"')
        position = sum(len(data) for _, _, data in self.parts.segments[:start])
        for number, (name, seconds, data) in enumerate(self.parts.segments[start:end], start):
            lines += ["#EXT-X-DISCONTINUITY"] * (number == self.discontinuity)
            lines += [f"#EXTINF:{seconds:.6f},"]
            lines += [f"#EXT-X-BYTERANGE:{len(data)}@{position}", "all"] if self.ranges else [name]
            position += len(data)
        lines += ["#EXT-X-ENDLIST"] * (self.ends and end == len(self.parts.segments))
        return "\n".join([*lines, ""]).encode()

    def file(self, name: str) -> bytes | None:
        files = {each: data for each, _, data in self.parts.segments[: self.there()]}
        if self.ranges:
            files["all"] = b"".join(data for _, _, data in self.parts.segments)
        return {**files, "init.mp4": self.parts.header}.get(name)
