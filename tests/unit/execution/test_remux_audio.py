"""Audio whose time stamps cannot be true makes no silence."""

from __future__ import annotations  # packets are generic in their types only

from collections.abc import Iterator
from io import BytesIO

import av
import pytest
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from execution.remuxing.jailed.audio import AudioTrack
from execution.remuxing.jailed.clocks import RATE
from execution.remuxing.jailed.timeline import TICKS
from tests.live_media import Live, stream_of

SECONDS = 2
HOUR = 3_600 * TICKS


class Fed:
    """A track over a source with a little audio, and what it wrote."""

    def __init__(self, codec: str) -> None:
        source = av.open(BytesIO(stream_of(Live(seconds=SECONDS, video="", audio=codec))), format="mpegts")
        assert isinstance(source, InputContainer)
        self._source = source
        output = av.open(BytesIO(), mode="w", format="mpegts").add_stream("aac", rate=RATE, layout="stereo")
        self.written: list[Packet[AudioStream]] = []
        self.track = AudioTrack(source.streams.audio[0], output, self.written.append, copies=codec == "aac")

    def packets(self) -> Iterator[Packet[Stream]]:
        return (packet for packet in self._source.demux(*self._source.streams.audio) if packet.dts is not None)


@pytest.fixture(params=["mp2", "aac"], ids=["encoded", "copied"])
def fed(request: pytest.FixtureRequest) -> Fed:
    return Fed(request.param)


@pytest.mark.parametrize("off", [HOUR, -HOUR, 1 << 40])
def test_a_time_far_from_its_place_is_not_believed(fed: Fed, off: int) -> None:
    first = None
    for number, packet in enumerate(fed.packets()):
        start = packet.dts or 0
        first = start if first is None else first
        if number % 20 == 19:
            packet.pts = start + off
        fed.track.take(packet, start=start, shift=0)
    fed.track.finish()
    assert (fed.track.silence, fed.track.skipped) == (0, 0)
    assert abs(fed.track.clock.drift) < RATE // 100
    assert len(fed.written) == pytest.approx(SECONDS * RATE / 1024, abs=4)


def test_a_first_time_far_from_its_place_is_not_believed(fed: Fed) -> None:
    packet = next(fed.packets())
    start = packet.dts or 0
    packet.pts = start + HOUR
    fed.track.take(packet, start=start, shift=0)
    assert fed.track.clock.position == pytest.approx(start * RATE // TICKS, abs=1200)


def test_hours_without_audio_at_once_are_left_out(fed: Fed) -> None:
    packet = next(fed.packets())
    start = packet.dts or 0
    fed.track.take(packet, start=start, shift=0)
    before = len(fed.written)
    fed.track.fill(start + HOUR)
    assert fed.track.silence == 0
    assert len(fed.written) == before
    assert fed.track.clock.position == pytest.approx((start + HOUR) * RATE // TICKS, abs=3 * RATE)
    fed.track.fill(start + HOUR + 5 * TICKS)
    assert fed.track.silence == pytest.approx(5 * RATE, abs=RATE)
