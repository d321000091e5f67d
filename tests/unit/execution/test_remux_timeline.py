"""Times of the output: one offset for all streams, whatever the source's clock does."""

import pytest

from execution.remuxing.jailed.timeline import MAX_GAP, START, TICKS, WRAP, Timeline

VIDEO_FRAME = TICKS // 25
AUDIO_FRAME = TICKS * 24 // 1000


def feed(timeline: Timeline, stream: str, start: int, seconds: float) -> list[int]:
    """Feed packets of a stream, one after the other from a time of the source, and return their times."""
    frame = VIDEO_FRAME if stream == "video" else AUDIO_FRAME
    return [timeline.at(stream, start + n * frame, frame) for n in range(round(seconds * TICKS / frame))]


def test_a_source_without_jumps_is_shifted_once() -> None:
    timeline = Timeline()
    assert feed(timeline, "video", 5_000, 1)[0] == START
    assert feed(timeline, "audio", 2_000, 1)[0] == START - 3_000
    assert feed(timeline, "video", 5_000 + TICKS, 1)[0] == START + TICKS
    assert timeline.rebases == 0


@pytest.mark.parametrize("jump", [100 * TICKS, -100 * TICKS, 3 * TICKS, -TICKS])
def test_a_jump_moves_both_streams_alike(jump: int) -> None:
    timeline = Timeline()
    feed(timeline, "video", 0, 10)
    feed(timeline, "audio", 0, 9.6)  # video is sent ahead
    video = feed(timeline, "video", 10 * TICKS + jump, 1)
    late = feed(timeline, "audio", round(9.6 * TICKS), 0.4)
    audio = feed(timeline, "audio", 10 * TICKS + jump, 1)
    assert video[0] == START + 10 * TICKS
    assert late[0] == START + round(9.6 * TICKS)
    assert audio[0] == video[0]
    assert timeline.rebases == 1


def test_a_jump_that_audio_crosses_first_leaves_no_overlap_of_video() -> None:
    timeline = Timeline()
    feed(timeline, "video", 0, 10)
    feed(timeline, "audio", 0, 10.08)
    audio = feed(timeline, "audio", 500 * TICKS, 1)
    video = feed(timeline, "video", 500 * TICKS, 1)
    assert audio[0] == video[0] >= START + 10 * TICKS
    assert timeline.rebases == 1


def test_a_gap_of_two_seconds_stays_a_gap() -> None:
    timeline = Timeline()
    for start in (0, 12 * TICKS):
        for stream in ("video", "audio"):
            assert feed(timeline, stream, start, 10)[0] == START + start
    assert timeline.rebases == 0


def test_audio_that_is_missing_for_long_comes_back_where_the_video_is() -> None:
    timeline = Timeline()
    feed(timeline, "audio", 0, 1)
    feed(timeline, "video", 0, 100)
    assert timeline.at("audio", 100 * TICKS, AUDIO_FRAME) == START + 100 * TICKS
    assert timeline.rebases == 0


@pytest.mark.parametrize("streams", [("video", "audio"), ("audio", "video")])
def test_a_clock_that_wraps_goes_on(streams: tuple[str, str]) -> None:
    timeline = Timeline()
    for stream in streams:
        feed(timeline, stream, WRAP - TICKS, 1)
    for stream in streams:
        assert feed(timeline, stream, 0, 1)[0] == START + TICKS
    for stream in streams:
        assert feed(timeline, stream, TICKS, 1)[0] == START + 2 * TICKS
    assert timeline.rebases == 0


def test_jumps_at_every_packet_cost_no_memory() -> None:
    timeline = Timeline()
    times = [timeline.at("video", n * 1_000 * TICKS * (-1) ** n, VIDEO_FRAME) for n in range(10_000)]
    assert times == [START + n * VIDEO_FRAME for n in range(10_000)]
    assert len(timeline._offsets) < 10


@pytest.mark.parametrize("duration", [-3_600 * TICKS, 3_600 * TICKS, 1 << 62])
def test_a_duration_that_cannot_be_true_moves_nothing_far_ahead(duration: int) -> None:
    timeline = Timeline()
    timeline.at("video", 0, duration)
    times = feed(timeline, "video", VIDEO_FRAME, 1)
    assert START + VIDEO_FRAME <= times[0] <= START + MAX_GAP
    assert timeline.at("audio", TICKS, AUDIO_FRAME) <= START + 2 * MAX_GAP


def test_a_gap_just_too_long_is_closed() -> None:
    timeline = Timeline()
    feed(timeline, "video", 0, 1)
    assert timeline.at("video", TICKS + MAX_GAP + 1, VIDEO_FRAME) == START + TICKS
