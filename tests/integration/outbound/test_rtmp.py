"""Playing from a real ingest server, and from servers that are none."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

import outbound.rtmp
from embedded.ingest import Ingest
from execution.process import descendant_pids
from livestreams.nginx import Certificate
from outbound.addresses import Reach, reach_into
from outbound.errors import OutboundError, PeerBroken, PeerRefused, PeerSilent, PeerUnreachable
from outbound.rtmp import Incoming, PlayReader, PublishWriter, play, publish
from tests.ingest_process import Hooks, a_certificate, a_publisher, an_ingest, fake_hooks
from tests.receiver import OUR_HOSTS
from tests.relay_process import wait_until
from tests.servers import ServersOfThisRun
from transcoding.flv.tags import FlvTag, TagKind
from transcoding.rtmp.client import PublishEnded, PublishStarted


@pytest.fixture(scope="module")
def running(
    servers: ServersOfThisRun, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Ingest, Hooks, Certificate]]:
    certificate = a_certificate(tmp_path_factory.mktemp("certificate"))
    with fake_hooks() as hooks, an_ingest(servers, hooks.url, certificate=certificate) as ingest:
        yield ingest, hooks, certificate


@pytest.fixture
def ingest(running: tuple[Ingest, Hooks, Certificate]) -> Iterator[Ingest]:
    running[1].calls.clear()
    yield running[0]
    running[1].answer = lambda _call: 204


@pytest.fixture
def hooks(running: tuple[Ingest, Hooks, Certificate]) -> Hooks:
    return running[1]


def playing(ingest: Ingest, name: str = "gate") -> PlayReader:
    return play(ingest.address, "live", name, args={"token": "a/b+c="}, connect_seconds=60, silence_seconds=60)


@contextmanager
def collected(reader: PlayReader) -> Iterator[list[Incoming]]:
    """Read in a thread, as workers do."""
    found: list[Incoming] = []
    thread = threading.Thread(target=lambda: found.extend(_each(reader, found)))
    thread.start()
    try:
        yield found
    finally:
        reader.close()
        thread.join(60)
        assert not thread.is_alive()


def _each(reader: PlayReader, found: list[Incoming]) -> list[Incoming]:
    for each in reader:
        found.append(each)  # noqa: PERF402 - the test looks at it meanwhile
    return []


def test_who_waits_gets_all_from_the_first_key_frame_on(ingest: Ingest, hooks: Hooks) -> None:
    reader = playing(ingest)
    assert reader.waiting.is_set()
    assert hooks.of("play")[0].form["token"] == "a/b+c="
    with collected(reader) as found:
        with a_publisher(f"{ingest.url}/gate?key=k", seconds=2) as publisher:
            assert publisher.wait(60) == 0
        wait_until(lambda: PublishEnded() in found)
        with a_publisher(f"{ingest.url}/gate?key=k"):
            wait_until(lambda: found.count(PublishStarted()) == 2)

    assert found[0] == PublishStarted()
    tags = [each for each in found[: found.index(PublishEnded())] if isinstance(each, FlvTag)]
    frames = [tag for tag in tags if tag.is_video and tag.is_frame]
    assert frames[0].is_keyframe
    assert len(frames) == 60
    assert {tag.codec for tag in tags if tag.is_sequence_header} == {"h264", "aac"}
    assert any(tag.is_audio and tag.is_frame for tag in tags)


def test_a_refused_player_is_distinguished_from_a_broken_one(ingest: Ingest, hooks: Hooks) -> None:
    hooks.answer = lambda call: 403 if call.form["call"] == "play" else 204
    with pytest.raises(PeerRefused):
        playing(ingest)


def test_a_reader_may_be_closed_before_it_is_read(ingest: Ingest) -> None:
    reader = playing(ingest)
    reader.close()
    assert list(reader) == []


def test_an_unknown_application_is_refused(ingest: Ingest) -> None:
    with pytest.raises(OutboundError):
        play(ingest.address, "other", "gate", args={}, connect_seconds=60, silence_seconds=60)


@contextmanager
def a_server(serve: Callable[[socket.socket], object]) -> Iterator[str]:
    """Listen for one connection, and serve it so."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            with suppress(OSError), closing(listening.accept()[0]) as opened:
                serve(opened)

        thread = threading.Thread(target=run)
        thread.start()
        yield "{}:{}".format(*listening.getsockname())
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def attempt(address: str, seconds: float = 60) -> PlayReader:
    return play(address, "live", "gate", args={}, connect_seconds=seconds, silence_seconds=seconds)


def test_a_server_that_is_none() -> None:
    with a_server(lambda opened: opened.sendall(b"HTTP/1.1 400\r\n\r\n")) as address, pytest.raises(PeerBroken):
        attempt(address)


def test_a_server_that_says_nothing() -> None:
    over = threading.Event()
    with a_server(lambda _opened: over.wait(60)) as address:
        with pytest.raises(PeerSilent):
            attempt(address, 0.3)
        over.set()


def test_a_server_that_drips_has_no_longer_than_all_others() -> None:
    over = threading.Event()

    def drip(opened: socket.socket) -> None:
        while not over.wait(0.02):
            opened.sendall(b"\3")

    with a_server(drip) as address:
        started_at = time.monotonic()
        with pytest.raises(PeerSilent):
            attempt(address, 0.5)
        assert time.monotonic() - started_at < 20
        over.set()


def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = "{}:{}".format(*listening.getsockname())
    with pytest.raises(PeerUnreachable):
        attempt(address)
    for nonsense in ("", "host:port", "[::1"):
        with pytest.raises(PeerUnreachable):
            attempt(nonsense)


LOCAL = reach_into(["127.0.0.0/8"])
AVC = FlvTag(TagKind.VIDEO, 0, bytes.fromhex("170000000001") + b"\x42\xc0\x1e\xff\xe1\x00\x01\x67\x01\x00\x01\x68")


def publishing(url: str, reach: Reach = LOCAL, *, stall_seconds: float = 60) -> PublishWriter:
    return publish(url, reach=reach, connect_seconds=60, stall_seconds=stall_seconds)


def key_frame(at: int, size: int = 200_000) -> FlvTag:
    return FlvTag(TagKind.VIDEO, at, b"\x17\x01\x00\x00\x00" + bytes(size))


@pytest.mark.parametrize("secured", [False, True])
def test_what_is_published_is_played(
    running: tuple[Ingest, Hooks, Certificate], monkeypatch: pytest.MonkeyPatch, *, secured: bool
) -> None:
    ingest, hooks, certificate = running
    hooks.calls.clear()
    trusting = ssl.create_default_context(cafile=certificate.chain)
    monkeypatch.setattr(outbound.rtmp, "tls_context", lambda: trusting)
    base = ingest.tls_url if secured else ingest.url
    times = [0, 40, 0xFFFFFF, 0xFFFFFF + 40, 2**32 - 1]  # those from 24 bits on are written in another way
    with collected(playing(ingest, "out")) as found:
        writer = publishing(f"{base}/out?key=a/b")
        for tag in (AVC, *map(key_frame, times)):
            writer.send(tag)
        wait_until(lambda: sum(isinstance(each, FlvTag) and each.is_keyframe for each in found) == len(times))
        writer.end()
        wait_until(lambda: PublishEnded() in found)
    assert hooks.of("publish")[0].form["key"] == "a/b"
    assert [each for each in found if isinstance(each, FlvTag) and each.is_frame] == list(map(key_frame, times))


def test_a_server_with_a_certificate_of_its_own_is_not_trusted(ingest: Ingest) -> None:
    with pytest.raises(PeerUnreachable, match="secure"):
        publishing(f"{ingest.tls_url}/out")


def test_a_publisher_that_is_refused(ingest: Ingest, hooks: Hooks) -> None:
    hooks.answer = lambda _call: 403
    with pytest.raises(PeerRefused):
        publishing(f"{ingest.url}/out?key=k")


def test_our_own_network_cannot_be_published_to(ingest: Ingest, hooks: Hooks) -> None:
    for host in OUR_HOSTS:
        url = f"rtmp://{host}:{ingest.port}/live/out"
        with pytest.raises(PeerUnreachable, match="cannot be reached"):
            publishing(url, reach_into([], plain=True))
    with pytest.raises(PeerUnreachable):
        publishing("rtmp://93.184.216.34/live/out", reach_into([]))  # anybody could read the key on its way
    assert hooks.calls == []


def test_a_server_that_takes_nothing_ends_the_connection_and_can_be_left(ingest: Ingest) -> None:
    writer, left = publishing(f"{ingest.url}/out", stall_seconds=0.3), publishing(f"{ingest.url}/left")
    assert ingest.identity
    (worker,) = descendant_pids(ingest.identity.pid)
    os.kill(worker, signal.SIGSTOP)
    try:
        with pytest.raises(PeerSilent):
            for at in range(200):
                writer.send(key_frame(at * 40))
        thread = threading.Thread(target=lambda: _send_for_ever(left))
        thread.start()
        left.close()
        thread.join(60)
        assert not thread.is_alive()
    finally:
        os.kill(worker, signal.SIGCONT)
        writer.close()


def _send_for_ever(writer: PublishWriter) -> None:
    with suppress(PeerBroken):
        while True:
            writer.send(key_frame(0))
