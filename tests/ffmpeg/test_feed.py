"""The feed's file as real decoders read it: silence, jumps, audio that begins late."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests.ffmpeg.sources import run as ffmpeg
from transcoding.flv.aac import read_aac_config, silent_frame
from transcoding.flv.feed import Feed
from transcoding.flv.tags import FLV_HEADER, FlvTag, TagKind, flv_bytes

SECONDS = 4


@pytest.fixture(scope="module")
def tags(tmp_path_factory: pytest.TempPathFactory) -> list[FlvTag]:
    """Tags of a publisher: 25 frames per second with B-frames, and a tone."""
    path = tmp_path_factory.mktemp("feed") / "source.flv"
    inputs = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000"]
    coding = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25", "-c:a", "aac", "-ac", "2"]
    ffmpeg([*inputs, *coding, "-pix_fmt", "yuv420p", "-t", str(SECONDS), str(path)])
    return list(_read(path.read_bytes()))


def _read(data: bytes) -> Iterator[FlvTag]:
    at = len(FLV_HEADER)
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        time = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        yield FlvTag(TagKind(data[at]), time, data[at + 11 : at + 11 + size])
        at += size + 15


def fed(tags: list[FlvTag]) -> bytes:
    """Feed tags, with the parameters at hand in the preamble, as workers do."""
    feed = Feed()
    for tag in tags[:10]:
        feed.learn(tag)
    data = b"".join(map(feed.push, tags))
    return feed.preamble() + data


def decoded(data: bytes, path: Path, binary: str = "/usr/bin/ffmpeg") -> tuple[int, float]:
    """Decode it all, without any report of an error; return the frames of video and the seconds of audio."""
    path.write_bytes(data)
    outputs = [
        "-map",
        "0:v",
        "-f",
        "null",
        "-",
        "-map",
        "0:a",
        "-f",
        "s16le",
        "-ac",
        "1",
        "-ar",
        "48000",
        str(path) + ".pcm",
    ]
    done = subprocess.run(
        [binary, "-y", "-v", "warning", "-progress", "-", "-i", str(path), *outputs], check=True, capture_output=True
    )
    assert done.stderr == b""
    frames = [line for line in done.stdout.decode().splitlines() if line.startswith("frame=")]
    return int(frames[-1].partition("=")[2]), Path(f"{path}.pcm").stat().st_size / 96000


def test_a_usual_stream_stays_as_it_is(tags: list[FlvTag], tmp_path: Path) -> None:
    frames, seconds = decoded(fed(tags), tmp_path / "fed.flv")
    assert frames == 25 * SECONDS
    assert abs(seconds - SECONDS) < 0.1


@pytest.mark.parametrize("begins", [0.0, 2.0, 100.0])
def test_audio_that_is_missing_or_late_is_silence(tags: list[FlvTag], begins: float, tmp_path: Path) -> None:
    rest = [tag for tag in tags if not tag.is_audio or tag.is_sequence_header or tag.timestamp_ms >= begins * 1000]
    if begins > SECONDS:
        rest = [tag for tag in rest if not tag.is_audio]
    frames, seconds = decoded(fed(rest), tmp_path / "fed.flv")
    assert frames == 25 * SECONDS
    assert abs(seconds - SECONDS) < 0.1


@pytest.mark.parametrize("jump", [-1000, 50_000, 2**32 - 2000])
def test_a_publisher_that_jumps_and_one_that_returns_are_one_stream(
    tags: list[FlvTag], jump: int, tmp_path: Path
) -> None:
    again = [replace(tag, timestamp_ms=(tag.timestamp_ms + jump) % 2**32) for tag in tags]
    frames, seconds = decoded(fed([*tags, *again]), tmp_path / "fed.flv")
    assert frames == 50 * SECONDS
    assert abs(seconds - 2 * SECONDS) < 0.2
    shown = subprocess.run(
        [
            "/usr/bin/ffprobe",
            "-v",
            "error",
            "-show_entries",
            "packet=dts,codec_type",
            "-of",
            "json",
            str(tmp_path / "fed.flv"),
        ],
        check=True,
        capture_output=True,
    )
    packets = json.loads(shown.stdout)["packets"]
    for kind in ("video", "audio"):
        times = [packet["dts"] for packet in packets if packet["codec_type"] == kind]
        assert times == sorted(times)
        assert max(after - before for before, after in pairwise(times)) < 200


@pytest.mark.parametrize("layout", range(1, 8))
def test_silent_frames_of_all_layouts(layout: int, tmp_path: Path) -> None:
    record = bytes((0x11, 0x80 | layout << 3))
    config = read_aac_config(record)
    assert config is not None
    frame = silent_frame(config)
    assert frame is not None
    times = [round(number * config.frame_ms) for number in range(10)]
    data = FLV_HEADER + flv_bytes(FlvTag(TagKind.AUDIO, 0, b"\xaf\x00" + record))
    data += b"".join(flv_bytes(FlvTag(TagKind.AUDIO, time, b"\xaf\x01" + frame)) for time in times)
    path = tmp_path / "silence.flv"
    path.write_bytes(data)
    done = subprocess.run(
        ["/usr/bin/ffmpeg", "-v", "error", "-i", str(path), "-f", "s16le", "-"], check=True, capture_output=True
    )
    assert done.stderr == b""
    assert len(done.stdout) == 10 * 1024 * 2 * config.channels
    assert set(done.stdout) == {0}
