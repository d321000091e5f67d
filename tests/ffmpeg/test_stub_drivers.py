"""The stub drivers themselves: Debian's ffmpeg encodes with NVENC on a machine without a GPU."""

import json
import os
import signal
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.machine import FFMPEG, GpuMachine

FRAMES, GOP = 150, 48


@pytest.fixture
def machine(tmp_path: Path) -> GpuMachine:
    return GpuMachine(tmp_path / "machine", devices=4)


def encode(
    machine: GpuMachine, *options: str, rate: str = "24", size: str = "320x180", encoder: str = "h264_nvenc"
) -> subprocess.CompletedProcess[str]:
    source = f"testsrc2=size={size}:rate={rate},trim=end_frame={FRAMES}"
    words = [FFMPEG, "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", source, "-c:v", encoder, *options]
    environ = {"PATH": os.defpath, **machine.environ}
    return subprocess.run(words, env=environ, check=False, capture_output=True, text=True, timeout=600)


def probe(path: Path, what: str) -> list[dict[str, Any]]:
    section, _, entries = what.partition("=")
    words = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", f"{section}={entries}", str(path)]
    answer = subprocess.run(words, check=True, capture_output=True, text=True)
    found: list[dict[str, Any]] = json.loads(answer.stdout)[f"{section}s"]
    return found


@pytest.mark.parametrize("rate", ["24", "30000/1001"])
def test_encodes_in_the_structure_that_is_requested(machine: GpuMachine, tmp_path: Path, rate: str) -> None:
    path = tmp_path / "out.mp4"
    rates = ("-rc", "vbr", "-b:v", "300k", "-maxrate", "450k", "-bufsize", "600k")
    shape = ("-g", str(GOP), "-bf", "3", "-b_ref_mode", "middle", "-profile:v", "high", "-level", "3.0")
    done = encode(machine, "-preset", "p4", "-tune", "hq", "-gpu", "2", *rates, *shape, str(path), rate=rate)
    assert (done.returncode, done.stderr) == (0, "")
    opened, requested, closed = machine.events()
    shape_seen = {"width": 320, "height": 180, "gop": GOP, "idr_period": GOP, "b_frames": 3, "b_references": "middle"}
    rates_seen = {
        "rate_control": "vbr",
        "bitrate": 300_000,
        "max_bitrate": 450_000,
        "vbv_buffer": 600_000,
        "quality": 0,
    }
    words_seen = {"device": 2, "preset": "p4", "tuning": "hq", "profile": "high", "level": 30}
    expected = shape_seen | rates_seen | words_seen
    assert {name: requested[name] for name in expected} == expected
    assert Fraction(requested["frame_rate"]) == Fraction(rate)
    assert (opened["on_device"], closed["frames"], closed["memory"]) == (1, FRAMES, "system")
    (stream,) = probe(path, "stream=profile,level,has_b_frames,nb_frames,avg_frame_rate,start_time")
    assert (stream["profile"], stream["level"], int(stream["nb_frames"])) == ("High", 30, FRAMES)
    assert stream["has_b_frames"] == 2
    assert Fraction(stream["avg_frame_rate"]) == Fraction(rate)
    frames = probe(path, "frame=pict_type,key_frame")
    assert [number for number, video in enumerate(frames) if video["key_frame"]] == [0, 48, 96, 144]
    assert "".join(video["pict_type"] for video in frames[:9]) == "IBBBPBBBP"


def test_constant_quality_ignores_a_bitrate_beside_it_as_the_hardware_does(machine: GpuMachine, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    assert encode(machine, "-rc", "vbr", "-cq", "40", "-b:v", "9M", str(path)).returncode == 0
    assert machine.events("encode")[0]["quality"] == 40
    assert path.stat().st_size * 8 < 9_000_000 * FRAMES / 24 / 10


def test_takes_frames_from_the_memory_of_the_device(machine: GpuMachine, tmp_path: Path) -> None:
    device = ("-init_hw_device", "cuda=gpu:3", "-filter_hw_device", "gpu", "-vf", "format=nv12,hwupload")
    assert encode(machine, *device, str(tmp_path / "out.mp4")).returncode == 0
    assert [(event["device"], event["memory"]) for event in machine.events("close")] == [(3, "device")]


def test_counts_the_sessions_of_all_processes(machine: GpuMachine, tmp_path: Path) -> None:
    machine.set(system_sessions=2, microseconds=20_000)
    chosen = ("-gpu", "0")  # left to itself, ffmpeg tries every device
    words = [
        FFMPEG,
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180",
        "-c:v",
        "h264_nvenc",
        "-f",
        "null",
        "-",
    ]
    with subprocess.Popen(words, env=machine.environ, stdin=subprocess.DEVNULL) as other:
        while not machine.events("open"):
            assert other.poll() is None
        two = encode(machine, *chosen, "-f", "null", "-", "-c:v", "h264_nvenc", *chosen, "-f", "null", "-")
        assert two.returncode == 1
        assert "OpenEncodeSessionEx failed: out of memory (10)" in two.stderr
        other.kill()  # its session is free as soon as it is gone
        other.wait()
    machine.set(system_sessions=2)
    assert encode(machine, "-f", "null", "-", "-c:v", "h264_nvenc", "-f", "null", "-").returncode == 0
    assert machine.max_sessions() == 2
    assert len(machine.events("refused")) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"die_after": 40}, "EncodePicture failed!: device does not exist (5)"),
        ({"die_after": 40, "die_how": "generic"}, "EncodePicture failed!: generic error (20)"),
        ({"lost": "0"}, "CUDA_ERROR_INVALID_DEVICE"),
        ({"lost": "all"}, "CUDA_ERROR_NO_DEVICE"),
        ({"codecs": "none"}, "No capable devices found"),
    ],
)
def test_fails_as_a_driver_does(machine: GpuMachine, tmp_path: Path, settings: dict[str, object], message: str) -> None:
    machine.set(**settings)
    done = encode(machine, "-gpu", "0", str(tmp_path / "out.mp4"))
    assert done.returncode == 1
    assert message in done.stderr


def test_dies_with_the_process(machine: GpuMachine, tmp_path: Path) -> None:
    machine.set(die_after=40, die_how="abort")
    assert encode(machine, str(tmp_path / "out.mp4")).returncode == -signal.SIGKILL
    assert [event["event"] for event in machine.events()] == ["open", "encode", "died"]


def test_refuses_what_it_cannot_encode(machine: GpuMachine, tmp_path: Path) -> None:
    machine.set(codecs="h264,hevc")
    assert "H.264 only" in encode(machine, str(tmp_path / "out.mp4"), encoder="hevc_nvenc").stderr
    small = encode(machine, str(tmp_path / "out.mp4"), size="144x144").stderr
    assert "Frame Dimension less than the minimum supported value" in small
