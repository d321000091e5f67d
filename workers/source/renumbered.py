"""Joined transport streams of which all parts get the PIDs of the first one."""

import mmap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO

from transcoding.containers.transport_parts import (
    Renumbering,
    Stretch,
    packet_length,
    renumber,
    renumbering,
    transport_parts,
)

_BLOCK_BYTES = 1 << 20


def renumbering_of(source: Path, *, max_streams: int, check: Callable[[], None]) -> Renumbering:
    """Read the tables of a transport stream. `check` is called again and again, and may raise.

    Raises InputCorrupt for a file whose streams change too often, InputRejected for more than `max_streams` of them.
    """
    with source.open("rb") as file, closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data:
        return renumbering(data, transport_parts(data, max_streams=max_streams, check=check), check=check)


def write_renumbered(
    source: Path, target: Path, changes: Renumbering, *, start: int, check: Callable[[], None]
) -> None:
    """Copy a transport stream from `start` on with new PIDs, and without the stretches that go."""
    with (
        source.open("rb") as file,
        closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data,
        target.open("wb") as writing,
    ):
        done = start
        for stretch in (*changes.stretches, Stretch(len(data), len(data), None)):
            for begin in range(done, stretch.start, _BLOCK_BYTES):
                writing.write(data[begin : min(begin + _BLOCK_BYTES, stretch.start)])
                check()
            if stretch.pids is not None:
                _write(data, stretch, writing, check)
            done = stretch.end


def _write(data: mmap.mmap, stretch: Stretch, writing: IO[bytes], check: Callable[[], None]) -> None:
    position, at, length = stretch.start, 0, packet_length(data, stretch.start)
    while position < stretch.end:
        block = bytearray(data[position : min(position + _BLOCK_BYTES, stretch.end)])
        at = renumber(block, stretch.pids or {}, length, at)
        if 0 < at < len(block) and position + len(block) < stretch.end:  # the header of a packet goes on behind it
            del block[at:]
        at = max(0, at - len(block))
        writing.write(block)
        position += len(block)
        check()
