from __future__ import annotations

import random

import pytest

from relay.errors import SourceEnded, SourceNotMedia
from relay.sources.alignment import MAX_TAG_BYTES, Alignment, Packets, Tags, alignment_of

STREAM = b"".join(b"\x47\x01\x00%c" % (0x10 | number % 16) + bytes([number % 64]) * 184 for number in range(60))
FLV_HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"


def a_tag(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + bytes(7) + body + (11 + len(body)).to_bytes(4, "big")


def fed(alignment: Alignment, data: bytes, *, seed: int = 1) -> bytes:
    """Feed bytes in blocks of random sizes."""
    chance, position, units = random.Random(seed), 0, b""  # noqa: S311 - test material
    while position < len(data):
        size = chance.choice([1, 13, 188, 500, 3000])
        units += alignment.feed(data[position : position + size])
        position += size
    return units


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lead", [0, 1, 100, 187])
def test_packets_come_whole_from_the_first_one_on(lead: int, seed: int) -> None:
    found = fed(Packets(), STREAM[188 - lead if lead else 0 :], seed=seed)
    assert found == STREAM[188 if lead else 0 :]


@pytest.mark.parametrize(("size", "before", "behind"), [(192, b"\x00\x00\x00\x00", b""), (204, b"", bytes(16))])
def test_packets_of_other_sizes_become_usual_ones(size: int, before: bytes, behind: bytes) -> None:
    longer = b"".join(before + STREAM[at : at + 188] + behind for at in range(0, len(STREAM), 188))
    assert len(longer) == len(STREAM) // 188 * size
    assert fed(Packets(), longer) == STREAM


def test_a_packet_that_was_cut_off_is_left_out() -> None:
    packets = Packets()
    first = fed(packets, STREAM[:1000])
    packets.restart()
    assert first == STREAM[:940]
    assert fed(packets, STREAM[50:]) == STREAM[188:]


def test_packets_are_found_again_behind_lost_bytes() -> None:
    packets = Packets()
    assert packets.feed(STREAM[:1880]) == STREAM[:1880]
    found = packets.feed(STREAM[1980:]) + packets.feed(STREAM)
    assert found.endswith(STREAM)
    assert len(found) % 188 == 0


def test_a_page_after_an_interruption_is_no_stream() -> None:
    packets = Packets()
    packets.feed(STREAM)
    packets.restart()
    with pytest.raises(SourceNotMedia):
        packets.feed(b"<html>" * 4000)


@pytest.mark.parametrize("seed", range(5))
def test_tags_come_whole_and_their_header_once(seed: int) -> None:
    data = b"".join(a_tag(kind, bytes(size)) for kind, size in ((18, 300), (9, 5000), (8, 100), (9, 0)))
    tags = Tags()
    found = fed(tags, FLV_HEADER + data + a_tag(9, bytes(100))[:50], seed=seed)
    assert found == FLV_HEADER + data
    tags.restart()
    assert fed(tags, FLV_HEADER + data, seed=seed) == data


@pytest.mark.parametrize(("kind", "size"), [(7, 0), (9, MAX_TAG_BYTES + 1)])
def test_bytes_that_are_no_tag_end_a_connection(kind: int, size: int) -> None:
    with pytest.raises(SourceEnded):
        Tags().feed(FLV_HEADER + bytes([kind]) + size.to_bytes(3, "big") + bytes(7))


def test_fragmented_mp4_does_not_begin_again() -> None:
    boxes = alignment_of("mp4")
    assert boxes.feed(b"any") == b"any"
    with pytest.raises(SourceEnded):
        boxes.restart()
