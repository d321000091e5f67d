"""Parts of a joined transport stream whose tables name other programs or other PIDs than those of the first.

ffmpeg goes on with the streams of the first tables. So later parts get the PIDs of the first one, and their tables are
made empty packets. A part whose video is of another codec than most of the file cannot continue its stream: it is left
out.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from transcoding.containers.box_tree import checked
from transcoding.containers.transport_tables import (
    NULL_PID,
    PACKET_BYTES,
    PAT_PID,
    SYNC,
    BoundedSearch,
    Bytes,
    Kind,
    TransportStream,
    packet_pid,
    programs_of,
    section_at,
    streams_of,
)
from transcoding.errors import InputCorrupt, InputRejected
from transcoding.probing.facts import NOTHING, LeftOut

_MAX_PARTS = 1000
_WINDOW_BYTES = 1 << 20
_SEARCHED_BYTES = 8 * _WINDOW_BYTES
"""Bytes that are searched for the rest of sections that begin in a window: all the work grows with the file alone."""
_TOGETHER_BYTES = 4 * 204
"""Distance of the tables at the beginning of a part."""
_START = 0x40
"""Bit of a packet in which a section begins."""
_SYNCS = bytes((SYNC,)) * 4
"""Beginnings of packets in a row that are none by chance."""
_PES_TIME_BYTES = 14
_PES_TIME = re.compile(rb"\x00\x00\x01[\xc0-\xef]..[\x80-\xbf][\x80-\xff].(.{5})", re.DOTALL)
"""The beginning of a packet of video or audio that says when it is shown (2.4.3.6)."""
_TICKS = 90_000
_LONGEST_STEP = _TICKS
"""Ticks between two times above which the clock has jumped."""


@dataclass(slots=True)
class TransportPart:
    """A stretch of a transport stream in which one set of tables holds."""

    start: int
    end: int
    maps: Mapping[int, int]
    """PIDs of the programs' maps by the numbers of the programs."""
    programs: dict[int, tuple[TransportStream, ...]] = field(default_factory=dict)
    """Streams by the numbers of their programs."""

    @property
    def streams(self) -> tuple[TransportStream, ...]:
        return tuple(stream for each in self.programs.values() for stream in each)

    @property
    def main(self) -> tuple[int, str] | None:
        """Type and format of the video, or of the audio where there is no video. None: there are no tables."""
        ranked = (each for kind in (Kind.VIDEO, Kind.AUDIO) for each in self.streams if each.kind is kind)
        return next(((each.type, each.format) for each in ranked), None)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of a file, and the new PIDs by the old ones; those that are not named stay. None: the bytes go."""

    start: int
    end: int
    pids: Mapping[int, int] | None


@dataclass(frozen=True, slots=True)
class Renumbering:
    """The stretches of a file that change, in order."""

    stretches: Sequence[Stretch] = ()
    left_out: LeftOut = NOTHING


def transport_parts(data: Bytes, *, max_streams: int, check: Callable[[], None] = lambda: None) -> list[TransportPart]:
    """Find the parts of a transport stream. `check` is called again and again, and may raise.

    Raises InputCorrupt for more of them than recordings are joined, InputRejected for one with more than `max_streams`.
    """
    parts: list[TransportPart] = []
    for position, section in _sections(data, parts, check):
        if (maps := programs_of(section)) is not None:
            if not parts or parts[-1].maps != maps:
                _begin(parts, TransportPart(position, len(data), maps))
        elif (program := streams_of(section)) is not None and parts:
            _take(parts, position, *program)
            if len({stream.pid for stream in parts[-1].streams}) > max_streams:
                raise InputRejected(
                    f"the file has too many streams; {max_streams} are allowed: export those that matter"
                )
    return parts


def _sections(data: Bytes, parts: Sequence[TransportPart], check: Callable[[], None]) -> Iterator[tuple[int, bytes]]:
    """Yield the positions and contents of tables; the PIDs of maps are those of the latest part.

    The position of a map is that of the table just before it, which belongs to the same part.
    """
    position, latest, seen, maps, pattern = 0, 0, dict[int, bytes](), None, _packets_of([PAT_PID])
    while position < len(data):
        check()
        end, bounded = min(len(data), position + _WINDOW_BYTES), BoundedSearch(data, _SEARCHED_BYTES)
        while found := pattern.search(data, position, min(len(data), end + 2)):  # type: ignore[call-overload]
            check()
            position = found.start()
            pid, payload = packet_pid(found[0]), data[position + 4 : position + PACKET_BYTES]
            latest = position if pid == PAT_PID or position - latest > _TOGETHER_BYTES else latest
            if seen.get(pid) == payload:
                position += PACKET_BYTES
            elif section := section_at(bounded, position):
                seen[pid] = payload
                yield latest, section
                position += PACKET_BYTES
            else:
                position += PACKET_BYTES if _is_packet(data, position) else 1
            if parts and parts[-1].maps is not maps:
                maps = parts[-1].maps
                pattern, seen = _packets_of([PAT_PID, *maps.values()]), {PAT_PID: seen.get(PAT_PID, b"")}
        position = max(position, end)


def _packets_of(pids: Iterable[int]) -> re.Pattern[bytes]:
    """Return a pattern of few branches, also for hundreds of PIDs: those that share their upper bits are one."""
    lower = defaultdict[int, set[int]](set)
    for pid in pids:
        lower[_START | pid >> 8].add(pid & 0xFF)
    branches = (_one_of({upper, upper | 0x20}) + _one_of(lower[upper]) for upper in sorted(lower))
    return re.compile(bytes((SYNC,)) + b"(?:" + b"|".join(branches) + b")", re.DOTALL)


def _one_of(values: Iterable[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % value for value in sorted(values)) + b"]"


def _is_packet(data: Bytes, position: int) -> bool:
    """Tell whether packets follow each other from here on."""
    lengths = (PACKET_BYTES, 192, 204)
    return any(data[position : position + len(_SYNCS) * length][::length] == _SYNCS for length in lengths)


def _begin(parts: list[TransportPart], part: TransportPart) -> None:
    if len(parts) >= _MAX_PARTS:
        raise InputCorrupt(f"the streams of the file change more than {_MAX_PARTS} times")
    if parts:
        parts[-1].end = part.start
    parts.append(part)


def _take(parts: list[TransportPart], position: int, number: int, streams: tuple[TransportStream, ...]) -> None:
    """Take the map of a program: another one than before begins a part."""
    now, streams = parts[-1], tuple({stream.pid: stream for stream in streams}.values())
    known = now.programs.get(number)
    if number in now.maps and known is None:
        now.programs[number] = streams
    elif known is not None and known != streams:
        _begin(parts, TransportPart(position, now.end, now.maps, {**now.programs, number: streams}))


def renumbering(
    data: Bytes, parts: Sequence[TransportPart], *, check: Callable[[], None] = lambda: None
) -> Renumbering:
    """Return what makes all parts continue the streams of the first one whose codec most of the file has.

    `check` is called again and again, and may raise.
    """
    usual, seconds = _usual(data, parts, check)
    first = next((part for part in checked(parts, check) if part.main == usual), None)
    if first is None or usual is None:
        return Renumbering()
    stretches: list[Stretch] = []
    more = 0
    for part in parts:
        check()
        if part.main not in (usual, None):
            stretches.append(Stretch(part.start, part.end, None))
            continue
        pairs = dict(_pairs(part, first))
        if part.main:
            more = max(more, sum(each.kind is not Kind.OTHER and each.pid not in pairs for each in part.streams))
        if part is not first and not _continues(part, first, pairs):
            stretches.append(Stretch(part.start, part.end, _mapping(part, first, pairs)))
    gone = sum(stretch.pids is None for stretch in stretches)
    tracks = more and more + sum(each.kind is not Kind.OTHER for each in first.streams)
    return Renumbering(stretches, LeftOut(gone, seconds, tracks))


def _usual(
    data: Bytes, parts: Iterable[TransportPart], check: Callable[[], None]
) -> tuple[tuple[int, str] | None, Fraction]:
    """Return the codec that most of the file has, and the seconds of the others."""
    lengths = Counter[tuple[int, str]]()
    mains = {main for part in checked(parts, check) if (main := part.main)}
    for part in parts:
        check()
        if main := part.main:
            lengths[main] += _ticks(data, part, check) if len(mains) > 1 else 1
    usual = max(lengths, key=lambda main: lengths[main], default=None)
    return usual, Fraction(sum(lengths[main] for main in lengths if main != usual), _TICKS)


def _continues(part: TransportPart, first: TransportPart, pairs: Mapping[int, int]) -> bool:
    """Tell whether the packets of a part continue the streams of the first one as they are."""
    shared = {stream.pid for stream in part.streams} & {stream.pid for stream in first.streams}
    return shared <= pairs.keys() and all(old == new for old, new in pairs.items())


def _pairs(part: TransportPart, first: TransportPart) -> Iterator[tuple[int, int]]:
    """Yield the PIDs of streams of a part with those of the streams of the first one that they continue.

    Programs belong together by their numbers, else by their order.
    """
    free = [number for number in first.programs if number not in part.programs]
    for number, streams in part.programs.items():
        before = number if number in first.programs else (free.pop(0) if free else None)
        left = list(first.programs.get(before, ())) if before is not None else []
        for stream in streams:
            alike = [each for each in left if each.is_like(stream)]
            if alike:
                best = max(alike, key=lambda each: (each.language == stream.language, each.pid == stream.pid))
                left.remove(best)
                yield stream.pid, best.pid


def _mapping(part: TransportPart, first: TransportPart, pairs: Mapping[int, int]) -> Mapping[int, int]:
    """Return the new PIDs: tables go, and so does what would get between the packets of a stream."""
    taken = {*(each.pid for each in first.streams), *first.maps.values()}
    gone = dict.fromkeys((PAT_PID, *part.maps.values(), *taken), NULL_PID)
    return {old: new for old, new in {**gone, **pairs}.items() if old != new}


def _ticks(data: Bytes, part: TransportPart, check: Callable[[], None]) -> int:
    """Return the ticks that pass in a part, by the times that its packets of video and audio say."""
    ticks, last = 0, None
    for a, b, c, d, e in _times(data, part, check):
        now = (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1
        if last is None or abs(now - last) > _LONGEST_STEP:
            last = now
        elif now > last:
            ticks, last = ticks + now - last, now
    return ticks


def _times(data: Bytes, part: TransportPart, check: Callable[[], None]) -> Iterator[bytes]:
    """Yield the five bytes of each time in a part."""
    position = part.start
    while position < part.end:
        check()
        end = min(part.end, position + _WINDOW_BYTES)
        until = min(part.end, end + _PES_TIME_BYTES - 1)  # those that begin in the window
        for found in _PES_TIME.finditer(data, position, until):  # type: ignore[call-overload]
            yield found[1]
            position = found.end()
        position = max(position, end)


def packet_length(data: Bytes, position: int) -> int:
    """Return the distance of packets, one of which is at `position`: 188 bytes, or what discs and broadcasts have."""
    for length in (PACKET_BYTES, 192, 204):
        marks = data[position : position + 8 * length][::length]
        if marks.count(SYNC) == len(marks):
            return length
    return PACKET_BYTES


def renumber(block: bytearray, pids: Mapping[int, int], length: int, at: int) -> int:
    """Give the packets of a block other PIDs, in place; the first one is at `at`, or somewhere behind it.

    Returns where the next packet would be: before the end of the block, if its header is not all there.
    """
    while at + 3 <= len(block):
        if block[at] != SYNC:
            at = _resync(block, at, length)
            continue
        pid = (block[at + 1] & 0x1F) << 8 | block[at + 2]
        if (new := pids.get(pid)) is not None:
            block[at + 1] = block[at + 1] & 0xE0 | new >> 8
            block[at + 2] = new & 0xFF
        at += length
    return at


def _resync(block: bytearray, at: int, length: int) -> int:
    """Return the next position of a packet that another one follows; the end of the block, if there is none."""
    while (at := block.find(SYNC, at + 1)) >= 0:
        if at + length >= len(block) or block[at + length] == SYNC:
            return at
    return len(block)
