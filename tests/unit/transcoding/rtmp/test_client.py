"""The conversation of a client with a server that is written out here."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

import hypothesis.strategies as st
import pytest
from hypothesis import given

from transcoding.flv.amf import Value, amf_bytes, amf_values
from transcoding.flv.tags import FlvTag, TagKind, flv_bytes
from transcoding.rtmp.chunks import ChunkReader, ChunkWriter, Message
from transcoding.rtmp.client import Accepted, Event, PublishEnded, PublishStarted, RtmpClient, Target
from transcoding.rtmp.errors import RtmpError, RtmpRefused, RtmpViolation

PLAYING = Target(url="rtmp://host/live", app="live", name="gate?token=t")
PUBLISHING = Target(url="rtmp://host/live", app="live", name="key", publishing=True)
HANDSHAKE = b"\3" + bytes(1536) + bytes(1536)
KEYFRAME = FlvTag(TagKind.VIDEO, 40, b"\x17\x01\x00\x00\x00NALS")


class Server:
    """The other side: it reads what the client sends, and writes what a test lets it say."""

    def __init__(self, target: Target) -> None:
        self.client = RtmpClient(target, seed=bytes(range(256)) * 6)
        self._reader = ChunkReader()
        self._handshake = 1 + 2 * 1536
        self._writer = ChunkWriter()

    def sent(self) -> list[Message]:
        data = self.client.outgoing()
        skipped = min(self._handshake, len(data))
        self._handshake -= skipped
        return list(self._reader.feed(data[skipped:]))

    def commands(self) -> list[list[Value]]:
        return [amf_values(message.payload) for message in self.sent() if message.kind == 20]

    def say(self, kind: int, payload: bytes, *, stream: int = 0, time: int = 0) -> list[Event]:
        return list(self.client.receive(self._writer.write(Message(kind, time, stream, payload), chunk_stream=3)))

    def command(self, *values: Value) -> list[Event]:
        return self.say(20, amf_bytes(*values))

    def status(self, code: str, level: str = "status", **more: Value) -> list[Event]:
        return self.command("onStatus", 0.0, None, {"level": level, "code": code, **more})

    def accept(self) -> Iterator[list[Value]]:
        """Go through all until the client may play or publish, and yield its commands."""
        self.sent()
        assert list(self.client.receive(HANDSHAKE)) == []
        yield from self.commands()
        self.command("_result", 1.0, {}, {"code": "NetConnection.Connect.Success"})
        created = self.commands()
        yield from created
        self.command("_result", created[-1][1], None, 7.0)
        yield from self.commands()
        start = "Publish" if created[0][0] == "releaseStream" else "Play"
        assert self.status(f"NetStream.{start}.Start") == [Accepted()]


def accepted(target: Target) -> Server:
    server = Server(target)
    list(server.accept())
    return server


def test_a_player_says_who_it_is_and_what_it_wants() -> None:
    connect, create, play = Server(PLAYING).accept()
    assert connect[0] == "connect"
    assert isinstance(connect[2], dict)
    assert (connect[2]["app"], connect[2]["tcUrl"]) == ("live", "rtmp://host/live")
    assert create[0] == "createStream"
    assert (play[0], play[3]) == ("play", "gate?token=t")


def test_a_publisher_says_who_it_is_and_what_it_has() -> None:
    names = [command[0] for command in Server(PUBLISHING).accept()]
    assert names == ["connect", "releaseStream", "FCPublish", "createStream", "publish"]


def test_tags_come_between_the_publishers_start_and_end() -> None:
    server = accepted(PLAYING)
    assert server.say(18, amf_bytes("|RtmpSampleAccess")) == []
    assert server.say(9, KEYFRAME.data, time=40) == [PublishStarted(), KEYFRAME]
    assert server.say(4, struct.pack(">HI", 1, 7)) == [PublishEnded()]
    assert server.status("NetStream.Play.UnpublishNotify") == []
    assert server.status("NetStream.Play.PublishNotify") == [PublishStarted()]
    assert server.say(9, KEYFRAME.data, time=40) == [KEYFRAME]


def test_media_before_the_server_has_accepted_are_ignored() -> None:
    server = Server(PLAYING)
    list(server.client.receive(HANDSHAKE))
    assert server.say(9, KEYFRAME.data) == []


def test_tags_of_an_aggregate_message_have_their_own_times() -> None:
    server = accepted(PLAYING)
    payload = flv_bytes(FlvTag(TagKind.AUDIO, 1000, b"\xaf\x01a")) + flv_bytes(FlvTag(TagKind.VIDEO, 1020, b"\x27\x01"))
    tags = server.say(22, payload, time=5000)[1:]
    assert tags == [FlvTag(TagKind.AUDIO, 5000, b"\xaf\x01a"), FlvTag(TagKind.VIDEO, 5020, b"\x27\x01")]
    with pytest.raises(RtmpViolation):
        server.say(22, payload[:-5])


def test_pings_are_answered_and_bytes_acknowledged() -> None:
    server = accepted(PLAYING)
    server.say(4, struct.pack(">HI", 6, 1234))
    assert [message.payload for message in server.sent()] == [struct.pack(">HI", 7, 1234)]
    server.say(5, struct.pack(">I", 1000))
    server.sent()
    server.say(9, bytes(1500))
    (acknowledged,) = server.sent()
    assert acknowledged.kind == 3
    assert int.from_bytes(acknowledged.payload, "big") > 1500


def test_a_publisher_sends_tags_and_takes_leave() -> None:
    server = accepted(PUBLISHING)
    metadata = FlvTag(TagKind.DATA, 0, amf_bytes("onMetaData", {"width": 320.0}))
    for tag in (metadata, KEYFRAME):
        server.client.send(tag)
    data, video = server.sent()
    assert (video.kind, video.timestamp, video.stream, video.payload) == (9, 40, 7, KEYFRAME.data)
    assert amf_values(data.payload) == ["@setDataFrame", "onMetaData", {"width": 320.0}]
    server.client.end()
    assert [command[0] for command in server.commands()] == ["FCUnpublish", "deleteStream"]


def test_a_refusal_has_the_words_of_the_server_cut() -> None:
    server = Server(PUBLISHING)
    list(server.client.receive(HANDSHAKE))
    with pytest.raises(RtmpRefused, match=r"^NetConnection.Connect.Rejected: no  room x+$") as refused:
        said = {"code": "NetConnection.Connect.Rejected", "description": "no\n room " + "x" * 5000}
        server.command("_error", 1.0, None, said)
    assert len(str(refused.value)) == 200
    with pytest.raises(RtmpRefused, match="BadName"):
        accepted(PLAYING).status("NetStream.Publish.BadName", "error")


def test_an_error_of_what_servers_need_not_know_is_none() -> None:
    server = Server(PUBLISHING)
    list(server.client.receive(HANDSHAKE))
    server.command("_result", 1.0, {}, {})
    assert server.command("_error", 2.0, None, {"code": "NetConnection.Call.Failed"}) == []


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n", b"\x06", b"\x15\x03\x01"])
def test_other_protocols_are_recognised_by_their_first_byte(data: bytes) -> None:
    client = RtmpClient(PLAYING, seed=b"")
    with pytest.raises(RtmpViolation):
        list(client.receive(data))


def test_a_handshake_may_come_byte_by_byte() -> None:
    client = RtmpClient(PLAYING, seed=b"")
    for at in range(len(HANDSHAKE)):
        assert list(client.receive(HANDSHAKE[at : at + 1])) == []
    assert client.outgoing()[1537:] != b""


@pytest.mark.parametrize("number", [None, "1", -1.0, 1e300])
def test_a_stream_without_a_number_is_a_violation(number: Value) -> None:
    server = Server(PLAYING)
    list(server.client.receive(HANDSHAKE))
    server.command("_result", 1.0, {}, {})
    with pytest.raises(RtmpViolation):
        server.command("_result", 2.0, None, number)


@given(st.lists(st.tuples(st.integers(0, 30), st.binary(max_size=60)), max_size=8))
def test_garbage_in_messages_raises_errors_of_our_own_only(said: list[tuple[int, bytes]]) -> None:
    server = accepted(PLAYING)
    with suppress(RtmpError):
        for kind, payload in said:
            server.say(kind, payload)
            server.sent()


@given(
    st.sampled_from(("_result", "_error", "onStatus", "close", "")),
    st.lists(st.recursive(st.none() | st.floats(0, 5) | st.text(max_size=9), st.lists, max_leaves=4), max_size=5),
)
def test_odd_commands_raise_errors_of_our_own_only(name: str, values: list[Value]) -> None:
    server = accepted(PLAYING)
    with suppress(RtmpError):
        server.command(name, *values)
