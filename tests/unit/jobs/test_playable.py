from __future__ import annotations

import pytest

from jobs.rules.playable import Beginning, is_playable


def beginning(segments: int, speed: float | None, *, total: int | None = 10) -> Beginning:
    return Beginning(segments=segments, total=total, speed=speed)


@pytest.mark.parametrize(
    ("segments", "speed", "playable"),
    [
        (0, 9.0, False),
        (1, 9.0, True),
        (1, 1.25, True),
        (1, 1.24, False),  # the player may look for the second segment just before it is there
        (1, 0.5, False),
        (1, None, False),  # published by an attempt before the current one
        (2, 0.5, True),
        (2, None, True),
    ],
)
def test_a_rendition(segments: int, speed: float | None, playable: bool) -> None:  # noqa: FBT001
    assert is_playable([beginning(segments, speed)]) is playable


@pytest.mark.parametrize(("total", "playable"), [(1, True), (2, False), (None, False)])
def test_a_short_video_needs_all_of_its_segments(total: int | None, playable: bool) -> None:  # noqa: FBT001
    assert is_playable([beginning(1, 0.5, total=total)]) is playable


def test_every_rendition_counts() -> None:
    fast, slow = beginning(1, 3.0), beginning(1, 1.0)
    assert is_playable([fast, fast])
    assert not is_playable([fast, slow])
    assert is_playable([fast, beginning(2, 1.0)])
    assert not is_playable([fast, beginning(0, None)])
