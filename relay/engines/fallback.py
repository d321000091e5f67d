"""The order of attempts: a GPU, the CPU, the audio alone, nothing at all, as far as the operator allows.

None of it is silent: an attempt names the reason for which it is not the one that was preferred.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from uuid import UUID

from configuration import Config
from execution.streaming import StreamRunner
from relay.engines.devices import Hardware, RelayDevices
from relay.engines.engine import Attempt, EngineError, EngineRequest, EngineRun, Fallback
from relay.engines.transcode import AudioOnly, Copying, CpuSlots, OnCpu, OnDevice, TranscodeRun, Tuning, Way
from relay.errors import StartTimeout
from transcoding.commands.live import PROBING, PROBING_AGAIN
from transcoding.commands.live_diagnosis import LiveFault
from transcoding.errors import TranscodeError
from transcoding.planning.live import LiveProfile

MAX_THREADS = 4
"""Threads of one encoder on the CPU: each makes a slice of its own of every frame, which costs quality."""
_MAX_DEVICES = 2
"""Devices that one request tries, before its viewer has waited long enough."""


class FallbackPolicy(StrEnum):
    """The last way that the operator allows. Each includes those before it."""

    NONE = "none"
    """GPUs only, where this node uses GPUs."""
    CPU = "cpu"
    AUDIO = "audio"
    """The video as it is, and the audio encoded."""
    PASSTHROUGH = "passthrough"
    """Video and audio as they are."""


class TranscodeAttempt:
    """One way of a request, tuned."""

    def __init__(self, way: Way, tuning: Tuning, fallback: Fallback | None) -> None:
        self.encoder = way.encoder
        self.fallback = fallback
        self._way = way
        self._tuning = tuning
        self._run: EngineRun | None = None

    def start(self) -> EngineRun:
        """Start the engine. Raises EngineError."""
        self._run = self._way.start(self._tuning)
        return self._run

    def waits_for_audio(self) -> bool:
        """Tell whether it was started, and nothing may come out because announced audio does not come."""
        return isinstance(self._run, TranscodeRun) and self._run.waits_for_audio()


class TranscodeAttempts:
    """The ways to serve one request."""

    def __init__(self, request: EngineRequest, ways: Iterator[Way], *, radio: Way, missing: EngineError | None) -> None:
        self._request = request
        self._ways = ways
        self._radio = radio
        self._way: Way | None = None
        self._tuning = Tuning()
        self._last: TranscodeAttempt | None = None
        self._failures: list[TranscodeError] = [missing] if missing else []

    def next(self, failure: TranscodeError | None = None) -> Attempt:
        """Return the first way, or after the `failure` of the last one the next one.

        Raises the error that the viewer gets when there is none.
        """
        if failure is not None and self._tune(failure):
            return self._attempt()
        if failure is not None:
            self._failures.append(failure)
        self._way = self._following(failure)
        if self._way is None:
            raise self._failures[-1]
        return self._attempt()

    def _tune(self, failure: TranscodeError) -> bool:
        """Change the tuning of the same way, where that may help."""
        tuning = self._tuning
        if failure.code == LiveFault.VIDEO_MISSING and tuning.probing == PROBING:
            self._tuning = replace(tuning, probing=PROBING_AGAIN)
        elif failure.code == StartTimeout.code and tuning.audio and self._last and self._last.waits_for_audio():
            self._failures.append(
                EngineError("the audio that the source announces does not come", code="audio_missing")
            )
            self._tuning = replace(tuning, audio=False)
        elif failure.code == LiveFault.LEVEL_TOO_LOW and tuning.level is not None:
            self._tuning = replace(tuning, level=None)
        else:
            return False
        return True

    def _following(self, failure: TranscodeError | None) -> Way | None:
        if failure is None or not getattr(failure, "source_at_fault", False):
            return next(self._ways, None)
        if failure.code == LiveFault.VIDEO_MISSING:
            radio = self._way is not self._radio and self._request.profile is LiveProfile.ORIGINAL
            return self._radio if radio else None
        if failure.code == LiveFault.CODEC_UNSUPPORTED and self._way and not self._way.copies:
            return next((way for way in self._ways if way.copies), None)
        return None

    def _attempt(self) -> TranscodeAttempt:
        if self._way is None:
            raise RuntimeError("no way was chosen yet")
        self._last = TranscodeAttempt(self._way, self._tuning, self._fallback())
        return self._last

    def _fallback(self) -> Fallback | None:
        if not self._failures:
            return None
        texts = dict.fromkeys(str(failure) for failure in self._failures)
        return Fallback(code=self._failures[-1].code, text="; ".join(texts))


class TranscodeEngine:
    """Serves the transcodes of one relay process. `devices` None: this node uses no GPUs, and the CPU is preferred.

    It also is on a node that turns out to have no GPU at all, unless `requires_gpu`, or the policy allows nothing else.
    """

    def __init__(  # noqa: PLR0913 - all of an engine
        self,
        runner: StreamRunner,
        *,
        policy: FallbackPolicy,
        devices: RelayDevices | None,
        requires_gpu: bool = False,
        cpu_slots: int | None = None,
        threads: int = 0,
    ) -> None:
        cores = len(os.sched_getaffinity(0))
        self._runner = runner
        self._policy = policy
        self._devices = devices
        self._requires_gpu = requires_gpu or policy is FallbackPolicy.NONE
        self._slots = CpuSlots(cores if cpu_slots is None else cpu_slots)
        self._threads = threads or min(cores, MAX_THREADS)

    def attempts(self, request: EngineRequest, *, owner_id: UUID) -> TranscodeAttempts:
        """Return the ways to serve a request of this owner. Reads the database where this node uses GPUs."""
        found = list(self._on_devices(request, owner_id))
        missing = None
        if self._devices is not None and not found and (self._requires_gpu or self.state() is not Hardware.NONE):
            missing = EngineError("no GPU of this node can encode the stream now", code=LiveFault.HARDWARE_UNAVAILABLE)
        ways = iter([*found, *self._others(request, owner_id)])
        return TranscodeAttempts(request, ways, radio=AudioOnly(self._runner, request), missing=missing)

    def keep(self) -> None:
        """Have the node's devices reported. Call it with each heartbeat of the node, from any thread."""
        if self._devices:
            self._devices.report()

    def close(self) -> None:
        """Stop reporting devices. Runs are ended by whoever started them."""
        if self._devices:
            self._devices.close()

    def hardware(self) -> frozenset[str]:
        """Return the names of the hardware encoders that work here now, such as "h264_vaapi"."""
        return self._devices.encoders() if self._devices else frozenset()

    def state(self) -> Hardware:
        """Tell whether this node has GPUs, and whether any can encode now. Reads the database."""
        return self._devices.state() if self._devices else Hardware.OFF

    def _on_devices(self, request: EngineRequest, owner_id: UUID) -> Iterator[Way]:
        offered = self._devices.offered(request.codec) if self._devices else iter(())
        for each, _ in zip(offered, range(_MAX_DEVICES), strict=False):
            if self._devices:
                yield OnDevice(self._runner, request, self._devices, each, owner_id=owner_id)

    def _others(self, request: EngineRequest, owner_id: UUID) -> Iterator[Way]:
        policy = list(FallbackPolicy).index(self._policy)
        if policy >= list(FallbackPolicy).index(FallbackPolicy.CPU) or self._devices is None:
            yield OnCpu(self._runner, request, self._slots, owner_id=owner_id, threads=self._threads)
        if policy >= list(FallbackPolicy).index(FallbackPolicy.AUDIO):
            yield Copying(self._runner, request, encode_audio=True)
        if policy >= list(FallbackPolicy).index(FallbackPolicy.PASSTHROUGH):
            yield Copying(self._runner, request, encode_audio=False)


def transcode_engine(config: Config, *, node: str) -> TranscodeEngine:
    """Build the engine of this relay process."""
    on_gpu = config.gpu.enable_gpu and config.gpu.gpu_policy != "never"
    return TranscodeEngine(
        StreamRunner(config.execution, config.limits),
        policy=FallbackPolicy(config.live.relay_fallback),
        devices=RelayDevices(config, node=node) if on_gpu else None,
        requires_gpu=config.gpu.gpu_policy == "require",
        threads=config.execution.ffmpeg_threads,
    )
