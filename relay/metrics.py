"""Metrics of live sessions, which the process of the relay counts itself.

A session reports counts since its start. `SessionMeters` adds what is new to the counters, and shows those that run.
"""

import threading
import time
from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from observability.metrics import PREFIX, Counter, Histogram
from relay.engines.engine import EngineKind

_FIRST_BYTE_SECONDS = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30)
_LENGTH_SECONDS = (1, 10, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400)
_THOUSAND = 1000

STARTED = Counter("live_sessions_started_total", "Live sessions that viewers requested.", ("engine",))
ENDED = Counter("live_sessions_ended_total", "Live sessions that ended or failed.", ("engine", "outcome", "code"))
FIRST_BYTE_SECONDS = Histogram(
    "live_first_byte_seconds", "From the request to the first byte for viewers.", ("engine",), _FIRST_BYTE_SECONDS
)
LENGTH_SECONDS = Histogram(
    "live_session_duration_seconds", "From the request to the end of a session.", ("engine",), _LENGTH_SECONDS
)
BYTES = Counter("live_bytes_total", "Bytes from sources, and to viewers.", ("engine", "direction"))
RECONNECTS = Counter("live_reconnects_total", "Connections to sources that were opened again.", ("engine",))
RESTARTS = Counter(
    "live_clock_restarts_total", "Jumps of a source's clock after which the output's was set again.", ("engine",)
)
DROPPED_VIEWERS = Counter("live_viewers_dropped_total", "Viewers that read too slowly and were dropped.", ("engine",))
FALLBACKS = Counter("live_fallbacks_total", "Sessions not served in the preferred way.", ("engine", "reason"))
SILENCE_SECONDS = Counter("live_silence_seconds_total", "Silence inserted for missing audio.", ("engine",))
DECODE_ERRORS = Counter("live_decode_errors_total", "Packets of sources that no decoder could use.", ("engine",))


def expect_series() -> None:
    """Have the series of both engines exist from the start. Call it in the process of a relay: others count nothing."""
    for metric in (STARTED, FIRST_BYTE_SECONDS, LENGTH_SECONDS, RECONNECTS, RESTARTS, DROPPED_VIEWERS, SILENCE_SECONDS,
                   DECODE_ERRORS):  # fmt: skip
        metric.expect(engine=EngineKind)
    BYTES.expect(engine=EngineKind, direction=("in", "out"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounts:
    """Counts of a session since its start, but for its viewers and drift of this moment."""

    viewers: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    """Bytes to all viewers together."""
    reconnects: int = 0
    restarts: int = 0
    dropped_viewers: int = 0
    silence_ms: int = 0
    decode_errors: int = 0
    drift_ms: int | None = None
    """Audio behind video, beyond what the source has; negative: ahead. None: not measured."""


@dataclass(slots=True)
class _Meter:
    engine: str
    started: float = field(default_factory=time.monotonic)
    counts: SessionCounts = field(default_factory=SessionCounts)


class SessionMeters(Collector):
    """The sessions of this process that run: their last counts, as gauges too. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._meters: dict[UUID, _Meter] = {}

    def start(self, session_id: UUID, *, engine: str) -> None:
        """Count a session that a viewer requested."""
        with self._lock:
            self._meters[session_id] = _Meter(engine)
        STARTED.add(engine=engine)

    def first_byte(self, session_id: UUID, *, fallback: str) -> None:
        """Count the first byte of a session. `fallback`: why it is not what was preferred; empty: it is."""
        with self._lock:
            meter = self._meters.get(session_id)
        if meter is None:
            return
        FIRST_BYTE_SECONDS.observe(time.monotonic() - meter.started, engine=meter.engine)
        if fallback:
            FALLBACKS.add(engine=meter.engine, reason=fallback)

    def report(self, session_id: UUID, counts: SessionCounts) -> None:
        """Add what is new since the last report."""
        with self._lock:
            meter = self._meters.get(session_id)
            if meter is None:
                return
            before, meter.counts = meter.counts, counts
        _add(before, counts, engine=meter.engine)

    def end(self, session_id: UUID, *, outcome: str, code: str) -> None:
        """Count the end of a session. A second call does nothing."""
        with self._lock:
            meter = self._meters.pop(session_id, None)
        if meter is None:
            return
        ENDED.add(engine=meter.engine, outcome=outcome, code=code)
        LENGTH_SECONDS.observe(time.monotonic() - meter.started, engine=meter.engine)

    def describe(self) -> list[Metric]:
        """Describe nothing in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of the sessions that run."""
        with self._lock:
            meters = [(meter.engine, meter.counts) for meter in self._meters.values()]
        sessions, viewers = Tally[str](), Tally[str]()
        drift = dict.fromkeys(map(str, EngineKind), 0)
        for engine, counts in meters:
            sessions[engine] += 1
            viewers[engine] += counts.viewers
            drift[engine] = max(drift[engine], abs(counts.drift_ms or 0))
        yield _gauge("live_sessions_active", "Live sessions that run.", sessions)
        yield _gauge("live_viewers", "Viewers of live sessions.", viewers)
        yield _gauge(
            "live_drift_seconds",
            "The largest distance of audio from video in a session that runs, beyond its source's.",
            {engine: drifted / _THOUSAND for engine, drifted in drift.items()},
        )


METERS = SessionMeters()
"""Those of this process."""


def _add(before: SessionCounts, now: SessionCounts, *, engine: str) -> None:
    for counter, grown in (
        (RECONNECTS, now.reconnects - before.reconnects),
        (RESTARTS, now.restarts - before.restarts),
        (DROPPED_VIEWERS, now.dropped_viewers - before.dropped_viewers),
        (SILENCE_SECONDS, (now.silence_ms - before.silence_ms) / _THOUSAND),
        (DECODE_ERRORS, now.decode_errors - before.decode_errors),
    ):
        counter.add(max(grown, 0), engine=engine)
    BYTES.add(max(now.bytes_in - before.bytes_in, 0), engine=engine, direction="in")
    BYTES.add(max(now.bytes_out - before.bytes_out, 0), engine=engine, direction="out")


def _gauge(name: str, text: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(PREFIX + name, text, labels=("engine",))
    for engine in map(str, EngineKind):
        gauge.add_metric([engine], values.get(engine, 0))
    return gauge
