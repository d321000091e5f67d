"""Remuxing: video as it is, audio as AAC-LC. By PyAV in processes that serve many streams, or by an ffmpeg of its own.

Which of them, the operator says. A viewer gets bytes of one of them only: where the first one fails, the other one is
tried before the first byte.
"""

from collections.abc import Iterator
from enum import StrEnum
from uuid import UUID

from configuration import Config
from execution.remuxing.jailed.messages import BROKEN, NOT_MEDIA, NOTHING, UNSUPPORTED
from execution.remuxing.pool import RemuxPool
from execution.remuxing.process import FULL, RemuxError, RemuxStream
from execution.streaming import StreamRunner
from relay.engines.engine import EngineError, EngineFacts, EngineRequest
from relay.engines.fallback import TranscodeAttempts
from relay.engines.transcode import AudioOnly, Copying, Tuning, Way

NATIVE = "aac (PyAV)"
_CODES = {
    NOT_MEDIA: "source_not_media",
    NOTHING: "source_ended",
    UNSUPPORTED: "codec_unsupported",
    BROKEN: "encoder_failed",
    FULL: "relay_full",
}
_MAX_DRIFT_MS = 24 * 60 * 60 * 1000
_MAX_INT, _MAX_BIGINT = (1 << 31) - 1, (1 << 63) - 1
"""Largest numbers that sessions are recorded with."""
_SOURCE_AT_FAULT = frozenset({NOT_MEDIA, NOTHING, UNSUPPORTED})


class RemuxMode(StrEnum):
    """The ways that the operator allows."""

    AUTO = "auto"
    """PyAV, and ffmpeg where that fails."""
    NATIVE = "native"
    FFMPEG = "ffmpeg"


class NativeRun:
    """A stream of a remux process."""

    encoder = NATIVE

    def __init__(self, stream: RemuxStream) -> None:
        self.input = stream.input
        self.output = stream.output
        self._stream = stream

    def facts(self) -> EngineFacts:
        """Return what the process reported last, within the last second.

        It says what it likes, and all sessions of a node are recorded together: nothing leaves the range of its column.
        """
        found = self._stream.statistics
        return EngineFacts(
            drift_ms=-round(min(max(found.drift_ms, -_MAX_DRIFT_MS), _MAX_DRIFT_MS)),
            restarts=min(found.rebases, _MAX_INT),
            decode_errors=min(found.decode_errors, _MAX_BIGINT),
            silence_ms=min(found.silence_ms, _MAX_BIGINT),
        )

    def wait(self, seconds: float | None = None) -> bool:
        """Block until the process is done with the stream; False: not within `seconds`. Raises EngineError."""
        try:
            return self._stream.wait(seconds)
        except RemuxError as error:
            raise _engine_error(error) from error

    def end(self) -> None:
        """Have the process end the stream."""
        self._stream.end()


class Native:
    """Remuxing by PyAV."""

    encoder = NATIVE
    copies = True

    def __init__(self, pool: RemuxPool, request: EngineRequest, *, owner_id: UUID) -> None:
        self._pool = pool
        self._request = request
        self._owner_id = owner_id

    def start(self, tuning: Tuning) -> NativeRun:  # noqa: ARG002 - it looks again by itself
        """Start the stream, and a process where none has room. Raises EngineError."""
        request = self._request
        try:
            stream = self._pool.start(request.container, owner=self._owner_id, audio_bitrate=request.audio_bitrate)
        except RemuxError as error:
            raise _engine_error(error) from error
        return NativeRun(stream)


class RemuxEngine:
    """Serves the remuxes of one relay process, until `close`."""

    def __init__(self, pool: RemuxPool, runner: StreamRunner, *, mode: RemuxMode) -> None:
        self.pool = pool
        self._runner = runner
        self._mode = mode

    def attempts(self, request: EngineRequest, *, owner_id: UUID) -> TranscodeAttempts:
        """Return the ways to serve a request of this owner."""
        return TranscodeAttempts(
            request, iter([*self._ways(request, owner_id)]), radio=AudioOnly(self._runner, request), missing=None
        )

    def close(self) -> None:
        """End the remux processes."""
        self.pool.close()

    def _ways(self, request: EngineRequest, owner_id: UUID) -> Iterator[Way]:
        if self._mode is not RemuxMode.FFMPEG:
            yield Native(self.pool, request, owner_id=owner_id)
        if self._mode is not RemuxMode.NATIVE:
            yield Copying(self._runner, request, encode_audio=True)


def remux_engine(config: Config) -> RemuxEngine:
    """Build the engine of this relay process."""
    return RemuxEngine(
        RemuxPool(config.execution),
        StreamRunner(config.execution, config.limits),
        mode=RemuxMode(config.live.relay_remux),
    )


def _engine_error(error: RemuxError) -> EngineError:
    return EngineError(str(error), code=_CODES[error.code], source_at_fault=error.code in _SOURCE_AT_FAULT)
