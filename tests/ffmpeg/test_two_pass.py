"""Two passes: every chunk is analysed and then meets its bitrate, and with all of them the whole title does."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests.ffmpeg.golden import POLICY, Encoded, Golden, encode_chunk, shown_numbers, transcode
from tests.ffmpeg.sources import H264, SILENT, Card, make

TWO_PASS = replace(POLICY, two_pass=True)
UNEVEN = Card(rate=Fraction(25), frames=600, video_filter="noise=alls=8:allf=t:enable='between(t,3,5)+between(t,9,17)'")
"""24 s, six chunks: some easy, some hard, some of both."""
ALLOWED = 0.03


@pytest.fixture(scope="module", params=["h264", "hevc"])
def uneven(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    folder = tmp_path_factory.mktemp("uneven")
    source = make(folder / "source.mp4", UNEVEN, *H264, *SILENT)
    return transcode(source, folder / "out", policy=TWO_PASS, codec=request.param)


def test_the_whole_title_has_the_bitrate_that_was_requested(uneven: Golden) -> None:
    assert len(uneven.plan.chunks) == 6
    for rendition in uneven.plan.renditions:
        segments = uneven.renditions[rendition.name].segments
        bits = sum(len(segment.data) for segment in segments) * 8
        assert bits / float(uneven.plan.grid.duration) == pytest.approx(rendition.bitrate, rel=ALLOWED)


def test_every_frame_is_there_and_all_chunks_have_the_same_init_segment(uneven: Golden) -> None:
    for encoded in uneven.renditions.values():
        assert shown_numbers(encoded.path) == list(range(UNEVEN.frames))
        assert len(set(encoded.inits)) == 1


def test_what_is_left_of_a_chunk_is_analysed_again(uneven: Golden, tmp_path: Path) -> None:
    """A chunk of all segments, started again at the fifth."""
    names = [rendition.name for rendition in uneven.plan.renditions]
    again = {name: Encoded(path=tmp_path / f"{name}.mp4") for name in names}
    total = uneven.plan.total_segments
    encode_chunk(uneven, first_segment=4, segments=total - 4, into=again)
    for name in names:
        before = uneven.renditions[name]
        again[name].segments[:0] = before.segments[:4]
        again[name].write()
        assert again[name].inits == before.inits[:1]
        assert shown_numbers(again[name].path) == list(range(UNEVEN.frames))
