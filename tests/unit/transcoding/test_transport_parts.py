"""The parts of joined transport streams, from tables that are written here."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import pytest

from transcoding.containers.transport_parts import (
    TransportPart,
    packet_length,
    renumber,
    renumbering,
    transport_parts,
)
from transcoding.containers.transport_tables import NULL_PID, PACKET_BYTES, BoundedSearch, packet_pid, section_at
from transcoding.errors import InputCorrupt, InputRejected

_H264, _HEVC, _AAC, _PRIVATE = 0x1B, 0x24, 0x0F, 0x06
Stream = tuple[int, int, bytes]


def _packet(pid: int, payload: bytes, *, begins: bool = False, counter: int = 0) -> bytes:
    head = bytes((0x47, begins << 6 | pid >> 8, pid & 0xFF, 0x10 | counter))
    return head + payload.ljust(PACKET_BYTES - len(head), b"\xff")


def _section(table: int, number: int, content: bytes) -> bytes:
    body = number.to_bytes(2) + b"\xc1\0\0" + content
    section = bytes((table, 0xB0 | (len(body) + 4) >> 8, len(body) + 4 & 0xFF)) + body
    register = 0xFFFFFFFF
    for bit in (byte >> shift & 1 for byte in section for shift in range(7, -1, -1)):
        register = (register << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if register >> 31 ^ bit else 0)
    return section + register.to_bytes(4)


def _table(pid: int, section: bytes) -> bytes:
    """Write a section into as many packets as it needs, others between them."""
    data, rest, counter = _packet(pid, b"\0" + section[:183], begins=True), section[183:], 0
    while rest:
        counter += 1
        data, rest = data + _packet(0x1ABC, b"other") + _packet(pid, rest[:184], counter=counter), rest[184:]
    return data


def _tables(streams: Sequence[Stream], *, program: int = 1, map_pid: int = 0x1000) -> bytes:
    listed = b"".join(
        bytes((kind, 0xE0 | pid >> 8, pid & 0xFF, 0xF0 | len(more) >> 8, len(more) & 0xFF)) + more
        for kind, pid, more in streams
    )
    association = _section(0, 1, program.to_bytes(2) + (0xE000 | map_pid).to_bytes(2))
    return _table(0, association) + _table(map_pid, _section(2, program, b"\xe1\x00\xf0\x00" + listed))


def _media(pid: int, ticks: int = 0, kind: int = 0xE0) -> bytes:
    time = bytes(
        (0x21 | ticks >> 29 & 14, ticks >> 22 & 255, ticks >> 14 & 254 | 1, ticks >> 7 & 255, ticks << 1 & 254 | 1)
    )
    return _packet(pid, b"\0\0\1" + bytes((kind, 0, 0, 0x80, 0x80, 5)) + time, begins=True)


def _parts(data: bytes, *, check: Callable[[], None] = lambda: None) -> list[TransportPart]:
    return transport_parts(data, max_streams=64, check=check)


def _pids(data: bytes, changes: Mapping[int, int]) -> list[int]:
    block = bytearray(data)
    renumber(block, changes, PACKET_BYTES, 0)
    return [packet_pid(block[at:]) for at in range(0, len(block), PACKET_BYTES)]


_FIRST = _tables([(_H264, 0x100, b""), (_AAC, 0x101, b"")]) + _media(0x100) + _media(0x101)


def test_one_set_of_tables_needs_no_change() -> None:
    data = _FIRST * 3
    assert len(_parts(data)) == 1
    assert not renumbering(data, _parts(data)).stretches


def test_a_later_program_continues_the_streams_of_the_first() -> None:
    second = _tables([(_AAC, 0x100, b""), (_H264, 0x200, b"")], program=7, map_pid=0x1100)
    second += _media(0x200) + _media(0x100) + _media(0x101)
    data = _FIRST + second + _FIRST
    (stretch,) = renumbering(data, _parts(data)).stretches
    assert (stretch.start, stretch.end) == (len(_FIRST), len(_FIRST) + len(second))
    assert stretch.pids is not None
    assert _pids(second, stretch.pids) == [NULL_PID, NULL_PID, 0x100, 0x101, NULL_PID]


def test_tracks_follow_their_language() -> None:
    english, german = b"\x0a\x04eng\0", b"\x0a\x04deu\0"
    first = _tables([(_H264, 0x100, b""), (_AAC, 0x101, english), (_AAC, 0x102, german)])
    second = _tables([(_H264, 0x100, b""), (_AAC, 0x101, german), (_AAC, 0x102, english)])
    (stretch,) = renumbering(first + second, _parts(first + second)).stretches
    assert stretch.pids == {0: NULL_PID, 0x1000: NULL_PID, 0x101: 0x102, 0x102: 0x101}


def test_a_part_with_another_codec_is_left_out_whether_it_comes_first_or_not() -> None:
    other = _tables([(_HEVC, 0x100, b"")]) + b"".join(_media(0x100, second * 45_000) for second in range(4))
    longer = _FIRST + b"".join(_media(0x100, second * 45_000) for second in range(9))
    for data, start in ((other + longer, 0), (longer + other, len(longer))):
        found = renumbering(data, _parts(data))
        assert [(each.start, each.end, each.pids) for each in found.stretches] == [(start, start + len(other), None)]
        assert (found.left_out.parts, found.left_out.seconds) == (1, Fraction(3, 2))


def test_a_track_that_begins_later_is_counted_and_changes_nothing() -> None:
    data = _FIRST + _tables([(_H264, 0x100, b""), (_AAC, 0x101, b""), (_AAC, 0x102, b"")])
    found = renumbering(data, _parts(data))
    assert not found.stretches
    assert found.left_out.tracks == 3


def test_a_private_stream_is_what_its_descriptors_say() -> None:
    first = _tables([(_H264, 0x100, b""), (_PRIVATE, 0x101, b"\x6a\0"), (_PRIVATE, 0x102, b"\x56\0")])
    second = _tables([(_H264, 0x100, b""), (_PRIVATE, 0x111, b"\x56\0"), (_PRIVATE, 0x112, b"\x6a\0")])
    (stretch,) = renumbering(first + second, _parts(first + second)).stretches
    assert stretch.pids is not None
    assert stretch.pids[0x112] == 0x101


def test_a_map_may_take_several_packets_and_a_damaged_one_says_nothing() -> None:
    long = _tables([(_H264, 0x100, b"\xfe\xff" + bytes(255)), (_AAC, 0x101, b"")])
    assert len(_parts(long)[0].streams) == 2
    damaged = bytearray(_tables([(_H264, 0x300, b"")]))
    damaged[-PACKET_BYTES + 30 - 8] ^= 1
    assert not renumbering(_FIRST + damaged, _parts(_FIRST + damaged)).stretches


@pytest.mark.parametrize(("length", "lead"), [(188, 0), (192, 4), (204, 0)])
def test_packets_are_followed_over_a_hole_and_over_the_ends_of_blocks(length: int, lead: int) -> None:
    packets = [(b"\1" * lead + _media(0x100)).ljust(length, b"\2") for _ in range(20)]
    data = b"".join(packets)[lead:]
    data = data[: 10 * length + 50] + data[11 * length :]
    assert packet_length(data, 0) == length
    changed, at = b"", 0
    while len(changed) < len(data):
        block = bytearray(data[len(changed) : len(changed) + 1000])
        at = renumber(block, {0x100: 0x123}, length, at)
        del block[at if at > 0 and len(changed) + len(block) < len(data) else len(block) :]
        at -= len(block)
        changed += block
    assert changed.count(b"\x47\x41\x23") == 19, "the packet behind the hole is lost"
    assert changed.replace(b"\x47\x41\x23", b"\x47\x41\x00") == data


def test_tables_that_change_all_the_time_are_refused() -> None:
    data = b"".join(_tables([(_H264, 0x100 + number % 2, b"")]) for number in range(1200))
    with pytest.raises(InputCorrupt, match="change more than 1000 times"):
        _parts(data)


class _Stopped(Exception):
    """Raised by a check in place of a budget that is spent."""


def _stopping(calls: int) -> Callable[[], None]:
    """Return a check that raises when it is called so often."""
    counter = iter(range(1, calls))

    def check() -> None:
        if next(counter, None) is None:
            raise _Stopped

    return check


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes that searches for the rest of sections went over, one number a search."""
    found: list[int] = []
    find = BoundedSearch.find

    def counted(self: BoundedSearch, sub: bytes, start: int, end: int, /) -> int:
        before = self.left
        try:
            return find(self, sub, start, end)
        finally:
            found.append(before - self.left)

    monkeypatch.setattr(BoundedSearch, "find", counted)
    return found


_NULLS = _packet(NULL_PID, b"") * 50
_FALSE_START = b"\x47\x40\0\x13\x03"
"""Begins a section, as far as it says, wherever it is repeated; the next packet of it is nowhere."""


def test_what_only_looks_like_tables_is_searched_for_a_bounded_number_of_bytes(searched: list[int]) -> None:
    data = _NULLS + _FALSE_START * 20_000
    assert not _parts(data)
    assert sum(searched) <= 8 << 20, "the rest of a section is searched for again and again"


def test_packets_that_do_not_continue_a_section_count_as_searched(searched: list[int]) -> None:
    other = b"\x47\0\0\x15" + bytes(184)
    assert not _parts(_FALSE_START * 500 + other * 2000)
    assert len(searched) < (8 << 20) // PACKET_BYTES + 500


def test_what_only_looks_like_tables_is_checked_at_each_place() -> None:
    with pytest.raises(_Stopped):
        _parts(_NULLS + _FALSE_START * 500, check=_stopping(400))


def test_tables_behind_what_only_looks_like_some_are_found() -> None:
    assert len(_parts(_NULLS + _FALSE_START * 188 + _FIRST)) == 1


def test_the_next_start_is_looked_for_behind_a_packet(searched: list[int]) -> None:
    broken = _FALSE_START * 37
    data = broken.ljust(PACKET_BYTES, b"\xff") * 20 + _NULLS
    assert not _parts(data)
    assert len(searched) == 20


def test_a_section_of_packets_without_room_is_not_followed_for_ever(searched: list[int]) -> None:
    first = _packet(0, b"\0\0\xb3\xfd", begins=True)
    empty = [bytes((0x47, 0, 0, 0x30 | number % 16, 183)) + bytes(183) for number in range(1, 2000)]
    assert section_at(BoundedSearch(first + b"".join(empty), 1 << 30), 0) is None
    assert 1 < len(searched) < 20


def test_more_streams_than_are_allowed_are_refused() -> None:
    streams: list[Stream] = [(_AAC, 0x100 + number, b"") for number in range(65)]
    assert len(_parts(_tables(streams[:64] * 2))[0].streams) == 64
    with pytest.raises(InputRejected, match="64 are allowed"):
        _parts(_tables(streams))
    with pytest.raises(InputRejected, match="64 are allowed"):
        _parts(_FIRST + _tables(streams, program=2))


def test_parts_are_compared_with_checks() -> None:
    data = b"".join(_tables([(_H264, 0x100 + number % 2, b"")]) for number in range(40))
    parts = _parts(data)
    with pytest.raises(_Stopped):
        renumbering(data, parts, check=_stopping(40))


def test_times_are_read_with_checks() -> None:
    """A part of 5 MiB without a time is looked through in steps; times at their borders count."""
    gap = (1 << 20) // PACKET_BYTES
    media = b"".join(_media(0x100, 45_000 * second) + _NULLS[:PACKET_BYTES] * gap for second in range(5))
    other = _tables([(_HEVC, 0x100, b"")]) + _media(0x100, 0) + _media(0x100, 9000)
    data = _tables([(_H264, 0x100, b"")]) + media + other
    parts = _parts(data)
    assert renumbering(data, parts).left_out.seconds == Fraction(1, 10)
    with pytest.raises(_Stopped):
        renumbering(data, parts, check=_stopping(8))


def test_a_time_at_the_end_of_a_step_is_not_lost() -> None:
    head, media = _tables([(_H264, 0x100, b"")]), _media(0x100, 9000)
    for short in range(16):
        longer = head + b"\xff" * ((1 << 20) - len(head) - 4 - short) + _media(0x100) + media + b"\xff" * 40
        other = _tables([(_HEVC, 0x100, b"")]) + _media(0x100, 0) + _media(0x100, 4500)
        assert renumbering(longer + other, _parts(longer + other)).left_out.seconds == Fraction(1, 20)
