"""Audio and video of a source whose frame rate varies stay together; `make drift` looks at 45 minutes."""

from pathlib import Path

from tests.ffmpeg.drift import EVERY_SECONDS, measure

SECONDS = 120


def test_audio_and_video_do_not_drift_apart_over_two_minutes(tmp_path: Path) -> None:
    found = measure(SECONDS, tmp_path)
    assert len(found.flashes) == len(found.beeps) == SECONDS // EVERY_SECONDS - 1
    assert max(map(abs, found.offsets)) < found.frame
    assert abs(found.offsets[-1] - found.offsets[0]) < found.frame
