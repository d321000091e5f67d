"""Trial encodes. Only an encoder that has encoded something on a device counts as available there."""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from execution.ffmpeg import FfmpegRunner
from gpu.devices import Device, DeviceKind, Verdict
from transcoding.commands.diagnosis import GpuFailure, gpu_failure
from transcoding.commands.trial import trial_command
from transcoding.encoders import ENCODERS, Family, HardwareDevice, VideoEncoder

log = logging.getLogger(__name__)

_FAMILIES = {
    DeviceKind.NVIDIA: frozenset({Family.NVENC}),
    DeviceKind.AMD: frozenset({Family.AMF, Family.VAAPI}),
    DeviceKind.INTEL: frozenset({Family.QSV, Family.VAAPI}),
}
_LOG_PREFIX = re.compile(r"^(?:\[[^\]]*\]\s*)+")
"""Prefix of a line of ffmpeg: the component and its address in memory."""
_GIVING_UP = re.compile(
    "Error while opening encoder|Could not open encoder|Error initializing output stream|Conversion failed"
    "|Task finished with error|Terminating thread|Nothing was written|Error while filtering|Error opening output"
)
"""Lines that ffmpeg prints for every failure."""
_MAX_REASON_LINES = 2
_MAX_REASON_CHARS = 300
_MAX_LINES = 1000
"""Lines of a trial that are kept: the first ones say why it failed."""


def encoders_for(device: Device) -> tuple[VideoEncoder, ...]:
    """List the encoders that exist for devices of this maker."""
    return tuple(encoder for encoder in ENCODERS.values() if encoder.family in _FAMILIES[device.kind])


def _keep(lines: list[str], line: str) -> None:
    if len(lines) < _MAX_LINES:
        lines.append(line)


def hardware_device(device: Device) -> HardwareDevice:
    """Return the device as ffmpeg commands address it."""
    return HardwareDevice(family_index=device.index, render_node=device.render_node)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of a trial encode."""

    verdict: Verdict
    busy: bool = False
    """The device had no free session, so the verdict does not mean that the encoder fails."""


@dataclass
class _Deadline:
    """Stop signal that is set after a time."""

    seconds: float
    started_at: float = field(default_factory=time.monotonic)

    def is_set(self) -> bool:
        return time.monotonic() - self.started_at > self.seconds


class Trials:
    """Runs trial encodes, each for at most `seconds`. For the main thread only, since it starts ffmpeg."""

    def __init__(self, ffmpeg: FfmpegRunner, *, seconds: float) -> None:
        self._ffmpeg = ffmpeg
        self._seconds = seconds
        self._version = ffmpeg.version()
        self._built_with = ffmpeg.encoders()

    def attempt(self, encoder: VideoEncoder, device: Device, *, on_poll: Callable[[], None] = lambda: None) -> Outcome:
        """Encode a few frames, and where that works a few of 10 bits, if the encoder has those.

        Any failure becomes the verdict's reason. `on_poll` is called during the runs.
        """
        stderr_lines: list[str] = []
        if encoder.ffmpeg_name in self._built_with:
            reason = self._try(encoder, device, on_poll, stderr_lines)
        else:
            reason = "this ffmpeg was built without it"
        deep_reason = ""
        if encoder.ten_bits and not reason:
            stderr_lines = []
            deep_reason = self._try(encoder, device, on_poll, stderr_lines, ten_bits=True)
        failed = bool(reason or deep_reason)
        busy = failed and gpu_failure("\n".join(stderr_lines), encoder) is GpuFailure.BUSY
        if busy:
            reason, deep_reason = reason or deep_reason, ""  # all of it once more, when a session is free
        verdict = Verdict(
            encoder=encoder.ffmpeg_name,
            available=not reason,
            reason=reason,
            ten_bits=bool(encoder.ten_bits) and not (reason or deep_reason),
            ten_bits_reason=deep_reason,
            driver=device.driver,
            ffmpeg_version=self._version,
        )
        fields = {"event": "gpu_trial", "device": device.uuid, "encoder": encoder.ffmpeg_name, "reason": reason}
        fields |= {"ten_bits_reason": deep_reason} if deep_reason else {}
        log.info("trial encode", extra=fields)
        return Outcome(verdict=verdict, busy=busy)

    def _try(
        self,
        encoder: VideoEncoder,
        device: Device,
        on_poll: Callable[[], None],
        stderr_lines: list[str],
        *,
        ten_bits: bool = False,
    ) -> str:
        """Run the trial. Returns the reason of its failure; empty on success."""
        deadline = _Deadline(self._seconds)
        try:
            report = self._ffmpeg.run(
                trial_command(encoder, hardware_device(device), ten_bits=ten_bits),
                {"nothing": None},
                stop=deadline,
                on_poll=on_poll,
                on_stderr_line=lambda line: _keep(stderr_lines, line),
            )
        except Exception as error:  # noqa: BLE001 - drivers fail in every way, even with an ffmpeg that cannot be killed
            return self._reason(error, stderr_lines, timed_out=deadline.is_set())
        return "" if report.frames else "it encoded nothing and printed no error"

    def _reason(self, error: Exception, stderr_lines: list[str], *, timed_out: bool) -> str:
        """Choose the first lines of stderr: later ones only report the consequences."""
        if timed_out:
            return f"no response within {self._seconds:g} s"
        lines = [_LOG_PREFIX.sub("", line).strip() for line in stderr_lines]
        causes = list(dict.fromkeys(line for line in lines if line and not _GIVING_UP.search(line)))
        return ("; ".join(causes[:_MAX_REASON_LINES]) or str(error) or type(error).__name__)[:_MAX_REASON_CHARS]
