"""A job whose plan has two audio tracks, done by the steps of a worker and played from what they published."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobs.models import Job, Step
from tests.ffmpeg.golden import FFPROBE, beep_seconds
from tests.ffmpeg.sources import run
from tests.ffmpeg.test_audio_tracks import BEEPS, DELAY, two_languages
from tests.pipeline_client import PipelineClient
from transcoding.manifests.names import INIT_NAME, segment_name
from videos.models import Asset, Generation, Rendition
from videos.playback.dash import generation_dash
from videos.playback.playlists import generation_master, rendition_playlist
from videos.selectors import published_prefix
from workers.runner import StepRunner
from workers.tools import Tools


@pytest.fixture
def job(runner: StepRunner, pipeline: PipelineClient, clip: Path, tmp_path: Path) -> Job:
    """A completed job of a source in two languages."""
    job = pipeline.transcode(pipeline.upload(two_languages(clip, tmp_path / "source.mp4")), output_format="mp4")
    runner.work("cpu")
    job.refresh_from_db()
    return job


def _stored_as_players_see_it(generation: Generation, tools: Tools, folder: Path) -> None:
    for rendition in generation.renditions.all():
        here = folder / rendition.name
        here.mkdir()
        (here / "index.m3u8").write_text(rendition_playlist(rendition))
        (here / INIT_NAME).write_bytes(tools.store.get(rendition.init_key))
        for segment in published_prefix(rendition):
            (here / segment_name(segment.number)).write_bytes(tools.store.get(segment.key))
    (folder / "master.m3u8").write_text(generation_master(generation))
    (folder / "manifest.mpd").write_text(generation_dash(generation))


def _audio_streams(path: Path, *options: str) -> list[dict[str, Any]]:
    entries = "stream=codec_type:stream_tags=language"
    command = [FFPROBE, "-v", "error", *options, "-of", "json", "-show_entries", entries, str(path)]
    streams = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"]
    return [each for each in streams if each["codec_type"] == "audio"]


def test_every_audio_track_is_a_step_a_rendition_and_in_every_manifest(job: Job, tools: Tools, tmp_path: Path) -> None:
    assert (job.state, job.error_detail, job.open_steps) == ("completed", "", 0)
    steps = Step.objects.filter(kind="audio").order_by("ordinal")
    assert list(steps.values_list("ordinal", "state", "units_done")) == [(0, "done", 4), (1, "done", 4)]
    tracks = Rendition.objects.filter(kind="audio").order_by("position")
    assert [(row.name, row.state, len(published_prefix(row))) for row in tracks] == [
        ("audio", "completed", 4),
        ("audio-2", "completed", 4),
    ]

    generation = Generation.objects.get()
    folder = tmp_path / "played"
    folder.mkdir()
    _stored_as_players_see_it(generation, tools, folder)
    for manifest, options in (("master.m3u8", ("-allowed_extensions", "ALL")), ("manifest.mpd", ())):
        found = _audio_streams(folder / manifest, *options)
        assert [each["tags"]["language"] for each in found] == ["en", "de"], manifest
        for number, late in enumerate((0.0, DELAY)):
            wave = folder / f"{number}.wav"
            run([*options, "-i", str(folder / manifest), "-map", f"0:a:{number}", f"file:{wave}"])
            assert beep_seconds(wave)[0] == pytest.approx(BEEPS[0] + late, abs=1 / 20), (manifest, number)


def test_the_progressive_file_has_both(job: Job, tools: Tools, tmp_path: Path) -> None:
    asset = Asset.objects.get(generation=job.generation)
    path = tmp_path / "progressive.mp4"
    tools.store.fetch(asset.key, path)
    assert [each["tags"]["language"] for each in _audio_streams(path)] == ["eng", "deu"]
