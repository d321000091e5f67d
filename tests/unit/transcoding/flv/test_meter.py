from __future__ import annotations

import sys

from transcoding.flv.meter import Health, Meter
from transcoding.flv.tags import FlvTag, TagKind


def frame(at: int, *, size: int = 1000, key: bool = False) -> FlvTag:
    return FlvTag(TagKind.VIDEO, at, bytes((0x17 if key else 0x27, 1, 0, 0, 0)) + bytes(size - 5))


def audio(at: int) -> FlvTag:
    return FlvTag(TagKind.AUDIO, at, b"\xaf\x01" + bytes(98))


def test_nothing_is_known_before_the_first_tag() -> None:
    expected = Health(
        bitrate=0, frame_rate=0, dropped_frames=0, drift_ms=None, silent_seconds=None, keyframe_seconds=None
    )
    assert Meter().health(100.0) == expected


def test_figures_of_a_steady_stream() -> None:
    meter = Meter()
    for number in range(500):
        meter.push(frame(number * 40, key=number % 50 == 0), 10 + number * 0.04)
        meter.push(audio(number * 40), 10 + number * 0.04)
    health = meter.health(30.0)
    assert abs(health.bitrate - 25 * 1100 * 8) < 25 * 1100 * 8 * 0.06
    assert abs(health.frame_rate - 25) < 1.5
    assert (health.dropped_frames, health.drift_ms, health.keyframe_seconds) == (0, 0, 2.0)
    assert health.silent_seconds == 0.04
    assert meter.health(40.0).bitrate == 0


def test_frames_that_are_left_out_are_counted_and_jumps_are_not() -> None:
    meter = Meter()
    for number in range(200):
        if not 50 <= number < 60 and number != 100:
            meter.push(frame(number * 40 + (900_000 if number > 150 else 0)), number * 0.04)
    assert meter.health(8.0).dropped_frames == 11


def test_audio_that_drifts_is_seen() -> None:
    meter = Meter()
    for number in range(1000):
        meter.push(frame(number * 40), number * 0.04)
        meter.push(audio(max(0, number * 40 - number // 4)), number * 0.04)
    drift = meter.health(40.0).drift_ms
    assert drift is not None
    assert 200 <= drift <= 250


def test_times_start_again_after_a_reconnection_and_wrap() -> None:
    meter = Meter()
    for number in range(100):
        meter.push(frame((2**32 - 2000 + number * 40) % 2**32, key=number % 25 == 0), number * 0.04)
    meter.restart()
    for number in range(100):
        meter.push(frame(number * 40, key=number % 25 == 0), 4 + number * 0.04)
    health = meter.health(8.0)
    assert (health.dropped_frames, health.keyframe_seconds) == (0, 1.0)


def test_memory_does_not_grow() -> None:
    meter = Meter()
    for number in range(20_000):
        meter.push(frame(number % 7 * 10**9 % 2**32, size=10), number * 0.001)
    assert len(meter._buckets) <= 21
    assert sys.getsizeof(meter._buckets) < 2000
