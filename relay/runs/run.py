"""One run: a source, converted once for all its viewers. Everything here happens in the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from relay.engines.engine import Attempt, EngineKind, EngineRequest, EngineRun, Fallback
from relay.metrics import SessionCounts
from relay.runs.conversion import Conversion
from relay.runs.joining import Piece
from relay.runs.viewers import TOO_SLOW, Outcome, Viewer
from transcoding.encoders import COMPATIBLE_CODEC
from transcoding.planning.live import LiveProfile

VIEWERS_GONE, SOURCE_ENDED, REQUESTED, DRAINING = "viewers_gone", "source_ended", "requested", "draining"
"""Codes of regular ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRequest:
    """Stream that a viewer requests. Viewers of an owner who request the same share a run."""

    owner_id: UUID
    kind: EngineKind
    source_url: str
    """Empty: the viewer sends the source."""
    profile: LiveProfile = LiveProfile.ORIGINAL
    codec: str = COMPATIBLE_CODEC
    video_bitrate: int | None = None
    audio_bitrate: int | None = None

    def engine_request(self, container: str) -> EngineRequest:
        """Describe it to an engine, once the container of the source is known."""
        return EngineRequest(
            kind=self.kind,
            container=container,
            profile=self.profile,
            codec=self.codec,
            video_bitrate=self.video_bitrate,
            audio_bitrate=self.audio_bitrate,
        )


class Run:
    """A run and its viewers. `on_idle` is called when the last viewer has left."""

    def __init__(
        self, request: LiveRequest, *, key_id: UUID | None, host: str, on_idle: Callable[["Run"], None]
    ) -> None:
        self.id = uuid4()
        self.request = request
        self.key_id = key_id
        self.host = host
        self.encoder = ""
        self.fallback: Fallback | None = None
        self.outcome: Outcome | None = None
        self.conversion: Conversion | None = None
        self.over = asyncio.Event()
        """Set when nothing of it is left: no thread, no process, no connection."""
        self._on_idle = on_idle
        self._viewers: set[Viewer] = set()
        self._held = False
        self._bytes_out = 0
        self.dropped_viewers = 0

    @property
    def is_live(self) -> bool:
        """Tell whether viewers get something."""
        return bool(self.encoder)

    @property
    def viewers(self) -> int:
        """Number of its viewers."""
        return len(self._viewers)

    def add(self) -> Viewer:
        """Add a viewer. It reads by `read`, and leaves by `leave`."""
        viewer = Viewer()
        self._viewers.add(viewer)
        if self.outcome:
            viewer.close(self.outcome)
        self._relax()
        return viewer

    async def read(self, viewer: Viewer) -> bytes | None:
        """Wait for the next bytes of a viewer. None: there are no more; its outcome says why."""
        data = await viewer.next()
        self._relax()
        return data

    def sent(self, size: int) -> None:
        """Count bytes that a viewer has got."""
        self._bytes_out += size

    def drop(self, viewer: Viewer) -> None:
        """Drop a viewer that does not read."""
        if viewer.outcome is None:
            self.dropped_viewers += 1
        viewer.close(Outcome(TOO_SLOW), at_once=True)
        self.leave(viewer)

    def leave(self, viewer: Viewer) -> None:
        """Remove a viewer. A second call does nothing."""
        if viewer not in self._viewers:
            return
        self._viewers.remove(viewer)
        self._relax()
        if not self._viewers and self.outcome is None:
            self._on_idle(self)

    def counts(self) -> SessionCounts:
        """Return the counts so far."""
        conversion = self.conversion
        if conversion is None:
            return SessionCounts(viewers=self.viewers)
        facts = conversion.facts()
        return SessionCounts(
            viewers=self.viewers,
            bytes_in=conversion.bytes_in,
            bytes_out=self._bytes_out,
            reconnects=conversion.reconnects,
            restarts=facts.restarts,
            dropped_viewers=self.dropped_viewers,
            silence_ms=facts.silence_ms,
            decode_errors=facts.decode_errors,
            drift_ms=facts.drift_ms,
        )

    def stop(self, outcome: Outcome) -> None:
        """Have it end for this reason. Its viewers get what waits for them, and no more."""
        self._close(outcome)
        if self.conversion:
            self.conversion.stop()

    def serves(self, attempt: Attempt, engine: EngineRun) -> None:
        """Record which engine serves the viewers."""
        self.encoder = engine.encoder
        self.fallback = attempt.fallback

    def deliver(self, pieces: Sequence[Piece]) -> None:
        """Give each viewer its part. One that is far behind others is dropped; if all are, the engine waits."""
        if self.conversion:
            self.conversion.delivered(pieces)
        for piece in pieces:
            for viewer in tuple(self._viewers):
                if not viewer.offer(piece):
                    self.drop(viewer)
        if self.conversion and self._viewers and all(viewer.has_enough for viewer in self._viewers):
            self._held = True
            self.conversion.hold()

    def ended(self, error: Exception | None) -> None:
        """Record that nothing of it is left. A second call does nothing."""
        code = getattr(error, "code", "internal_error") if error else SOURCE_ENDED
        self._close(Outcome(code, error))
        self.over.set()

    def _close(self, outcome: Outcome) -> None:
        self.outcome = self.outcome or outcome
        for viewer in self._viewers:
            viewer.close(self.outcome)

    def _relax(self) -> None:
        """Have the engine go on once a viewer needs more."""
        waits = self._viewers and all(viewer.has_enough for viewer in self._viewers)
        if self._held and self.conversion and not waits:
            self._held = False
            self.conversion.resume()
