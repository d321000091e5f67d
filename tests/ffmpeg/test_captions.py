"""Closed captions within the video: found, taken out as a text, and not left in what is encoded."""

import json
import subprocess
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner
from tests.captions import captioned
from tests.ffmpeg import golden
from tests.ffmpeg.golden import NEVER, POLICY
from tests.ffmpeg.sources import run
from tests.ffmpeg.test_color import FFMPEGS
from transcoding.commands.chunk import chunk_command
from transcoding.commands.texts import captions_command, text_target, texts_command
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from transcoding.texts.cues import Cue
from transcoding.texts.reading import read_text

HELLO = Cue(start=1000, end=2000, text="HELLO")
Source = tuple[Path, SourceFacts]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A captioned clip whose name means something to a graph."""
    folder = tmp_path_factory.mktemp("captions")
    path = captioned(folder / "a[b];c,'d:e.mp4")
    return path, golden.inspect(path, folder)[1]


def runner(ffmpeg: str) -> FfmpegRunner:
    return FfmpegRunner(ExecutionConfig(ffmpeg_path=ffmpeg), LimitConfig())


@FFMPEGS
def test_captions_within_the_video_become_a_text(ffmpeg: str, source: Source) -> None:
    path, facts = source
    found = bytearray()
    command = captions_command(str(path), facts)
    runner(ffmpeg).run(command, {text_target(facts.video.index): found.extend}, stop=NEVER)
    assert list(read_text(bytes(found))) == [HELLO], "in row 15, below"


@FFMPEGS
def test_no_output_carries_captions_that_no_manifest_declares(ffmpeg: str, source: Source, tmp_path: Path) -> None:
    path, facts = source
    for codec in ("h264", "h265"):
        plan = plan_job(facts, JobRequest(codec=codec, resolution="160x90"), POLICY)
        command = chunk_command(plan, str(path), first_segment=0, segments=1)
        output = tmp_path / f"{codec}.mp4"
        runner(ffmpeg).run(command, {command.targets[0]: output}, stop=NEVER)
        assert "Closed Captions" not in side_data(output)
    assert "Closed Captions" in side_data(path), "the source has them where they are looked for"


def side_data(path: Path) -> str:
    entries = ["-show_frames", "-show_entries", "frame_side_data=side_data_type", "-of", "json"]
    shown = subprocess.run(
        [golden.FFPROBE, "-v", "error", *entries, f"file:{path}"], capture_output=True, check=True
    ).stdout
    assert json.loads(shown)["frames"]
    return shown.decode()


@FFMPEGS
def test_a_track_of_captions_becomes_a_text(ffmpeg: str, source: Source, tmp_path: Path) -> None:
    script, path = tmp_path / "a.scc", tmp_path / "track.mov"
    codes = "00:00:00:05\t9420 9420 94ae 94ae 9470 9470 c845 4c4c 4f80\n\n00:00:01:00\t942f 942f"
    script.write_text(f"Scenarist_SCC V1.0\n\n{codes}\n\n00:00:02:00\t942c 942c\n\n")
    run(["-i", f"file:{source[0]}", "-i", f"file:{script}", "-map", "0", "-map", "1", "-c", "copy", f"file:{path}"])
    assert golden.inspect(path, tmp_path)[1].streams[1].used
    found = bytearray()
    command = texts_command(str(path), demuxer="mov", streams={1: "eia_608"})
    runner(ffmpeg).run(command, {text_target(1): found.extend}, stop=NEVER)
    assert list(read_text(bytes(found))) == [HELLO]
