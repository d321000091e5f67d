"""Sources that ffmpeg does not read as it should.

Raw streams get a clock, frames of GIF that stay too shortly the time that browsers show them for, and bytes in front of
a container are cut off.
"""

import mmap
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import IO

from transcoding.containers.bounds import MAX_SAMPLES
from transcoding.containers.raw_matroska import even_times
from transcoding.errors import NO_FRAME, InputRejected
from transcoding.probing.media import MediaInfo
from transcoding.sniffing.animated import delay_edits
from transcoding.sniffing.container import DEMUXERS, RAW_ORDERED, Container
from workers.source.ordered import write_in_order

_FALLBACK_RATE = Fraction(25)
"""Frames per second of a stream that does not say any, as ffmpeg has it."""
_MAX_RATE = 1000
_COPY_BYTES = 1 << 20
_CHECKED_EVERY = 4096
PREPARED_DEMUXERS = {**dict.fromkeys(RAW_ORDERED, "matroska"), "gif": DEMUXERS["gif"]}
"""Demuxers of prepared files that need no further copy, by the family of their sources."""


def is_readable(container: Container) -> bool:
    """Tell whether ffmpeg reads a file as it should."""
    return not container.start and container.family not in PREPARED_DEMUXERS


def prepared(  # noqa: PLR0913 - what a preparation depends on, by name
    source: Path,
    container: Container,
    folder: Path,
    *,
    media: Callable[[Path], MediaInfo],
    max_seconds: int,
    check: Callable[[], None],
) -> Path:
    """Make a readable file in `folder`: a raw stream as Matroska, the others from where their container begins.

    `media` says what is in a file. `check` is called again and again, and may raise.

    Raises:
        InputRejected: A raw stream has no frame, or lasts longer than `max_seconds`.

    """
    if container.family == "gif":
        return _with_delays(source, folder, check)
    path = _from(container.start, source, folder, check) if container.start else source
    if container.family not in RAW_ORDERED:
        return path
    clocked = folder / "clocked.mkv"
    _add_clock(path, clocked, container.family, media(path), max_seconds=max_seconds, check=check)
    if path != source:
        path.unlink()  # so that there are two copies at most at a time
    return clocked


def _with_delays(source: Path, folder: Path, check: Callable[[], None]) -> Path:
    """Copy a GIF with the delays that browsers have: ffmpeg 5.1 replaces short ones by itself, and 9 does not."""
    path, copied = folder / "source", 0
    with (
        source.open("rb") as file,
        closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data,
        path.open("wb") as writing,
    ):
        for number, edit in enumerate(delay_edits(data)):
            if edit:
                offset, replaced, new = edit
                _copy(data, copied, offset, writing, check)
                writing.write(new)
                copied = offset + replaced
            if not number % _CHECKED_EVERY:
                check()
        _copy(data, copied, len(data), writing, check)
    return path


def _copy(data: mmap.mmap, start: int, end: int, writing: IO[bytes], check: Callable[[], None]) -> None:
    """Write a part of a file in pieces: it may be as long as the file."""
    for begin in range(start, end, _COPY_BYTES):
        writing.write(data[begin : min(begin + _COPY_BYTES, end)])
        check()


def _from(start: int, source: Path, folder: Path, check: Callable[[], None]) -> Path:
    path = folder / "source"
    with source.open("rb") as reading, path.open("wb") as writing:
        reading.seek(start)
        while block := reading.read(_COPY_BYTES):
            writing.write(block)
            check()
    return path


def _add_clock(  # noqa: PLR0913 - as `prepared`
    source: Path, target: Path, codec: str, media: MediaInfo, *, max_seconds: int, check: Callable[[], None]
) -> None:
    """Write a raw stream as Matroska, in which each frame has the time at which it is shown."""
    size, rate = media.video.coded, media.mean_rate
    if size is None:
        raise InputRejected(NO_FRAME)
    known = rate if rate and 1 <= rate <= _MAX_RATE else _FALLBACK_RATE
    write_in_order(
        source,
        target,
        codec=codec,
        rate=known,
        size=size,
        times=lambda frames: even_times(frames, known),
        max_frames=min(int(max_seconds * known), MAX_SAMPLES),
        check=check,
    )
