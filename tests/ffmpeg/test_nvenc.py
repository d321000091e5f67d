"""The commands of a GPU's jobs, run by an ffmpeg whose NVENC is there, and held to the media contract.

What it shows is ffmpeg's part: options, numbers of frames, time stamps and boxes. The frames come from x264.
"""

from fractions import Fraction
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner, Sink
from tests.drivers.machine import FFMPEG, GpuMachine
from tests.ffmpeg.golden import NEVER, POLICY, Encoded, inspect, probe, shown_numbers
from tests.ffmpeg.sources import H264, SILENT, Card, make
from transcoding.commands.chunk import chunk_command
from transcoding.containers.boxes import read_init
from transcoding.containers.segments import VideoSegmenter, check_video_init
from transcoding.encoders import ENCODERS, HardwareDevice
from transcoding.errors import RateExceeded
from transcoding.planning.encodings import EncoderChoice
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest

FRAMES = 300
DEVICE = HardwareDevice(family_index=2)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GpuMachine:
    machine = GpuMachine(tmp_path / "machine", devices=4)
    for name, value in machine.environ.items():
        monkeypatch.setenv(name, value)
    return machine


def encode(plan: EncodePlan, source: Path, folder: Path) -> Encoded:
    """All chunks of the only rendition, on one device."""
    (rendition,) = plan.renditions
    encoded = Encoded(path=folder / "out.mp4")
    runner = FfmpegRunner(ExecutionConfig(ffmpeg_path=FFMPEG, isolation="none"), LimitConfig())
    for chunk in plan.chunks:
        first, count = chunk.first_segment, chunk.segments
        cutter = VideoSegmenter(plan, rendition, first_segment=first, segments=count)
        command = chunk_command(plan, str(source), first_segment=first, segments=count, device=DEVICE)
        runner.run(command, {rendition.name: taking(cutter, encoded)}, stop=NEVER)
        cutter.finish()
        encoded.inits.append(cutter.init or b"")
    encoded.write()
    return encoded


def taking(cutter: VideoSegmenter, encoded: Encoded) -> Sink:
    return lambda data: encoded.segments.extend(cutter.feed(data))


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(30_000, 1001)])
def test_chunks_from_a_gpu_are_what_was_planned_and_join_without_a_gap(
    machine: GpuMachine, tmp_path: Path, rate: Fraction
) -> None:
    source, facts = inspect(make(tmp_path / "source.mp4", Card(rate=rate, frames=FRAMES), *H264, *SILENT), tmp_path)
    request = JobRequest(codec="h264", resolution="320x180", bitrate=300_000)
    plan = plan_job(facts, request, POLICY, encoders=[EncoderChoice(encoder=ENCODERS["h264_nvenc"])])
    encoded = encode(plan, source, tmp_path)
    assert len(plan.chunks) > 1
    assert len(set(encoded.inits)) == 1
    check_video_init(read_init(encoded.inits[0]), plan.renditions[0], plan)
    assert shown_numbers(encoded.path) == list(range(FRAMES))
    assert probe(encoded.path).start == 0
    check_requested(machine, plan)


def test_a_driver_that_does_not_keep_to_the_most_is_found_out_at_its_first_segment(
    machine: GpuMachine, tmp_path: Path
) -> None:
    """With a quality there is no buffer in the command: what holds the rate is up to the driver."""
    noise = Card(rate=Fraction(25), frames=200, video_filter="noise=alls=60:allf=t")
    source, facts = inspect(make(tmp_path / "source.mp4", noise, *H264, *SILENT), tmp_path)
    plan = plan_job(
        facts, JobRequest(resolution="320x180"), POLICY, encoders=[EncoderChoice(encoder=ENCODERS["h264_nvenc"])]
    )
    encode(plan, source, tmp_path)
    machine.set(unbounded=1)
    with pytest.raises(RateExceeded, match=f"segment 0 has .* promises {plan.renditions[0].peak_bandwidth}"):
        encode(plan, source, tmp_path)


def check_requested(machine: GpuMachine, plan: EncodePlan) -> None:
    """Compare what reached the driver with the plan."""
    requested = machine.events("encode")
    expected = {"device": 2, "preset": "p3", "tuning": "hq", "rate_control": "vbr", "profile": "high"}
    expected |= {"bitrate": 300_000, "max_bitrate": 450_000, "vbv_buffer": 600_000, "quality": 0}
    expected |= {"gop": 60, "idr_period": 60, "b_frames": 3, "b_references": "middle"}
    assert [{name: each[name] for name in expected} for each in requested] == [expected] * len(plan.chunks)
    assert {Fraction(each["frame_rate"]) for each in requested} == {plan.grid.rate}
