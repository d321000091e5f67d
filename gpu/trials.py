"""Trial encodes: an encoder is available on a device when it has encoded something there, and for no other reason."""

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
_SPEAKER = re.compile(r"^(?:\[[^\]]*\]\s*)+")
"""Which part of ffmpeg says it, with an address in memory."""
_GIVING_UP = re.compile(
    "Error while opening encoder|Could not open encoder|Error initializing output stream|Conversion failed"
    "|Task finished with error|Terminating thread|Nothing was written|Error while filtering|Error opening output"
)
"""What ffmpeg says of every failure."""
_LINES = 2
_LONGEST = 300


def encoders_for(device: Device) -> tuple[VideoEncoder, ...]:
    """Encoders that may exist on devices of this kind."""
    return tuple(encoder for encoder in ENCODERS.values() if encoder.family in _FAMILIES[device.kind])


def hardware_device(device: Device) -> HardwareDevice:
    """What a command needs to know of a device."""
    return HardwareDevice(family_index=device.index, render_node=device.render_node)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a trial encode said; `busy`: that the device has no session left, which says nothing of the encoder."""

    verdict: Verdict
    busy: bool = False


@dataclass
class _Deadline:
    """Stops a run when its time is up."""

    seconds: float
    began: float = field(default_factory=time.monotonic)

    def is_set(self) -> bool:
        return time.monotonic() - self.began > self.seconds


class Trials:
    """Does trial encodes, each for so many seconds at most. Of the main thread only, as it starts ffmpeg."""

    def __init__(self, ffmpeg: FfmpegRunner, *, seconds: float) -> None:
        self._ffmpeg = ffmpeg
        self._seconds = seconds
        self._version = ffmpeg.version()
        self._built_with = ffmpeg.encoders()

    def attempt(self, encoder: VideoEncoder, device: Device, *, on_poll: Callable[[], None] = lambda: None) -> Outcome:
        """Encode a few frames. Whatever goes wrong is the verdict's reason; `on_poll` is called while it runs."""
        complaints: list[str] = []
        if encoder.ffmpeg_name in self._built_with:
            reason = self._try(encoder, device, on_poll, complaints)
        else:
            reason = "this ffmpeg was built without it"
        verdict = Verdict(
            encoder=encoder.ffmpeg_name,
            available=not reason,
            reason=reason,
            driver=device.driver,
            ffmpeg_version=self._version,
        )
        fields = {"event": "gpu_trial", "device": device.uuid, "encoder": encoder.ffmpeg_name, "reason": reason}
        log.info("trial encode", extra=fields)
        busy = bool(reason) and gpu_failure("\n".join(complaints), encoder) is GpuFailure.BUSY
        return Outcome(verdict=verdict, busy=busy)

    def _try(self, encoder: VideoEncoder, device: Device, on_poll: Callable[[], None], complaints: list[str]) -> str:
        """Why it did not work; empty when it did."""
        deadline = _Deadline(self._seconds)
        try:
            report = self._ffmpeg.run(
                trial_command(encoder, hardware_device(device)),
                {"nothing": None},
                stop=deadline,
                on_poll=on_poll,
                on_stderr_line=complaints.append,
            )
        except Exception as error:  # noqa: BLE001 - drivers fail in every way, an ffmpeg that cannot be killed included
            return self._reason(error, complaints, timed_out=deadline.is_set())
        return "" if report.frames else "it encoded nothing and did not say why"

    def _reason(self, error: Exception, complaints: list[str], *, timed_out: bool) -> str:
        """What ffmpeg complained of first: what follows only says that it gives up."""
        if timed_out:
            return f"no answer within {self._seconds:g} s"
        lines = [_SPEAKER.sub("", line).strip() for line in complaints]
        said = list(dict.fromkeys(line for line in lines if line and not _GIVING_UP.search(line)))[:_LINES]
        return ("; ".join(said) or str(error) or type(error).__name__)[:_LONGEST]
