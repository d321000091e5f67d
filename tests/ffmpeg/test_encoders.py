"""Promises of the encoders' traits, held against what real runs of them write."""

from collections import deque
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from execution.ffmpeg import Sink
from tests.ffmpeg.golden import NEVER, POLICY, inspect, runner
from tests.ffmpeg.sources import H264, SILENT, Card, make
from transcoding.commands.chunk import chunk_command
from transcoding.containers.boxes import read_init
from transcoding.containers.fragments import FragmentReader
from transcoding.containers.segments import check_video_init, corrected_init
from transcoding.encoders import PRESETS
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import Resolution

CODECS = ("h264", "hevc", "av1", "vp9")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SourceFacts]:
    """Three frames; what is encoded from them may be as large as a test likes."""
    folder = tmp_path_factory.mktemp("small")
    return inspect(make(folder / "source.mp4", Card(rate=Fraction(60), frames=3), *H264, *SILENT), folder)


def _inits(path: Path, plan: EncodePlan) -> dict[str, bytes]:
    readers = {rendition.name: FragmentReader() for rendition in plan.renditions}
    command = chunk_command(plan, str(path), first_segment=0, segments=1)
    runner().run(command, {name: _drained(reader) for name, reader in readers.items()}, stop=NEVER)
    return {name: reader.init or b"" for name, reader in readers.items()}


def _drained(reader: FragmentReader) -> Sink:
    return lambda data: deque(reader.feed(data), maxlen=0).clear()


@pytest.mark.parametrize(
    ("codec", "rate"),
    [
        *((codec, Fraction(60)) for codec in CODECS),
        ("h264", Fraction(24)),
        *(pytest.param(codec, Fraction(24), marks=pytest.mark.thorough) for codec in CODECS[1:]),
    ],
)
def test_every_rung_has_the_profile_and_level_that_its_playlist_says(
    codec: str, rate: Fraction, source: tuple[Path, SourceFacts]
) -> None:
    path, facts = source
    large = replace(facts.video, display=Resolution(width=3840, height=2160))
    plan = plan_job(replace(facts, video_stream=large, rate=rate, total_frames=1), JobRequest(codec=codec), POLICY)
    inits = _inits(path, plan)
    assert [rendition.name for rendition in plan.renditions] == ["2160p", "1440p", "1080p", "720p", "480p", "360p"]
    for rendition in plan.renditions:
        check_video_init(read_init(corrected_init(inits[rendition.name], rendition)), rendition, plan)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_the_profile_that_its_playlist_says(
    preset: str, codec: str, source: tuple[Path, SourceFacts]
) -> None:
    path, facts = source
    plan = plan_job(facts, JobRequest(codec=codec, resolution="320x180", preset=preset), POLICY)
    inits = _inits(path, plan)
    for rendition in plan.renditions:
        check_video_init(read_init(corrected_init(inits[rendition.name], rendition)), rendition, plan)
