"""The conversation of a client that plays or publishes one stream."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from transcoding.flv.amf import AmfInvalid, Value, amf_bytes, amf_values
from transcoding.flv.tags import FlvTag, TagKind
from transcoding.rtmp.chunks import ABORT, SET_CHUNK_SIZE, ChunkReader, ChunkWriter, Message
from transcoding.rtmp.errors import RtmpRefused, RtmpViolation
from transcoding.rtmp.handshake import Handshake

ACKNOWLEDGEMENT, USER_CONTROL, WINDOW, PEER_BANDWIDTH = 3, 4, 5, 6
DATA_AMF3, COMMAND_AMF3, COMMAND, AGGREGATE = 15, 17, 20, 22
STREAM_END, BUFFER_LENGTH, PING, PONG = 1, 3, 6, 7  # events of user control messages

OUR_CHUNK_BYTES = 60_000
"""As large as ffmpeg's, which all servers take."""
OUR_WINDOW_BYTES = 2_500_000
BUFFER_MS = 1000
MAX_TEXT = 200
FLASH_VERSION = "FMLE/3.0 (compatible; vodmill)"
_CONTROL_CHUNKS, _COMMAND_CHUNKS, _AUDIO_CHUNKS, _VIDEO_CHUNKS = 2, 3, 4, 6
_LIVE_ONLY = -1000.0
_TAG_HEAD = 11
_MEDIA = frozenset(TagKind)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has said yes: media may follow, or may be sent."""


@dataclass(frozen=True, slots=True)
class PublishStarted:
    """A publisher is there; its tags follow."""


@dataclass(frozen=True, slots=True)
class PublishEnded:
    """The publisher is gone; the connection stays."""


Event = FlvTag | Accepted | PublishStarted | PublishEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A stream of a server: its application, the URL of that, and the name, with its parameters if it has some."""

    url: str
    app: str
    name: str
    publishing: bool = False


class RtmpClient:
    """A client from the first byte on. `seed`: 1,528 random bytes. After an error it must not be used.

    Pass all that comes to `receive`, and send all that `outgoing` returns, from the beginning on.
    """

    def __init__(self, target: Target, *, seed: bytes) -> None:
        self._target = target
        self._handshake: Handshake | None = Handshake(seed)
        self._outgoing = bytearray(self._handshake.opening)
        self._reader, self._writer = ChunkReader(), ChunkWriter()
        self._received = self._acknowledged = 0
        self._window = OUR_WINDOW_BYTES
        self._create = 4 if target.publishing else 2
        self._stream = 0
        self._accepted = self._live = False

    def outgoing(self) -> bytes:
        """Take what is to be sent now."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def receive(self, data: bytes) -> Iterator[Event]:
        """Take bytes of the server. Raises RtmpViolation, RtmpRefused."""
        if not data:
            return
        if self._handshake is not None:
            closing = self._handshake.feed(data)
            if closing is None:
                return
            data, self._handshake = self._handshake.left, None
            self._outgoing += closing
            self._connect()
        self._received += len(data)
        for message in self._reader.feed(data):
            yield from self._handle(message)
        if self._received - self._acknowledged >= self._window:
            self._acknowledged = self._received
            self._send_control(ACKNOWLEDGEMENT, struct.pack(">I", self._received & 0xFFFFFFFF))

    def send(self, tag: FlvTag) -> None:
        """Publish a tag. The stream must have been accepted."""
        data, chunk_stream = tag.data, _VIDEO_CHUNKS if tag.is_video else _AUDIO_CHUNKS
        if tag.kind == TagKind.DATA:
            data = amf_bytes("@setDataFrame") + data
        self._send(Message(tag.kind, tag.timestamp_ms, self._stream, data), chunk_stream)

    def end(self) -> None:
        """Say that nothing follows."""
        if self._accepted:
            self._command("FCUnpublish", 0, None, self._target.name)
            self._command("deleteStream", 0, None, float(self._stream))

    def _connect(self) -> None:
        self._send_control(SET_CHUNK_SIZE, struct.pack(">I", OUR_CHUNK_BYTES))
        self._writer.chunk_bytes = OUR_CHUNK_BYTES
        fields: dict[str, Value] = {
            "app": self._target.app, "type": "nonprivate", "flashVer": FLASH_VERSION, "tcUrl": self._target.url,
        }  # fmt: skip
        if not self._target.publishing:
            codecs = {"fpad": False, "capabilities": 15.0, "audioCodecs": 4071.0, "videoCodecs": 252.0}
            fields |= {**codecs, "videoFunction": 1.0, "fourCcList": ["hvc1"]}
        self._command("connect", 1, fields)

    def _connected(self) -> None:
        self._send_control(WINDOW, struct.pack(">I", OUR_WINDOW_BYTES))
        if self._target.publishing:
            self._command("releaseStream", 2, None, self._target.name)
            self._command("FCPublish", 3, None, self._target.name)
        self._command("createStream", self._create, None)

    def _created(self, stream: int) -> None:
        self._stream = stream
        if self._target.publishing:
            self._command("publish", 5, None, self._target.name, "live", stream=stream)
            return
        self._command("play", 3, None, self._target.name, _LIVE_ONLY, stream=stream)
        self._send_control(USER_CONTROL, struct.pack(">HII", BUFFER_LENGTH, stream, BUFFER_MS))

    def _handle(self, message: Message) -> Iterator[Event]:
        kind, payload = message.kind, message.payload
        if kind in _MEDIA:
            yield from self._media(FlvTag(TagKind(kind), message.timestamp, payload))
        elif kind == DATA_AMF3:
            yield from self._media(FlvTag(TagKind.DATA, message.timestamp, payload[1:]))
        elif kind == AGGREGATE:
            yield from self._aggregate(message)
        elif kind in (COMMAND, COMMAND_AMF3):
            yield from self._commanded(payload[kind == COMMAND_AMF3 :])
        elif kind == USER_CONTROL:
            yield from self._controlled(payload)
        elif kind in (WINDOW, PEER_BANDWIDTH):
            self._window = max(1, _number(payload))
        elif kind in (SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT):
            pass  # applied by the reader of chunks
        # Others are for players of shared objects.

    def _media(self, tag: FlvTag) -> Iterator[Event]:
        if self._target.publishing or not self._accepted:
            return
        if not self._live:
            if tag.kind == TagKind.DATA and not tag.data.startswith(_METADATA):
                return  # said to every player, publisher or not
            self._live = True
            yield PublishStarted()
        yield tag

    def _aggregate(self, message: Message) -> Iterator[Event]:
        """Take an aggregate message apart: tags of FLV, whose times count from that of the message."""
        data, position, first = message.payload, 0, None
        while position + _TAG_HEAD <= len(data):
            size = int.from_bytes(data[position + 1 : position + 4], "big")
            time = int.from_bytes(data[position + 4 : position + 7], "big") | data[position + 7] << 24
            first = time if first is None else first
            end = position + _TAG_HEAD + size
            if end > len(data):
                raise RtmpViolation("an aggregate message ends too early")
            if data[position] in _MEDIA:
                shifted = message.timestamp + time - first & 0xFFFFFFFF
                yield from self._media(FlvTag(TagKind(data[position]), shifted, data[position + _TAG_HEAD : end]))
            position = end + 4  # the size of the tag, once more

    def _controlled(self, payload: bytes) -> Iterator[Event]:
        event = int.from_bytes(payload[:2], "big")
        if event == PING:
            self._send_control(USER_CONTROL, struct.pack(">H", PONG) + payload[2:6])
        elif event == STREAM_END:
            yield from self._ended()

    def _ended(self) -> Iterator[Event]:
        if self._live:
            self._live = False
            yield PublishEnded()

    def _commanded(self, payload: bytes) -> Iterator[Event]:
        try:
            values = amf_values(payload)
        except AmfInvalid as error:
            raise RtmpViolation("a command cannot be read") from error
        name, transaction = [*values, None, None][:2]
        if name == "_error" and transaction in (1, self._create):
            raise RtmpRefused(_text(_said(values)))
        if name == "close":
            raise RtmpRefused("the server closes the connection")
        if name == "onStatus":
            yield from self._status(_said(values))
        elif name == "_result" and transaction == 1:
            self._connected()
        elif name == "_result" and transaction == self._create:
            number = values[3] if len(values) > 3 else None  # noqa: PLR2004 - behind name, transaction and object
            if not isinstance(number, float) or not 0 <= number <= 0xFFFFFFFF:  # noqa: PLR2004 - 32 bits
                raise RtmpViolation("the server created no stream")
            self._created(int(number))

    def _status(self, said: Mapping[str, Value]) -> Iterator[Event]:
        code = str(said.get("code", ""))
        if said.get("level") == "error":
            raise RtmpRefused(_text(said))
        if code in ("NetStream.Play.Start", "NetStream.Publish.Start") and not self._accepted:
            self._accepted = True
            yield Accepted()
        elif code == "NetStream.Play.PublishNotify" and self._accepted and not self._live:
            self._live = True
            yield PublishStarted()
        elif code in ("NetStream.Play.UnpublishNotify", "NetStream.Play.Stop", "NetStream.Play.Complete"):
            yield from self._ended()

    def _command(self, name: str, transaction: int, *values: Value, stream: int = 0) -> None:
        payload = amf_bytes(name, float(transaction), *values)
        self._send(Message(COMMAND, 0, stream, payload), _COMMAND_CHUNKS)

    def _send_control(self, kind: int, payload: bytes) -> None:
        self._send(Message(kind, 0, 0, payload), _CONTROL_CHUNKS)

    def _send(self, message: Message, chunk_stream: int) -> None:
        self._outgoing += self._writer.write(message, chunk_stream=chunk_stream)


_METADATA = amf_bytes("onMetaData")


def _said(values: list[Value]) -> Mapping[str, Value]:
    return next((value for value in reversed(values) if isinstance(value, Mapping)), {})


def _text(said: Mapping[str, Value]) -> str:
    parts = (str(said[key]) for key in ("code", "description") if said.get(key))
    return "".join(letter if letter.isprintable() else " " for letter in ": ".join(parts))[:MAX_TEXT]


def _number(payload: bytes) -> int:
    return int.from_bytes(payload[:4], "big")
