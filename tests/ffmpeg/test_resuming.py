"""A chunk that was broken off goes on at its first unpublished segment, and nobody can tell."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests.ffmpeg.cases import FILM, JITTERED, KEEP_TIMES
from tests.ffmpeg.golden import POLICY, Encoded, Golden, encode_chunk, shown_numbers, transcode
from tests.ffmpeg.sources import H264, SILENT, Card, make

ONE_CHUNK = replace(POLICY, min_chunk_seconds=60, max_chunk_seconds=60)
SHORTEST_TAIL = 11
"""Frames of the shortest tail at 25 frames per second that is a segment of its own."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((Card(rate=Fraction(25), frames=300 + SHORTEST_TAIL), "h264"), id="a tail"),
        pytest.param((Card(rate=Fraction(25), frames=301), "h264"), id="a joined tail"),
        pytest.param((Card(rate=FILM, frames=290), "h264"), id="film"),
        pytest.param((Card(rate=Fraction(5), frames=43), "h264"), id="few frames"),
        pytest.param((Card(rate=Fraction(30), frames=390, video_filter=JITTERED), "h264"), id="varying"),
        pytest.param((Card(rate=Fraction(25), frames=200 + SHORTEST_TAIL), "hevc"), id="HEVC"),
        pytest.param((Card(rate=Fraction(25), frames=200 + SHORTEST_TAIL), "av1"), id="AV1"),
    ],
)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """A video encoded as a single chunk."""
    folder = tmp_path_factory.mktemp("whole")
    card, codec = request.param
    source = make(folder / "source.mp4", card, *H264, *SILENT, *KEEP_TIMES)
    return transcode(source, folder / "out", policy=ONE_CHUNK, codec=codec)


def test_a_retry_at_any_segment_gives_the_same_init_segment_and_frames(whole: Golden, tmp_path: Path) -> None:
    names = [rendition.name for rendition in whole.plan.renditions]
    total = whole.plan.total_segments
    assert len(whole.plan.chunks) == 1
    for first in range(1, total):
        again = {name: Encoded(path=tmp_path / f"{name}-{first}.mp4") for name in names}
        encode_chunk(whole, first_segment=first, segments=total - first, into=again)
        for name in names:
            before = whole.renditions[name]
            again[name].segments[:0] = before.segments[:first]
            again[name].write()
            assert again[name].inits == before.inits
            assert shown_numbers(again[name].path) == shown_numbers(before.path)
