"""Several audio tracks, from the source's streams to what players and ffmpeg find in manifests and files."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.ffmpeg.cases import PAL
from tests.ffmpeg.golden import FFPROBE, NEVER, Golden, beep_seconds, publish, runner, transcode
from tests.ffmpeg.sources import AAC, H264, make, run
from tests.ffmpeg.test_progressive_mp4 import parts
from transcoding.commands.remux import MP4_TARGET, VIDEO_INPUT, mp4_command
from transcoding.containers.verification import verify_rendition

BEEPS = [1.0, 3.0, 5.0, 7.0, 9.0]
DELAY = 0.5
"""Seconds by which the beeps of the second language are later: they distinguish the tracks."""


def two_languages(plain: Path, path: Path) -> Path:
    """The video of a test file with its audio in English, and later by a delay in German."""
    later = f"[0:a]adelay={round(DELAY * 1000)}:all=1[later]"
    maps = ("-map", "0:v", "-map", "0:a", "-map", "[later]", "-c:v", "copy", *AAC)
    languages = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu")
    run(["-i", f"file:{plain}", "-filter_complex", later, *maps, *languages, "-shortest", f"file:{path}"])
    return path


@pytest.fixture(scope="module", params=["mp4", "ts"])
def two_tracks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """A transcode with both tracks; of the transport stream, by way of an indexed copy."""
    folder = tmp_path_factory.mktemp(request.param)
    source = two_languages(make(folder / "plain.mp4", PAL, *H264, *AAC), folder / f"source.{request.param}")
    return transcode(source, folder / "out")


def _probed(path: Path, *options: str) -> list[dict[str, Any]]:
    entries = "stream=index,codec_type,channels,start_time:stream_tags=language,comment:stream_disposition=default"
    command = [FFPROBE, "-v", "error", *options, "-of", "json", "-show_entries", entries, str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    streams: list[dict[str, Any]] = json.loads(done.stdout)["streams"]
    return streams


def _languages(streams: list[dict[str, Any]]) -> list[str]:
    return [each["tags"]["language"] for each in streams if each["codec_type"] == "audio"]


def test_both_tracks_are_encoded_whole_and_from_their_own_stream(two_tracks: Golden) -> None:
    assert [(track.name, track.language, track.default) for track in two_tracks.plan.audio] == [
        ("audio", "eng", True),
        ("audio-2", "deu", False),
    ]
    for track, late in zip(two_tracks.plan.audio, (0.0, DELAY), strict=True):
        encoded = two_tracks.renditions[track.name]
        assert (
            verify_rendition(two_tracks.plan, track.name, [encoded.as_run]).segments == two_tracks.plan.total_segments
        )
        beeps = [second + late for second in BEEPS if second + late < 9.1]
        assert beep_seconds(encoded.path) == pytest.approx(beeps, abs=1 / 25)


def test_ffmpeg_finds_both_tracks_with_their_languages_in_the_hls_playlists(two_tracks: Golden, tmp_path: Path) -> None:
    publish(two_tracks, tmp_path)
    streams = _probed(tmp_path / "master.m3u8", "-allowed_extensions", "ALL")
    assert _languages(streams) == ["en", "de"]
    assert sum(each["codec_type"] == "video" for each in streams) == len(two_tracks.plan.renditions)
    for track, late in enumerate((0.0, DELAY)):
        wave = tmp_path / f"{track}.wav"
        playlist = str(tmp_path / "master.m3u8")
        run(["-allowed_extensions", "ALL", "-i", playlist, "-map", f"0:a:{track}", f"file:{wave}"])
        assert beep_seconds(wave)[0] == pytest.approx(BEEPS[0] + late, abs=1 / 20)


def test_a_progressive_file_has_both_tracks(two_tracks: Golden, tmp_path: Path) -> None:
    names = {VIDEO_INPUT: two_tracks.plan.renditions[0].name} | {
        track.name: track.name for track in two_tracks.plan.audio
    }
    feeds = {target: parts(two_tracks, name) for target, name in names.items()}
    path = tmp_path / "progressive.mp4"
    runner().run(mp4_command(two_tracks.plan), {MP4_TARGET: path}, inputs=feeds, stop=NEVER)
    streams = _probed(path)
    assert [each["codec_type"] for each in streams] == ["video", "audio", "audio"]
    assert _languages(streams) == ["eng", "deu"]
    assert [each["disposition"]["default"] for each in streams[1:]] == [1, 0]
