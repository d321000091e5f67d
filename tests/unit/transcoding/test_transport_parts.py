"""The parts of joined transport streams, from tables that are written here."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import pytest

from transcoding.containers.transport_parts import packet_length, renumber, renumbering, transport_parts
from transcoding.containers.transport_tables import NULL_PID, PACKET_BYTES, packet_pid
from transcoding.errors import InputCorrupt

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


def _pids(data: bytes, changes: Mapping[int, int]) -> list[int]:
    block = bytearray(data)
    renumber(block, changes, PACKET_BYTES, 0)
    return [packet_pid(block[at:]) for at in range(0, len(block), PACKET_BYTES)]


_FIRST = _tables([(_H264, 0x100, b""), (_AAC, 0x101, b"")]) + _media(0x100) + _media(0x101)


def test_one_set_of_tables_needs_no_change() -> None:
    data = _FIRST * 3
    assert len(transport_parts(data)) == 1
    assert not renumbering(data, transport_parts(data)).stretches


def test_a_later_program_continues_the_streams_of_the_first() -> None:
    second = _tables([(_AAC, 0x100, b""), (_H264, 0x200, b"")], program=7, map_pid=0x1100)
    second += _media(0x200) + _media(0x100) + _media(0x101)
    data = _FIRST + second + _FIRST
    (stretch,) = renumbering(data, transport_parts(data)).stretches
    assert (stretch.start, stretch.end) == (len(_FIRST), len(_FIRST) + len(second))
    assert stretch.pids is not None
    assert _pids(second, stretch.pids) == [NULL_PID, NULL_PID, 0x100, 0x101, NULL_PID]


def test_tracks_follow_their_language() -> None:
    english, german = b"\x0a\x04eng\0", b"\x0a\x04deu\0"
    first = _tables([(_H264, 0x100, b""), (_AAC, 0x101, english), (_AAC, 0x102, german)])
    second = _tables([(_H264, 0x100, b""), (_AAC, 0x101, german), (_AAC, 0x102, english)])
    (stretch,) = renumbering(first + second, transport_parts(first + second)).stretches
    assert stretch.pids == {0: NULL_PID, 0x1000: NULL_PID, 0x101: 0x102, 0x102: 0x101}


def test_a_part_with_another_codec_is_left_out_whether_it_comes_first_or_not() -> None:
    other = _tables([(_HEVC, 0x100, b"")]) + b"".join(_media(0x100, second * 45_000) for second in range(4))
    longer = _FIRST + b"".join(_media(0x100, second * 45_000) for second in range(9))
    for data, start in ((other + longer, 0), (longer + other, len(longer))):
        found = renumbering(data, transport_parts(data))
        assert [(each.start, each.end, each.pids) for each in found.stretches] == [(start, start + len(other), None)]
        assert (found.left_out.parts, found.left_out.seconds) == (1, Fraction(3, 2))


def test_a_track_that_begins_later_is_counted_and_changes_nothing() -> None:
    data = _FIRST + _tables([(_H264, 0x100, b""), (_AAC, 0x101, b""), (_AAC, 0x102, b"")])
    found = renumbering(data, transport_parts(data))
    assert not found.stretches
    assert found.left_out.tracks == 3


def test_a_private_stream_is_what_its_descriptors_say() -> None:
    first = _tables([(_H264, 0x100, b""), (_PRIVATE, 0x101, b"\x6a\0"), (_PRIVATE, 0x102, b"\x56\0")])
    second = _tables([(_H264, 0x100, b""), (_PRIVATE, 0x111, b"\x56\0"), (_PRIVATE, 0x112, b"\x6a\0")])
    (stretch,) = renumbering(first + second, transport_parts(first + second)).stretches
    assert stretch.pids is not None
    assert stretch.pids[0x112] == 0x101


def test_a_map_may_take_several_packets_and_a_damaged_one_says_nothing() -> None:
    long = _tables([(_H264, 0x100, b"\xfe\xff" + bytes(255)), (_AAC, 0x101, b"")])
    assert len(transport_parts(long)[0].streams) == 2
    damaged = bytearray(_tables([(_H264, 0x300, b"")]))
    damaged[-PACKET_BYTES + 30 - 8] ^= 1
    assert not renumbering(_FIRST + damaged, transport_parts(_FIRST + damaged)).stretches


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
        transport_parts(data)
