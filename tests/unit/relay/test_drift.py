"""Distance of audio from video by their time stamps."""

from relay.runs.drift import FRAMES, Drift

FRAME, PACKET = 3600, 9600
WRAP = 1 << 33


def fed(drift: Drift, *, frames: int, first: int = 0, late: int = 0) -> None:
    """Feed frames of video at 25 a second, and packets of five frames of audio, so late, as a muxer writes them."""
    packet = 0
    for number in range(frames):
        time = number * FRAME
        while packet * PACKET + late <= time:
            drift.audio((first + packet * PACKET) % WRAP)
            packet += 1
        drift.video((first + time) % WRAP)


def test_streams_in_step_have_none() -> None:
    drift = Drift()
    fed(drift, frames=FRAMES - 1)
    assert drift.ms is None
    fed(drift, frames=10 * FRAMES)
    assert abs(drift.ms or 0) <= 5


def test_a_clock_that_wraps_changes_nothing() -> None:
    drift = Drift()
    fed(drift, frames=5 * FRAMES, first=WRAP - FRAMES * FRAME)
    assert abs(drift.ms or 0) <= 5


def test_audio_that_comes_late_is_behind() -> None:
    drift = Drift()
    fed(drift, frames=2 * FRAMES)
    fed(drift, frames=3 * FRAMES, late=90 * 200)
    assert abs((drift.ms or 0) - 200) <= 5


def test_audio_that_ends_falls_behind() -> None:
    drift = Drift()
    fed(drift, frames=FRAMES)
    for number in range(FRAMES, 4 * FRAMES):
        drift.video(number * FRAME)
    assert 9_000 < (drift.ms or 0) < 11_000


def test_video_alone_has_none() -> None:
    drift = Drift()
    for number in range(2 * FRAMES):
        drift.video(number * FRAME)
    assert drift.ms is None
