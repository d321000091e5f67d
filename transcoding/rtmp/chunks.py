"""Chunks: messages, cut into parts that others may interleave (Adobe RTMP 1.0, 5.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from transcoding.rtmp.errors import RtmpViolation

DEFAULT_CHUNK_BYTES = 128
MAX_CHUNK_BYTES = 0xFFFFFF
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""More than a key frame at 60 Mbit/s with one of them in four seconds."""
MAX_STARTED_BYTES = 2 * MAX_MESSAGE_BYTES
"""Incomplete messages of all chunk streams together."""
MAX_CHUNK_STREAMS = 64
EXTENDED = 0xFFFFFF
"""Timestamp in the place of one that needs 32 bits."""

SET_CHUNK_SIZE, ABORT = 1, 2
_HEADER_BYTES = (11, 7, 3, 0)  # by format
_WHOLE, _SAME_STREAM, _TIME_ONLY, _NOTHING = range(4)


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its type, its time modulo 2^32 in ms, the message stream, and its bytes."""

    kind: int
    timestamp: int
    stream: int
    payload: bytes


@dataclass(slots=True)
class _Incoming:
    """Fields that later chunks of a chunk stream refer to, and the message that was started on it."""

    timestamp: int = 0
    delta: int = 0
    extended: int | None = None
    length: int = 0
    kind: int = 0
    stream: int = 0
    started: bytearray = field(default_factory=bytearray)
    open: bool = False


class ChunkReader:
    """Joins messages. It holds `MAX_STARTED_BYTES` and a header at most; after a violation it must not be used."""

    def __init__(self) -> None:
        self.chunk_bytes = DEFAULT_CHUNK_BYTES
        self._streams: dict[int, _Incoming] = {}
        self._pending = bytearray()
        self._current: _Incoming | None = None
        self._missing = 0
        """Bytes of the current chunk that have not come."""
        self._held = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take bytes, and yield the messages that they complete. Raises RtmpViolation."""
        self._pending += data
        position = 0
        while True:
            if self._current is None:
                size = self._header(position)
                if not size:
                    break
                position += size
            taken = min(self._missing, len(self._pending) - position)
            yield from self._append(position, taken)
            position += taken
            if self._current is not None:
                break
        del self._pending[:position]

    def _append(self, position: int, size: int) -> Iterator[Message]:
        incoming = self._current
        if incoming is None:
            return
        incoming.started += memoryview(self._pending)[position : position + size]
        self._missing -= size
        self._held += size
        if self._missing:
            return
        self._current = None
        if len(incoming.started) < incoming.length:
            return
        message = Message(incoming.kind, incoming.timestamp, incoming.stream, bytes(incoming.started))
        self._forget(incoming)
        self._control(message)
        yield message

    def _forget(self, incoming: _Incoming) -> None:
        self._held -= len(incoming.started)
        incoming.started = bytearray()
        incoming.open = False

    def _control(self, message: Message) -> None:
        """Apply what concerns chunks."""
        if message.kind not in (SET_CHUNK_SIZE, ABORT):
            return
        if len(message.payload) < 4:  # noqa: PLR2004 - a number of 32 bits
            raise RtmpViolation("a control message is too short")
        (number,) = struct.unpack(">I", message.payload[:4])
        if message.kind == ABORT:
            if (aborted := self._streams.get(number)) is not None:
                self._forget(aborted)
        elif not 1 <= number <= 0x7FFFFFFF:  # noqa: PLR2004 - its first bit is 0
            raise RtmpViolation("chunks cannot have this size")
        else:
            self.chunk_bytes = min(number, MAX_CHUNK_BYTES)

    def _header(self, start: int) -> int:
        """Read the header of a chunk; return its size, or 0 while it is incomplete."""
        pending = self._pending
        at_hand = len(pending) - start
        if at_hand < 1 or (at_hand < 3 and pending[start] & 0x3F < 2):  # noqa: PLR2004 - numbers in up to 3 bytes
            return 0
        number, position = self._number(start)
        form = pending[start] >> 6
        size = _HEADER_BYTES[form]
        if len(pending) < position + size:
            return 0
        incoming = self._stream(number, form)
        fields = bytes(pending[position : position + size])
        position += size
        end = self._extended(incoming, form, fields, position)
        if not end:
            return 0
        self._begin(incoming, form, fields)
        return end - start

    def _number(self, start: int) -> tuple[int, int]:
        low = self._pending[start] & 0x3F
        if low > 1:
            return low, start + 1
        if low == 0:
            return 64 + self._pending[start + 1], start + 2
        return 64 + self._pending[start + 1] + 256 * self._pending[start + 2], start + 3

    def _stream(self, number: int, form: int) -> _Incoming:
        incoming = self._streams.get(number)
        if incoming is None:
            if form != _WHOLE:
                raise RtmpViolation("a chunk refers to one that never came")
            if len(self._streams) >= MAX_CHUNK_STREAMS:
                raise RtmpViolation("there are too many chunk streams")
            incoming = self._streams[number] = _Incoming()
        return incoming

    def _extended(self, incoming: _Incoming, form: int, fields: bytes, position: int) -> int:
        """Return the position behind an extended timestamp, if there is one; 0 while it is incomplete."""
        if form != _NOTHING:
            short = int.from_bytes(fields[:3], "big")
            if short < EXTENDED:
                incoming.extended = None
                return position
        elif incoming.extended is None:
            return position
        if len(self._pending) < position + 4:
            return 0
        (number,) = struct.unpack(">I", self._pending[position : position + 4])
        if form == _NOTHING:
            # Some servers leave it out, though the specification wants it in all chunks.
            return position + 4 if number == incoming.extended else position
        incoming.extended = number
        return position + 4

    def _begin(self, incoming: _Incoming, form: int, fields: bytes) -> None:
        if incoming.open and form != _NOTHING:
            self._forget(incoming)  # a new message instead of the rest of the last one
        if form != _NOTHING:
            time = int.from_bytes(fields[:3], "big") if incoming.extended is None else incoming.extended
            incoming.timestamp = time if form == _WHOLE else incoming.timestamp + time & 0xFFFFFFFF
            incoming.delta = time
            if form != _TIME_ONLY:
                incoming.length = int.from_bytes(fields[3:6], "big")
                incoming.kind = fields[6]
            if form == _WHOLE:
                incoming.stream = int.from_bytes(fields[7:11], "little")
        elif not incoming.open:
            incoming.timestamp = incoming.timestamp + incoming.delta & 0xFFFFFFFF
        self._missing = min(self.chunk_bytes, incoming.length - len(incoming.started))
        if incoming.length > MAX_MESSAGE_BYTES or self._held + self._missing > MAX_STARTED_BYTES:
            raise RtmpViolation("a message is too large")
        incoming.open = True
        self._current = incoming


class ChunkWriter:
    """Cuts messages. All have whole headers, since what they would save is nothing beside video."""

    def __init__(self, chunk_bytes: int = DEFAULT_CHUNK_BYTES) -> None:
        self.chunk_bytes = chunk_bytes

    def write(self, message: Message, *, chunk_stream: int) -> bytes:
        """Write a message as chunks. `chunk_stream`: 2 for control messages, others up to 63 for what may wait."""
        time = message.timestamp & 0xFFFFFFFF
        extended = struct.pack(">I", time) if time >= EXTENDED else b""
        payload, size = message.payload, self.chunk_bytes
        parts = [
            bytes((chunk_stream,)),
            min(time, EXTENDED).to_bytes(3, "big"),
            len(payload).to_bytes(3, "big"),
            bytes((message.kind,)),
            message.stream.to_bytes(4, "little"),
            extended,
            payload[:size],
        ]
        for start in range(size, len(payload), size):
            parts += (bytes((0xC0 | chunk_stream,)), extended, payload[start : start + size])
        return b"".join(parts)
