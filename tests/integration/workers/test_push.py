"""Broadcasts that are sent on, to a real server that takes them, refuses them, or stalls."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from embedded.ingest import Ingest
from execution.process import descendant_pids
from outbound.addresses import reach_into
from outbound.rtmp import Incoming, play
from tests.ingest_process import Hooks, an_ingest, fake_hooks
from tests.relay_process import wait_until
from tests.servers import ServersOfThisRun
from transcoding.flv.amf import amf_bytes
from transcoding.flv.tags import FlvTag, TagKind
from transcoding.rtmp.client import PublishEnded, PublishStarted
from workers.live.push import Pushes

HEADERS = (
    FlvTag(TagKind.DATA, 0, amf_bytes("onMetaData", {"width": 320.0})),
    FlvTag(TagKind.VIDEO, 0, bytes.fromhex("17000000000142c01effe100016701000168")),
    FlvTag(TagKind.AUDIO, 0, b"\xaf\x00\x11\x90"),
)


@pytest.fixture(scope="module")
def running(servers: ServersOfThisRun) -> Iterator[tuple[Ingest, Hooks]]:
    with fake_hooks() as hooks, an_ingest(servers, hooks.url) as ingest:
        yield ingest, hooks


@pytest.fixture
def ingest(running: tuple[Ingest, Hooks]) -> Iterator[Ingest]:
    running[1].calls.clear()
    yield running[0]
    running[1].answer = lambda _call: 204


@pytest.fixture
def hooks(running: tuple[Ingest, Hooks]) -> Hooks:
    return running[1]


@pytest.fixture
def pushes() -> Iterator[Pushes]:
    with Pushes(reach_into(["127.0.0.0/8"], plain=True)) as pushes:
        yield pushes


def frame(at: int, *, size: int = 500) -> FlvTag:
    """Make a frame of 25 per second, with a key frame in each second."""
    return FlvTag(TagKind.VIDEO, at, (b"\x27" if at % 1000 else b"\x17") + b"\x01\x00\x00\x00" + bytes(size))


def destination(url: str, push_id: str = "one") -> list[dict[str, str]]:
    return [{"id": push_id, "name": "there", "url": url}]


class Source:
    """A publisher whose tags are offered one after the other, each 40 ms of media later."""

    def __init__(self, pushes: Pushes, begin: int = 5_000_000) -> None:
        self._pushes = pushes
        self._at = begin
        for header in HEADERS:
            pushes.offer(header)

    def send(self, count: int = 1, *, size: int = 500) -> bool:
        """Offer frames; returns False, for conditions that are waited for."""
        for _ in range(count):
            self._pushes.offer(frame(self._at, size=size))
            self._pushes.offer(FlvTag(TagKind.AUDIO, self._at, b"\xaf\x01a"))
            self._at += 40
        return False


def test_a_broadcast_is_sent_on_from_zero_and_again_when_its_publisher_returns(ingest: Ingest, pushes: Pushes) -> None:
    reader = play(ingest.address, "live", "gate", args={}, connect_seconds=60, silence_seconds=60)
    found: list[Incoming] = []
    thread = threading.Thread(target=lambda: found.extend(reader))
    thread.start()
    try:
        source = Source(pushes)
        pushes.follow(destination(f"{ingest.url}/gate?key=k"))
        wait_until(lambda: source.send() or pushes.states()["one"]["state"] == "sending")
        wait_until(lambda: source.send() or sum(_is_video_frame(each) for each in found) > 30)
        pushes.offer(PublishEnded())
        wait_until(lambda: PublishEnded() in found)
        assert pushes.states()["one"]["state"] == "waiting"
        again = Source(pushes, begin=0)
        wait_until(lambda: again.send() or found.count(PublishStarted()) == 2)
    finally:
        reader.close()
        thread.join(60)
    tags = [each for each in found if isinstance(each, FlvTag)]
    assert {tag.data for tag in tags if tag.is_sequence_header} == {header.data for header in HEADERS[1:]}
    frames = [tag for tag in tags[: found.index(PublishEnded())] if tag.is_video and tag.is_frame]
    assert [tag.timestamp_ms for tag in frames[:25]] == [number * 40 for number in range(25)]


def test_a_refusal_is_shown_without_the_key_and_tried_again(ingest: Ingest, hooks: Hooks, pushes: Pushes) -> None:
    hooks.answer = lambda _call: 403
    source = Source(pushes)
    pushes.follow(destination(f"{ingest.url}/very-private?key=k"))
    wait_until(lambda: source.send(25) or pushes.states()["one"]["state"] == "failed")
    assert pushes.states()["one"]["error"]
    assert "private" not in str(pushes.states())
    hooks.answer = lambda _call: 204
    wait_until(lambda: source.send(25) or pushes.states()["one"]["state"] == "sending")
    assert pushes.states()["one"]["error"] == ""


def test_a_slow_destination_loses_frames_and_holds_up_nobody(ingest: Ingest, pushes: Pushes) -> None:
    source = Source(pushes)
    pushes.follow(destination(f"{ingest.url}/gate?key=k"))
    wait_until(lambda: source.send() or pushes.states()["one"]["state"] == "sending")
    assert ingest.identity
    (worker,) = descendant_pids(ingest.identity.pid)
    os.kill(worker, signal.SIGSTOP)
    try:
        source.send(400, size=100_000)
        assert pushes.states()["one"]["dropped_frames"] > 0
        assert pushes._destinations["one"].queue._bytes <= 17 << 20
    finally:
        os.kill(worker, signal.SIGCONT)


def test_destinations_can_be_changed_while_a_broadcast_runs(ingest: Ingest, hooks: Hooks, pushes: Pushes) -> None:
    source = Source(pushes)
    pushes.follow(destination(f"{ingest.url}/first?key=k"))
    wait_until(lambda: source.send() or pushes.states()["one"]["state"] == "sending")
    pushes.follow(destination(f"{ingest.url}/second?key=k", "two"))
    assert list(pushes.states()) == ["two"]
    wait_until(lambda: source.send() or len(hooks.of("publish")) == 2)
    wait_until(lambda: hooks.of("publish_done"))


def test_a_server_in_our_network_is_not_sent_to(ingest: Ingest, hooks: Hooks) -> None:
    with Pushes(reach_into([], plain=True)) as pushes:
        source = Source(pushes)
        pushes.follow(destination(f"{ingest.url}/gate?key=k"))
        wait_until(lambda: source.send(25) or pushes.states()["one"]["state"] == "failed")
        assert pushes.states()["one"]["error"] == "the address cannot be reached"
    assert hooks.of("publish") == []


def test_nothing_is_left_behind(ingest: Ingest) -> None:
    with Pushes(reach_into(["127.0.0.0/8"], plain=True)) as pushes:
        source = Source(pushes)
        pushes.follow(destination(f"{ingest.url}/gate?key=k"))
        wait_until(lambda: source.send() or pushes.states()["one"]["state"] == "sending")
    wait_until(lambda: not any(thread.name == "live-push" for thread in threading.enumerate()))


def _is_video_frame(each: Incoming) -> bool:
    return isinstance(each, FlvTag) and each.is_video and each.is_frame
