"""Every hardware command that a plan can become, run by real ffmpegs on a machine without the hardware.

Each must fail because a driver or a device is missing, and for nothing else. ffmpeg 9 parses the options of filters
and encoders before it looks for a device, unless the command opens one by itself: such a command is run a second time
without that, and then fails because nothing gives the filters or the encoder frames of a device.
"""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.unit.transcoding.builders import PQ, a_policy, a_source
from transcoding.commands.chunk import chunk_command
from transcoding.commands.command import FfmpegCommand, Input, Output
from transcoding.commands.diagnosis import GpuFailure, gpu_failure
from transcoding.commands.live import live_command
from transcoding.commands.livestream import livestream_command
from transcoding.commands.trial import trial_command
from transcoding.encoders import (
    CODEC_NAMES,
    COMPATIBLE_CODEC,
    ENCODERS,
    PRESETS,
    HardwareDevice,
    HardwarePath,
    VideoEncoder,
)
from transcoding.flv.facts import IncomingFacts
from transcoding.planning.encodings import EncoderChoice
from transcoding.planning.latency import Latency
from transcoding.planning.live import LiveProfile
from transcoding.planning.livestream import LadderRequest, plan_livestream
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest

NEW = imageio_ffmpeg.get_ffmpeg_exe()
OLD = "/usr/bin/ffmpeg"
OLD_HAS = ("h264_nvenc", "hevc_nvenc", "h264_vaapi", "hevc_vaapi", "h264_qsv", "hevc_qsv")
"""Encoders that this build of ffmpeg 5.1 has."""
DEVICE = HardwareDevice(family_index=0, render_node="/dev/dri/renderD128")
HARDWARE = [encoder for encoder in ENCODERS.values() if encoder.hardware]

NO_DRIVER = {
    "nvenc": ("Cannot load libcuda.so.1",),
    "vaapi": ("No VA display found for device /dev/dri/renderD128",),
    "qsv": ("No VA display found for device /dev/dri/renderD128", "Error creating a MFX session"),
    "amf": ("DLL libamfrt64.so.1 failed to open",),
}
NO_FRAMES_OF_A_DEVICE = ("Impossible to convert between the formats", "Error creating a MFX session")
WRONG_OPTION = (
    "Unable to parse",
    "Unrecognized option",
    "Option not found",
    "out of range",
    "Error setting option",
    "Error applying",
    "has not been used for any stream",
    "No such filter",
    "Unknown encoder",
)
CODES_OF_WRONG_OPTIONS = {8, 222}
"""Exit codes of ffmpeg 9 for an unknown option and a value out of range; 234, unparsable, stands for more."""


@dataclass(frozen=True)
class Ended:
    """The end of a run."""

    code: int
    said: str

    @property
    def rejects_options(self) -> bool:
        return self.code in CODES_OF_WRONG_OPTIONS or any(phrase in self.said for phrase in WRONG_OPTION)

    def lacks(self, *phrases: str) -> bool:
        return any(phrase in self.said for phrase in phrases)


def run(binary: str, command: FfmpegCommand) -> Ended:
    """Encode to nothing, with the muxer and all."""
    command = replace(command, global_options={**command.global_options, "v": "warning"})
    argv = command.argv(binary, dict.fromkeys(command.targets, "/dev/null"), progress="pipe:1", max_pixels=1 << 25)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in command.files.items():
            (Path(folder) / name).write_text(text)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False, cwd=folder)
    return Ended(done.returncode, done.stderr)


def plans(encoder: VideoEncoder) -> Iterator[EncodePlan]:
    """Whatever decides about a command: rates that were requested or not, paths, sources with and without fields."""
    name = next(name for name, choice in CODEC_NAMES.items() if choice.codec == encoder.codec)
    for request in (JobRequest(codec=name), JobRequest(codec=name, resolution="720p", bitrate=2_000_000)):
        for path in encoder.paths:
            for interlaced in (False, True):
                policy = replace(a_policy(), hardware_path=path)
                plan = plan_job(
                    a_source(interlaced=interlaced),
                    request,
                    policy,
                    encoders=[EncoderChoice(encoder=encoder, sessions=8)],
                )
                if plan.encodings[0].hardware_path == path:
                    yield plan
    if encoder.ten_bits:
        yield plan_job(
            a_source(color=PQ),
            JobRequest(codec=name, dynamic_range="source"),
            a_policy(),
            encoders=[EncoderChoice(encoder=encoder)],
        )


def commands(encoder: VideoEncoder) -> Iterator[FfmpegCommand]:
    """The commands of these plans, and the trial of the encoder."""
    yield trial_command(encoder, DEVICE)
    for plan in plans(encoder):
        yield drawn(chunk_command(plan, "source", first_segment=2, segments=1, device=DEVICE))
    if encoder.codec == COMPATIBLE_CODEC:
        yield live(encoder)
    if encoder.low_delay:
        yield from livestreams(encoder)


def live(encoder: VideoEncoder) -> FfmpegCommand:
    """The command of a live stream, with video and audio that ffmpeg draws in place of the source."""
    command = live_command("mpegts", LiveProfile.P480, encoder=encoder, device=DEVICE)
    path = "testsrc2=size=1280x720:rate=25:duration=1[out0];sine=duration=1[out1]"
    return replace(command, inputs=(Input(path=path, options={"f": "lavfi"}, made_up=True),))


def livestreams(encoder: VideoEncoder) -> Iterator[FfmpegCommand]:
    """The commands of a live stream that a publisher brings, with a drawn source again."""
    facts = IncomingFacts(width=1280, height=720, rate=Fraction(25), video_codec="h264")
    path = "testsrc2=size=1280x720:rate=25:duration=1[out0];sine=duration=1[out1]"
    for latency in Latency:
        plan = plan_livestream(facts, LadderRequest(), encoder=encoder, latency=latency)
        command = livestream_command(plan, first_segment=1, device=DEVICE)
        yield replace(command, inputs=(Input(path=path, options={"f": "lavfi"}, made_up=True),))


def drawn(command: FfmpegCommand) -> FfmpegCommand:
    """The same with a video that ffmpeg draws in place of the source; how it is decoded stays."""
    hardware = {name: value for name, value in command.inputs[0].options.items() if "hw" in name}
    source = Input(path="testsrc2=size=1280x720:rate=25", options={"f": "lavfi", **hardware}, made_up=True)
    return replace(command, inputs=(source,))


def without_device(command: FfmpegCommand) -> FfmpegCommand:
    """The same as if somebody else opened the device: nothing does, but all options are looked at."""
    filters = [output.options.get("vf") or "" for output in command.outputs]
    return replace(
        command,
        inputs=tuple(replace(each, options=_but_hardware(each.options)) for each in command.inputs),
        filter_graph=_but_uploads(command.filter_graph or ""),
        outputs=tuple(
            replace(output, options={**output.options, "vf": _but_uploads(chain)}) if chain else output
            for output, chain in zip(command.outputs, filters, strict=True)
        ),
        global_options=_but_hardware(command.global_options),
    )


def _but_uploads(graph: str) -> str:
    return graph.replace(",hwupload=extra_hw_frames=64", "").replace(",hwupload", "")


def _but_hardware(options: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name: value for name, value in options.items() if "hw" not in name}


def opens_a_device(command: FfmpegCommand) -> bool:
    return "init_hw_device" in command.global_options


def all_at_once(binary: str, requested: Sequence[FfmpegCommand]) -> list[Ended]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda command: run(binary, command), requested))


@pytest.mark.parametrize("encoder", HARDWARE, ids=lambda encoder: encoder.ffmpeg_name)
def test_nothing_but_the_device_is_missing(encoder: VideoEncoder) -> None:
    requested = list(commands(encoder))
    for command, ended in zip(requested, all_at_once(NEW, requested), strict=True):
        assert ended.code, command
        assert ended.lacks(*NO_DRIVER[encoder.family]), (command, ended)
        assert gpu_failure(ended.said, encoder) is GpuFailure.DEVICE_LOST, (command, ended)
        assert not ended.rejects_options, (command, ended)
    opening = [without_device(command) for command in requested if opens_a_device(command)]
    for command, ended in zip(opening, all_at_once(NEW, opening), strict=True):
        assert ended.code in {218, 171}, (command, ended)
        assert ended.lacks(*NO_FRAMES_OF_A_DEVICE), (command, ended)
        assert not ended.rejects_options, (command, ended)


@pytest.mark.parametrize("name", OLD_HAS)
def test_the_older_ffmpeg_misses_nothing_else_either(name: str) -> None:
    """As far as it looks, which is up to the first device that it opens. Its exit code says nothing."""
    encoder = ENCODERS[name]
    requested = list(commands(encoder))
    for command, ended in zip(requested, all_at_once(OLD, requested), strict=True):
        assert ended.code, command
        assert ended.lacks(*NO_DRIVER[encoder.family]), (command, ended)
        assert gpu_failure(ended.said, encoder) is GpuFailure.DEVICE_LOST, (command, ended)
        assert not ended.rejects_options, (command, ended)


@pytest.mark.parametrize("encoder", HARDWARE, ids=lambda encoder: encoder.ffmpeg_name)
def test_every_preset_is_one_of_the_encoder(encoder: VideoEncoder) -> None:
    """All in one run, an output for each."""
    plan = next(plans(encoder))
    rung = plan.renditions[0]
    names = [replace(rung, name=preset) for preset in PRESETS]
    outputs: list[Output] = []
    for preset in PRESETS:
        each = replace(plan, encodings=(replace(plan.encodings[0], preset=preset),), renditions=tuple(names), groups=())
        one = chunk_command(each, "source", first_segment=0, segments=1, device=DEVICE)
        outputs += [output for output in one.outputs if output.target == preset]
    command = replace(without_device(drawn(one)), outputs=tuple(outputs))
    ended = run(NEW, command)
    assert ended.lacks(*NO_FRAMES_OF_A_DEVICE, *NO_DRIVER[encoder.family]), ended
    assert not ended.rejects_options, ended


WRONG = {
    "unknown": ("presett", "p3"),
    "unparsable": ("g", "many"),
    "out of range": ("g", "99999999999"),
    "another encoder's": ("crf", "23"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("encoder", HARDWARE, ids=lambda encoder: encoder.ffmpeg_name)
def test_a_wrong_option_is_caught(encoder: VideoEncoder, wrong: str) -> None:
    """By the very checks above, on every path of every encoder."""
    name, value = WRONG[wrong]
    for path in encoder.paths:
        plan = next(plan for plan in plans(encoder) if plan.encodings[0].hardware_path == path)
        command = drawn(chunk_command(plan, "source", first_segment=0, segments=1, device=DEVICE))
        first = command.outputs[0]
        spoilt = replace(first, options={**first.options, name: value})
        command = replace(command, outputs=(spoilt, *command.outputs[1:]))
        ended = run(NEW, without_device(command) if opens_a_device(command) else command)
        assert ended.rejects_options, ended


@pytest.mark.parametrize("path", [HardwarePath.UPLOAD, HardwarePath.DEVICE])
def test_a_wrong_option_of_a_filter_is_caught(path: HardwarePath) -> None:
    policy = replace(a_policy(), hardware_path=path)
    plan = plan_job(a_source(), JobRequest(), policy, encoders=[EncoderChoice(encoder=ENCODERS["h264_nvenc"])])
    command = without_device(drawn(chunk_command(plan, "source", first_segment=0, segments=1, device=DEVICE)))
    graph = (command.filter_graph or "").replace("bicubic", "cubist", 1)
    assert run(NEW, replace(command, filter_graph=graph)).rejects_options
