"""Interface of engines: a request becomes attempts, and an attempt that started is a run.

Bytes go through two pipes. The writer of `EngineRun.input` and the reader of `EngineRun.output` each close their end,
once, in whichever way the run ends. The engine closes everything else.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from relay.errors import RelayError
from transcoding.encoders import COMPATIBLE_CODEC
from transcoding.errors import TranscodeError
from transcoding.planning.live import LiveProfile


class EngineKind(StrEnum):
    """Work that a viewer requests: encode video and audio again, or the audio only."""

    TRANSCODE = "transcode"
    REMUX = "remux"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """All that an engine must know about a stream before its first byte."""

    kind: EngineKind
    container: str
    """Container of the source: "mpegts", "flv" or "mp4"."""
    profile: LiveProfile = LiveProfile.ORIGINAL
    codec: str = COMPATIBLE_CODEC
    """Codec of the video that a transcode encodes, one of `LIVE_CODECS`."""
    video_bitrate: int | None = None
    """Bits per second; None: those of the profile. A remux has none."""
    audio_bitrate: int | None = None
    """Bits per second; None: the usual ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """Findings of a run so far."""

    drift_ms: int | None = None
    """Audio behind video in the output, beyond what the source has; negative: ahead. None: not measured."""
    restarts: int = 0
    """Jumps of the source's clock after which the output's clock was set again."""
    decode_errors: int = 0
    silence_ms: int = 0
    """Silence inserted for missing audio."""


class EngineError(RelayError):
    """A run failed, or a way to serve a request is not there. `code` is one of those that viewers get.

    `source_at_fault`: no other way can help.
    """

    retryable = True

    def __init__(self, text: str, *, code: str, source_at_fault: bool = False, details: str = "") -> None:
        super().__init__(text, details=details)
        self.code = code
        self.source_at_fault = source_at_fault


class EngineRun(Protocol):
    """An engine at work."""

    input: int
    """Writing end of a pipe for the bytes of the source. Closing it ends the source; EPIPE: the run has ended."""
    output: int
    """Reading end of a pipe with MPEG-TS; its end is the end of the run. It may be set non-blocking."""
    encoder: str
    """Name of ffmpeg for the encoder, such as "libx264" and "h264_vaapi", "copy", or "aac" with the engine's name."""

    def facts(self) -> EngineFacts:
        """Return the findings so far. Cheap, from any thread."""
        ...

    def wait(self, seconds: float | None = None) -> bool:
        """Block until the run has ended by itself or by `end`, and has released what it held.

        False: it has not within `seconds`. Raises EngineError unless it ended with its source, or by `end`.
        """
        ...

    def end(self) -> None:
        """End the run at once, from any thread, again and again. Its processes and threads are gone on return."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Reason why a run is not what was preferred, for the response's header, the event and the metric."""

    code: str
    """Code of the failure that the preferred way had, such as `hardware_unavailable`."""
    text: str


class Attempt(Protocol):
    """One way to serve a request."""

    @property
    def encoder(self) -> str:
        """As that of the run."""
        ...

    @property
    def fallback(self) -> Fallback | None:
        """None: this is the way that was preferred."""
        ...

    def start(self) -> EngineRun:
        """Start the engine. Raises EngineError. Blocks for the time that starting a process takes."""
        ...


class Attempts(Protocol):
    """The ways to serve one request, in the order that the operator's policy allows."""

    def next(self, failure: TranscodeError | None = None) -> Attempt:
        """Return the first way, or after the `failure` of the last one the next one.

        Raises the error that the viewer gets when there is none.
        """
        ...
