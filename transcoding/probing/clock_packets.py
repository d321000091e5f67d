"""Packets with their times on the clock of a source, and what the times of a few of them say."""

import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

from transcoding.probing.timing import Packet

MICROSECONDS = 1_000_000
FARTHEST = 1 << 40
"""Ticks and bytes above every offset in a file and every time of a clock of 33 bits, however often it wraps."""
LONGEST_PAUSE = 10 * MICROSECONDS
"""The longest pause. ffmpeg and players built on it take more than that in a transport stream for a jump, too."""
_MAX_REORDERED = 16
"""Frames that H.264 and HEVC may decode before one that is shown before them."""
Times = Mapping[int, Iterable[tuple[int, int]]]
"""Times of presentation and decoding of all packets of a stream, by its index."""


class ClockPacket(NamedTuple):
    """The times of one packet in microseconds, in the order of the file, and its offset in the file (-1: unknown)."""

    stream: int
    presentation: int
    decoding: int
    duration: int
    position: int


def parse_clock_packets(
    lines: Iterable[str], streams: Collection[int], times: Times | None = None
) -> Iterator[ClockPacket]:
    """Read `ffprobe -show_entries packet=stream_index,pts_time,dts_time,duration_time,pos -of csv=p=0`.

    Packets of other streams, and those without any time, are left out. `times` take the place of
    what the lines say.
    """
    copied = {str(index): index for index in streams}
    known = {str(index): iter(each) for index, each in (times or {}).items()}
    for line in lines:
        stream, *fields = line.split(",", 5)
        if stream not in copied or len(fields) < 4:  # noqa: PLR2004 - the four entries behind it
            continue
        pts, dts, duration = (microseconds(text) for text in fields[:3])
        pts, dts = next(known[stream], (pts, dts)) if stream in known else (pts, dts)
        decoding, presentation = (pts if dts is None else dts), (dts if pts is None else pts)
        if decoding is not None and presentation is not None:
            position = int(fields[3]) if fields[3].isdigit() else -1
            yield ClockPacket(copied[stream], presentation, decoding, max(0, duration or 0), position)


def parse_positions(lines: Iterable[str], streams: Sequence[int]) -> Iterator[ClockPacket]:
    """Read the output of `transcoding.commands.readable.positions_command` for these streams.

    Lengths of packets are not known.
    """
    ticks: dict[int, Fraction] = {}
    for line in lines:
        if found := _TIME_BASE.fullmatch(line.strip()):
            ticks[int(found[1])] = MICROSECONDS * Fraction(int(found[2]), int(found[3]))
        elif found := _POSITION.match(line):
            number, position, presentation, decoding = map(int, found.groups())
            if number < len(streams) and number in ticks:
                shown, decoded = (round((time - FARTHEST) * ticks[number]) for time in (presentation, decoding))
                yield ClockPacket(streams[number], shown, decoded, 0, position)


_TIME_BASE = re.compile(r"#tb (\d{1,3}): ([1-9]\d{0,9})/([1-9]\d{0,9})", re.ASCII)
_POSITION = re.compile(r"(\d{1,3}), *(\d{1,19}), *(\d{1,19}), *(\d{1,19}),", re.ASCII)


def shown_late(packets: Iterable[ClockPacket]) -> int:
    """Return by how many microseconds the first frame of a video is shown later than the first one is decoded."""
    first = list(islice(packets, _MAX_REORDERED + 1))
    if not first:
        return 0
    return max(0, min(packet.presentation for packet in first) - min(packet.decoding for packet in first))


def microseconds(text: str) -> int | None:
    """Read seconds as ffprobe writes them, always with six decimals."""
    digits = text.replace(".", "", 1)
    return int(digits) if digits.removeprefix("-").isdigit() else None


class ClockGoesBack(Exception):
    """The times of a file with an index go back further than frames are reordered: its index leads nowhere."""


def going_forward(packets: Iterable[Packet], time_base: Fraction) -> Iterator[Packet]:
    """Pass on packets in decoding order.

    Raises ClockGoesBack at a key frame before all of those just before it, at any frame that is far before them, and
    behind one that is far after all that follow.
    """
    latest: deque[int] = deque(maxlen=_MAX_REORDERED + 1)
    far, furthest, following = LONGEST_PAUSE / (MICROSECONDS * time_base), None, 0
    for packet in packets:
        if len(latest) > _MAX_REORDERED and packet.pts < min(latest) - (0 if packet.key else far):
            raise ClockGoesBack
        if furthest is None or packet.pts >= furthest - far:
            furthest, following = packet.pts if furthest is None else max(furthest, packet.pts), 0
        elif (following := following + 1) > _MAX_REORDERED:
            raise ClockGoesBack
        latest.append(packet.pts)
        yield packet
    if following:  # it may be no more than reordered; the copy that follows is good in both cases
        raise ClockGoesBack
