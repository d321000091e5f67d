"""Remuxing: video as it is, audio as AAC-LC, by PyAV in processes that serve many streams."""

from dataclasses import dataclass

from execution.remuxing.jailed.messages import BROKEN, NOT_MEDIA, NOTHING, UNSUPPORTED
from execution.remuxing.pool import AUDIO_BITRATE, RemuxPool
from execution.remuxing.process import RemuxError, RemuxStream
from relay.engines.engine import EngineError, EngineFacts, EngineRequest, Fallback
from transcoding.errors import EncoderFailed

NATIVE = "aac (PyAV)"
_CODES = {
    NOT_MEDIA: "source_not_media",
    NOTHING: "source_ended",
    UNSUPPORTED: "codec_unsupported",
    BROKEN: EncoderFailed.code,
}


class NativeRun:
    """A stream of a remux process."""

    encoder = NATIVE

    def __init__(self, stream: RemuxStream) -> None:
        self.input = stream.input
        self.output = stream.output
        self._stream = stream

    def facts(self) -> EngineFacts:
        found = self._stream.statistics
        return EngineFacts(
            drift_ms=-round(found.drift_ms),
            restarts=found.rebases,
            decode_errors=found.decode_errors,
            silence_ms=found.silence_ms,
        )

    def wait(self) -> None:
        try:
            self._stream.wait()
        except RemuxError as error:
            raise _engine_error(error) from error

    def end(self) -> None:
        self._stream.end()


@dataclass(frozen=True, slots=True)
class NativeAttempt:
    """The way by PyAV."""

    request: EngineRequest
    pool: RemuxPool
    encoder: str = NATIVE
    fallback: Fallback | None = None

    def start(self) -> NativeRun:
        bitrate = self.request.audio_bitrate or AUDIO_BITRATE
        try:
            return NativeRun(self.pool.start(self.request.container, audio_bitrate=bitrate))
        except RemuxError as error:
            raise _engine_error(error) from error


def _engine_error(error: RemuxError) -> EngineError:
    return EngineError(str(error), code=_CODES[error.code], source_at_fault=error.code != BROKEN)
