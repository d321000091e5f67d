"""Trial encodes with real ffmpegs on a machine without such devices: not available, and for the real reason."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner
from gpu.devices import Device, DeviceKind
from gpu.trials import Trials, encoders_for
from tests.ffmpeg.signalling import death_by
from transcoding.encoders import ENCODERS

DEVICES = {
    DeviceKind.NVIDIA: Device(index=0, uuid="GPU-0", name="Tesla T4", kind=DeviceKind.NVIDIA, driver="570.86"),
    **{
        kind: Device(index=0, uuid="PCI", name=kind.value, kind=kind, render_node="/dev/dri/renderD199")
        for kind in (DeviceKind.AMD, DeviceKind.INTEL)
    },
}
REASONS = {
    "nvenc": ("Cannot load libcuda.so.1",),
    "vaapi": ("No VA display found",),
    "qsv": ("No VA display found", "Error creating a MFX session", "No device available"),
    "amf": ("libamfrt64.so.1 failed to open",),
}
DEBIAN_LACKS = {"av1_nvenc", "av1_vaapi", "av1_qsv", "h264_amf", "hevc_amf", "av1_amf"}
BINARIES = {"packaged": "", "Debian's": shutil.which("ffmpeg") or ""}
RESPONSES = """case $3 in
-version) echo ffmpeg version 1.2.3; exit;;
-encoders) echo ' V....D h264_nvenc'; echo ' V....D hevc_nvenc'; exit;;
esac"""
ENCODES = """while [ $1 != -progress ]; do shift; done
cat >&${2#pipe:} <<END
frame=30
progress=end
END"""
EIGHT_BITS_ONLY = """case "$*" in
*p010le*) echo '[hevc_nvenc @ 0x5] 10 bit encode not supported' >&2; exit 1;;
esac"""
FAILING = """cat >&2 <<END
[h264_nvenc @ 0x5] OpenEncodeSessionEx failed: unsupported device (2): (no details)
[h264_nvenc @ 0x5] No capable devices found
[h264_nvenc @ 0x5] No capable devices found
Conversion failed!
END
exit 255"""
has_driver = pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has an NVIDIA driver")


def trials(binary: str, *, seconds: float = 60) -> Trials:
    return Trials(FfmpegRunner(ExecutionConfig(ffmpeg_path=binary), LimitConfig()), seconds=seconds)


@pytest.fixture(params=BINARIES)
def real(request: pytest.FixtureRequest) -> Trials:
    return trials(BINARIES[request.param])


def a_program(folder: Path, text: str) -> str:
    """Write a script that stands for ffmpeg with a given driver."""
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/bash\n{RESPONSES}\n{text}\n")
    path.chmod(0o755)
    return str(path)


@has_driver
@pytest.mark.parametrize("name", [encoder.ffmpeg_name for encoder in ENCODERS.values() if encoder.hardware])
def test_without_a_driver_nothing_is_available_for_that_reason(real: Trials, name: str) -> None:
    encoder = ENCODERS[name]
    devices = [each for each in DEVICES.values() if encoder in encoders_for(each)]
    assert devices
    for device in devices:
        outcome = real.attempt(encoder, device)
        verdict = outcome.verdict
        lacking = verdict.reason == "this ffmpeg was built without it"
        debian = verdict.ffmpeg_version.startswith("5.")
        assert (lacking and debian and name in DEBIAN_LACKS) or any(
            words in verdict.reason for words in REASONS[encoder.family.value]
        ), verdict
        assert not verdict.available
        assert not outcome.busy
        assert verdict.driver == device.driver
        assert verdict.ffmpeg_version.lstrip("n").startswith(("5.", "9."))


def test_an_encoder_that_encodes_is_available(real: Trials) -> None:
    """Software encoders, which every machine has, pass the same trial."""
    outcome = real.attempt(ENCODERS["libx264"], DEVICES[DeviceKind.NVIDIA])
    assert outcome.verdict.available
    assert outcome.verdict.reason == ""


def test_a_trial_of_a_hung_driver_times_out(tmp_path: Path) -> None:
    device = DEVICES[DeviceKind.NVIDIA]
    polls: list[int] = []
    outcome = trials(a_program(tmp_path, "sleep 600"), seconds=0.5).attempt(
        ENCODERS["h264_nvenc"], device, on_poll=lambda: polls.append(1)
    )
    assert outcome.verdict.reason == "no response within 0.5 s"
    assert outcome.verdict.ffmpeg_version == "1.2.3"
    assert polls


@pytest.mark.parametrize(
    ("program", "reason", "busy"),
    [
        (
            "echo '[h264_nvenc @ 0x5] OpenEncodeSessionEx failed: out of memory (10): (no details)' >&2; exit 255",
            "OpenEncodeSessionEx failed: out of memory (10): (no details)",
            True,
        ),
        (
            FAILING,
            "OpenEncodeSessionEx failed: unsupported device (2): (no details); No capable devices found",
            False,
        ),
        ("exit 0", "it encoded nothing and printed no error", False),
        (death_by(signal.SIGSEGV), "was killed on the worker", False),
    ],
)
def test_the_reason_is_the_first_error_of_ffmpeg(tmp_path: Path, program: str, reason: str, *, busy: bool) -> None:
    device = DEVICES[DeviceKind.NVIDIA]
    outcome = trials(a_program(tmp_path, program)).attempt(ENCODERS["h264_nvenc"], device)
    assert not outcome.verdict.available
    assert reason in outcome.verdict.reason
    assert outcome.busy is busy


def test_an_encoder_of_ten_bits_is_tried_with_them_as_well(real: Trials) -> None:
    verdict = real.attempt(ENCODERS["libx265"], DEVICES[DeviceKind.NVIDIA]).verdict
    assert (verdict.available, verdict.ten_bits, verdict.ten_bits_reason) == (True, True, "")
    assert not real.attempt(ENCODERS["libx264"], DEVICES[DeviceKind.NVIDIA]).verdict.ten_bits


def test_a_device_may_encode_eight_bits_only(tmp_path: Path) -> None:
    program = a_program(tmp_path, f"{EIGHT_BITS_ONLY}\n{ENCODES}")
    verdict = trials(program).attempt(ENCODERS["hevc_nvenc"], DEVICES[DeviceKind.NVIDIA]).verdict
    assert (verdict.available, verdict.reason) == (True, "")
    assert (verdict.ten_bits, verdict.ten_bits_reason) == (False, "10 bit encode not supported")


def test_a_device_without_a_session_for_the_second_trial_is_tried_again(tmp_path: Path) -> None:
    busy = "OpenEncodeSessionEx failed: out of memory (10): (no details)"
    program = EIGHT_BITS_ONLY.replace("10 bit encode not supported", busy)
    outcome = trials(a_program(tmp_path, f"{program}\n{ENCODES}")).attempt(
        ENCODERS["hevc_nvenc"], DEVICES[DeviceKind.NVIDIA]
    )
    assert (outcome.busy, outcome.verdict.available, outcome.verdict.reason) == (True, False, busy)
