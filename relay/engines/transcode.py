"""Runs of ffmpeg on live streams, and the ways to start one: on a device, on the CPU, or copying the video."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from django.db import connection

from execution.streaming import StreamEnd, StreamProcess, StreamRunner
from relay.engines.devices import DeviceSession, OfferedDevice, RelayDevices
from relay.engines.engine import EngineError, EngineFacts, EngineRequest, EngineRun
from transcoding.commands.command import FfmpegCommand
from transcoding.commands.diagnosis import GpuFailure
from transcoding.commands.live import LEVEL, PROBING, live_command, live_copy_command, live_radio_command
from transcoding.commands.live_diagnosis import LiveFault, audio_is_unknown, level_is_too_low, live_failure
from transcoding.encoders import AAC, CodecLevel, HardwareDevice, VideoEncoder, cpu_encoder
from transcoding.errors import DeviceLost

COPY = "copy"
"""Name of the encoder of a run that encodes no video."""


class TranscodeRun:
    """An ffmpeg that encodes or copies a stream."""

    def __init__(self, process: StreamProcess, encoder: VideoEncoder | None, *, name: str) -> None:
        self.input = process.input
        self.output = process.output
        self.encoder = name
        self._process = process
        self._encoder = encoder

    def facts(self) -> EngineFacts:
        """Return what ffmpeg said so far."""
        notes = self._process.notes
        return EngineFacts(restarts=notes.jumps, decode_errors=notes.errors, silence_ms=notes.silence_ms)

    def waits_for_audio(self) -> bool:
        """Tell whether nothing may come out because a track of audio is announced that does not come."""
        return audio_is_unknown(self._process.stderr())

    def wait(self, seconds: float | None = None) -> bool:
        """Block until ffmpeg has ended, with its slot; False: it has not within `seconds`.

        Raises EngineError unless it ended with its source or `end`.
        """
        ended = self._process.wait(seconds)
        if ended is not None and (error := error_of(ended, self._encoder)):
            raise error
        return ended is not None

    def end(self) -> None:
        """Kill ffmpeg, and release what it held."""
        self._process.end()


def error_of(ended: StreamEnd, encoder: VideoEncoder | None) -> EngineError | None:
    """Return the error of a run that failed; None: it ended with its source, or was ended."""
    if ended.stopped:
        return None
    if ended.exceeded:
        return EngineError(str(ended.exceeded), code=ended.exceeded.code, source_at_fault=True)
    failure = live_failure(ended.stderr, encoder)
    if ended.code == 0 and failure.fault is not LiveFault.SOURCE_ENDED:
        return None
    return EngineError(
        failure.text, code=failure.fault, source_at_fault=failure.fault.of_source, details=failure.details
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Differences between attempts of one way: the probing, the level of the encoder, and whether audio is taken."""

    probing: int = PROBING
    audio: bool = True
    level: CodecLevel | None = LEVEL


class Way(Protocol):
    """One way to serve a request."""

    encoder: str
    copies: bool
    """It needs no decoder for the video."""

    def start(self, tuning: Tuning) -> EngineRun:
        """Start the engine. Raises EngineError."""
        ...


class CpuSlots:
    """Limit of the transcodes on the CPU of this node.

    An owner who is alone may have all slots, and half of them while others use the node, too. Who has none gets one
    more than there are, where somebody has more than half: nobody keeps all others out.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.share = (number + 1) // 2
        """Slots that an owner may have beside others."""
        self._taken: Counter[UUID] = Counter()
        self._lock = threading.Lock()

    def take(self, owner_id: UUID) -> None:
        """Take a slot for an owner. Raises EngineError `relay_full` or `too_many_sessions`."""
        with self._lock:
            own, total = self._taken[owner_id], self._taken.total()
            others = total - own
            if own >= self.share and others:
                raise EngineError(
                    f"one owner may have {self.share} transcodes on the CPU of this node beside others",
                    code="too_many_sessions",
                )
            reserve = not own and max(self._taken.values(), default=0) > self.share
            if total >= self.number + reserve:
                raise EngineError(f"all {self.number} transcodes on the CPU of this node are taken", code="relay_full")
            self._taken[owner_id] += 1

    def release(self, owner_id: UUID) -> None:
        """Release a slot."""
        with self._lock:
            self._taken -= Counter({owner_id: 1})


class OnCpu:
    """Encoding on the CPU, as far as it has slots."""

    copies = False

    def __init__(
        self, runner: StreamRunner, request: EngineRequest, slots: CpuSlots, *, owner_id: UUID, threads: int
    ) -> None:
        self._runner = runner
        self._request = request
        self._slots = slots
        self._owner_id = owner_id
        self._threads = threads
        self._encoder = cpu_encoder(request.codec)
        self.encoder = self._encoder.ffmpeg_name

    def start(self, tuning: Tuning) -> TranscodeRun:
        """Take a slot and start. Raises EngineError `relay_full` or `too_many_sessions`."""
        self._slots.take(self._owner_id)

        def release() -> None:
            self._slots.release(self._owner_id)

        command = _encoding(self._request, self._encoder, None, tuning, self._threads)
        process = _started(self._runner, command, on_end=lambda _: release(), or_else=release)
        return TranscodeRun(process, self._encoder, name=self.encoder)


class OnDevice:
    """Encoding on a device, in a session of its own."""

    copies = False

    def __init__(
        self,
        runner: StreamRunner,
        request: EngineRequest,
        devices: RelayDevices,
        offered: OfferedDevice,
        *,
        owner_id: UUID,
    ) -> None:
        self._runner = runner
        self._request = request
        self._devices = devices
        self._offered = offered
        self._owner_id = owner_id
        self.encoder = offered.encoder.ffmpeg_name

    def start(self, tuning: Tuning) -> TranscodeRun:
        """Take a session and start. Raises EngineError `hardware_unavailable`."""
        try:
            session = self._devices.take(self._offered, owner_id=self._owner_id)
        except DeviceLost as error:
            raise EngineError(str(error), code=LiveFault.HARDWARE_UNAVAILABLE) from error
        if session is None:
            raise EngineError(
                "all sessions of the GPU are taken, or as many as one owner may have",
                code=LiveFault.HARDWARE_UNAVAILABLE,
            )
        encoder = self._offered.encoder
        process = _started(
            self._runner,
            _encoding(self._request, encoder, session.device, tuning),
            on_end=lambda ended: self._release(session, ended),
            or_else=lambda: self._devices.release(session, failure=None, worked=False),
        )
        session.on_lost = lambda: _end(process)
        return TranscodeRun(process, encoder, name=self.encoder)

    def _release(self, session: DeviceSession, ended: StreamEnd) -> None:
        """Release the session, in the thread that watched the run."""
        failed = bool(ended.code) and not ended.stopped
        failure: GpuFailure | None = live_failure(ended.stderr, self._offered.encoder).gpu if failed else None
        try:
            self._devices.release(session, failure=failure, worked=not failed)
        finally:
            connection.close()


class Copying:
    """Copying the video, as where nothing can encode it: the audio is encoded, or copied, too."""

    copies = True

    def __init__(self, runner: StreamRunner, request: EngineRequest, *, encode_audio: bool) -> None:
        self._runner = runner
        self._request = request
        self._encode_audio = encode_audio
        self.encoder = COPY

    def start(self, tuning: Tuning) -> TranscodeRun:
        """Start ffmpeg."""
        command = live_copy_command(
            self._request.container,
            encode_audio=self._encode_audio,
            audio_bitrate=self._request.audio_bitrate,
            audio=tuning.audio,
            probing=tuning.probing,
        )
        return TranscodeRun(_started(self._runner, command), None, name=self.encoder)


class AudioOnly:
    """Encoding the audio of a source that has nothing else."""

    copies = True

    def __init__(self, runner: StreamRunner, request: EngineRequest) -> None:
        self._runner = runner
        self._request = request
        self.encoder = AAC.ffmpeg_name

    def start(self, tuning: Tuning) -> TranscodeRun:  # noqa: ARG002 - nothing differs
        """Start ffmpeg."""
        command = live_radio_command(self._request.container, audio_bitrate=self._request.audio_bitrate)
        return TranscodeRun(_started(self._runner, command), None, name=self.encoder)


def _encoding(
    request: EngineRequest, encoder: VideoEncoder, device: HardwareDevice | None, tuning: Tuning, threads: int = 0
) -> FfmpegCommand:
    return live_command(
        request.container,
        request.profile,
        encoder=encoder,
        device=device,
        video_bitrate=request.video_bitrate,
        audio_bitrate=request.audio_bitrate,
        audio=tuning.audio,
        probing=tuning.probing,
        level=tuning.level,
        threads=threads,
    )


def _started(
    runner: StreamRunner,
    command: FfmpegCommand,
    *,
    on_end: Callable[[StreamEnd], None] = lambda _: None,
    or_else: Callable[[], None] = lambda: None,
) -> StreamProcess:
    """Start a command; `or_else` is called when that fails. Raises EngineError."""
    try:
        return runner.start(command, refuses=level_is_too_low, on_end=on_end)
    except Exception as error:
        or_else()
        raise EngineError("ffmpeg cannot be started on the relay", code=LiveFault.ENCODER_FAILED) from error


def _end(process: StreamProcess) -> None:
    process.end()
