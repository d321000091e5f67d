"""Choices about audio, from the request to the files of a completed job: Opus, surround, loudness, tracks as files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobs.models import Step
from tests.ffmpeg.golden import FFPROBE
from tests.ffmpeg.sources import run
from tests.pipeline_client import PipelineClient
from videos.models import Asset, Rendition
from videos.playback.dash import generation_dash
from videos.playback.playlists import generation_master
from workers.runner import StepRunner
from workers.tools import Tools


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Five seconds with 5.1 in German, and a description in English for people who do not see."""
    path = tmp_path / "film.mkv"
    inputs = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=5"]
    tone = "0.1*sin(2*PI*440*t)"
    for layout, channels in (("5.1", 6), ("stereo", 2)):
        tones = f"aevalsrc='{'|'.join([tone] * channels)}':channel_layout={layout}:duration=5"
        inputs += ["-f", "lavfi", "-i", tones]
    said = ["-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "language=eng"]
    said += ["-disposition:a:0", "default", "-disposition:a:1", "visual_impaired+descriptions"]
    maps = ["-map", "0", "-map", "1", "-map", "2"]
    run([*inputs, *maps, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac", *said, f"file:{path}"])
    return path


def _streams(path: Path) -> list[dict[str, Any]]:
    entries = "stream=codec_type,codec_name,channels:stream_tags=language:stream_disposition=default,visual_impaired"
    command = [FFPROBE, "-v", "error", "-of", "json", "-show_entries", entries, str(path)]
    found: list[dict[str, Any]] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"]
    return found


def test_every_choice_about_audio_arrives(
    runner: StepRunner, pipeline: PipelineClient, tools: Tools, film: Path, tmp_path: Path
) -> None:
    job = pipeline.transcode(
        pipeline.upload(film),
        audio_codec="opus",
        audio_channels="surround",
        normalize_audio=True,
        output_format=["m4a", "mp4"],
    )
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, job.error_detail) == ("completed", "")
    assert job.generation is not None
    rows = Rendition.objects.filter(kind="audio").order_by("position")
    assert [(row.name, row.codecs) for row in rows] == [
        *((name, "opus") for name in ("audio", "audio-2", "audio-surround")),
    ]

    assets = {(asset.kind, asset.name): asset for asset in Asset.objects.all()}
    assert sorted(assets) == [
        ("m4a", "audio"),
        ("m4a", "audio-2"),
        ("m4a", "audio-surround"),
        ("mp4", "64p"),
    ]
    found = {}
    for (kind, name), asset in assets.items():
        path = tmp_path / f"{name}.{kind}"
        tools.store.fetch(asset.key, path)
        found[name] = _streams(path)
    assert [(each["codec_name"], each["channels"]) for each in found["64p"][1:]] == [
        ("opus", 2),
        ("opus", 2),
        ("opus", 6),
    ]
    assert [each["disposition"] for each in found["64p"][1:]] == [
        {"default": 1, "visual_impaired": 0},
        {"default": 0, "visual_impaired": 1},
        {"default": 0, "visual_impaired": 0},
    ]
    assert [[each["tags"]["language"] for each in found[name]] for name in ("audio", "audio-2", "audio-surround")] == [
        ["deu"],
        ["eng"],
        ["deu"],
    ]
    assert [assets["m4a", name].language for name in ("audio", "audio-2")] == ["de", "en"]
    assert {assets["m4a", name].media_type for name in ("audio", "audio-2")} == {"audio/mp4"}

    master = generation_master(job.generation)
    assert 'CODECS="avc1.' in master
    assert ",opus" in master
    assert "public.accessibility.describes-video" in master
    assert 'CHANNELS="6"' in master
    assert 'codecs="opus"' in generation_dash(job.generation)


def test_a_source_without_audio_has_no_files_of_it(
    runner: StepRunner, pipeline: PipelineClient, tmp_path: Path
) -> None:
    path = tmp_path / "silent.mp4"
    run(["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=1", "-c:v", "libx264", f"file:{path}"])
    job = pipeline.transcode(pipeline.upload(path), output_format="m4a")
    runner.work("cpu")
    job.refresh_from_db()
    assert (job.state, Asset.objects.count()) == ("completed", 0)
    assert not Step.objects.filter(kind="remux").exists()
