"""Messages cut into chunks and joined again, and what hostile servers would send."""

from __future__ import annotations

import random
import struct
import tracemalloc
from contextlib import suppress

import hypothesis.strategies as st
import pytest
from hypothesis import given

from transcoding.rtmp.chunks import (
    MAX_CHUNK_STREAMS,
    MAX_MESSAGE_BYTES,
    ChunkReader,
    ChunkWriter,
    Message,
)
from transcoding.rtmp.errors import RtmpViolation


def head(form: int, chunk_stream: int, *, time: int = 0, length: int = 0, kind: int = 9, stream: int = 1) -> bytes:
    """Write the header of a chunk by hand."""
    fields = time.to_bytes(3, "big") + length.to_bytes(3, "big") + bytes((kind,)) + stream.to_bytes(4, "little")
    return bytes((form << 6 | chunk_stream,)) + fields[: (11, 7, 3, 0)[form]]


def joined(data: bytes, *, step: int = 1 << 30) -> list[Message]:
    reader = ChunkReader()
    return [message for at in range(0, len(data), step) for message in reader.feed(data[at : at + step])]


messages = st.builds(
    Message,
    kind=st.sampled_from((8, 9, 18, 20)),
    timestamp=st.integers(0, 2**32 - 1),
    stream=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=400),
)


@given(
    sent=st.lists(messages, max_size=6), size=st.integers(1, 500), step=st.integers(1, 60), on=st.sampled_from((3, 63))
)
def test_what_is_cut_is_joined_whatever_the_reads(sent: list[Message], size: int, step: int, on: int) -> None:
    data = ChunkWriter(128).write(Message(1, 0, 0, struct.pack(">I", size)), chunk_stream=2)
    writer = ChunkWriter(size)
    data += b"".join(writer.write(message, chunk_stream=on) for message in sent)
    assert joined(data, step=step)[1:] == sent


@given(st.binary(max_size=3000), st.integers(1, 700))
def test_garbage_raises_nothing_but_a_violation(data: bytes, step: int) -> None:
    with suppress(RtmpViolation):
        joined(data, step=step)


def test_short_headers_repeat_what_came_before() -> None:
    data = head(0, 4, time=100, length=2, kind=8) + b"ab"
    data += head(1, 4, time=20, length=3, kind=9) + b"cde"
    data += head(2, 4, time=5) + b"fgh"
    data += head(3, 4) + b"ijk"
    assert joined(data) == [
        Message(8, 100, 1, b"ab"), Message(9, 120, 1, b"cde"), Message(9, 125, 1, b"fgh"), Message(9, 130, 1, b"ijk"),
    ]  # fmt: skip


def test_chunk_streams_with_long_numbers() -> None:
    data = bytes((0, 200)) + head(0, 0, length=1)[1:] + b"a"
    data += bytes((1, 0, 3)) + head(0, 0, length=1)[1:] + b"b"
    data += bytes((0xC0, 200)) + b"c"
    assert [message.payload for message in joined(data)] == [b"a", b"b", b"c"]
    assert joined(data, step=1) == joined(data)


def test_messages_of_two_chunk_streams_are_interleaved() -> None:
    data = head(0, 4, length=200) + b"a" * 128 + head(0, 5, length=130) + b"b" * 128
    data += head(3, 4) + b"a" * 72 + head(3, 5) + b"bb"
    assert [message.payload for message in joined(data)] == [b"a" * 200, b"b" * 130]


@pytest.mark.parametrize("repeated", [True, False])
def test_extended_times_may_be_repeated_in_each_chunk_or_not(repeated: bool) -> None:  # noqa: FBT001 - a parameter
    time = struct.pack(">I", 20_000_000)
    data = head(0, 4, time=0xFFFFFF, length=300) + time + b"a" * 128
    for size in (128, 44):
        data += head(3, 4) + (time if repeated else b"") + b"a" * size
    assert joined(data) == [Message(9, 20_000_000, 1, b"a" * 300)]


def test_an_abort_forgets_what_was_started() -> None:
    data = head(0, 4, length=200) + b"a" * 128
    data += head(0, 2, length=4, kind=2, stream=0) + struct.pack(">I", 4)
    data += head(3, 4) + b"b" * 128 + head(3, 4) + b"b" * 72
    assert joined(data)[-1].payload == b"b" * 200


@pytest.mark.parametrize(
    "data",
    [
        head(0, 4, length=MAX_MESSAGE_BYTES + 1),
        head(1, 4, length=1),
        head(3, 4),
        head(0, 2, length=4, kind=1) + bytes(4),
        head(0, 2, length=4, kind=1) + b"\xff" * 4,
        head(0, 2, length=1, kind=2) + b"a",
        b"".join(head(0, 4 + number, length=200) + bytes(128) for number in range(60))
        + b"".join(bytes((0, number)) + head(0, 0, length=200)[1:] + bytes(128) for number in range(MAX_CHUNK_STREAMS)),
    ],
)
def test_what_nobody_needs_is_a_violation(data: bytes) -> None:
    with pytest.raises(RtmpViolation):
        joined(data)


def test_memory_is_released_with_each_message() -> None:
    reader = ChunkReader()
    list(reader.feed(head(0, 2, length=4, kind=1) + struct.pack(">I", 0x7FFFFFFF)))
    tracemalloc.start()
    for number in range(3, 9):
        found = list(reader.feed(head(0, number, length=MAX_MESSAGE_BYTES)))
        for _ in range(MAX_MESSAGE_BYTES // 2**20):
            found += reader.feed(bytes(2**20))
        assert len(found.pop().payload) == MAX_MESSAGE_BYTES
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * MAX_MESSAGE_BYTES


def test_many_started_messages_are_a_violation() -> None:
    reader = ChunkReader()
    with pytest.raises(RtmpViolation):
        for number in range(3, 6):
            list(reader.feed(head(0, 2, length=4, kind=1, stream=0) + struct.pack(">I", MAX_MESSAGE_BYTES - 1)))
            list(reader.feed(head(0, number, length=MAX_MESSAGE_BYTES) + bytes(MAX_MESSAGE_BYTES - 1)))


def test_random_reads_of_a_long_stream() -> None:
    chance = random.Random(7)  # noqa: S311 - sizes
    writer = ChunkWriter(128)
    sent = [Message(9, at * 33, 1, bytes(chance.randrange(1, 3000))) for at in range(200)]
    data = b"".join(writer.write(message, chunk_stream=chance.choice((4, 6))) for message in sent)
    reader, at = ChunkReader(), 0
    found: list[Message] = []
    while at < len(data):
        size = chance.randrange(1, 5000)
        found += reader.feed(data[at : at + size])
        at += size
    assert found == sent
