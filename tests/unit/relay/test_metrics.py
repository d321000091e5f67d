"""Counts of live sessions, from what each reports of itself."""

from __future__ import annotations

from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from observability.metrics import exposition
from relay.metrics import SessionCounts, SessionMeters


def values(meters: SessionMeters) -> dict[tuple[str, ...], float]:
    """All values of live sessions, by the name and the labels."""
    families = text_string_to_metric_families(exposition(meters).decode())
    return {
        (sample.name.removeprefix("vodmill_live_"), *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("vodmill_live_") and "le" not in sample.labels
    }


def test_what_is_new_since_the_last_report_is_counted() -> None:
    meters = SessionMeters()
    before = values(meters)

    def grown() -> dict[tuple[str, ...], float]:
        now = values(meters)
        return {key: now[key] - before.get(key, 0) for key in now if now[key] != before.get(key, 0)}

    one, other = uuid4(), uuid4()
    for session in (one, other):
        meters.start(session, engine="transcode")
    meters.first_byte(one, fallback="hardware_unavailable")
    meters.report(one, SessionCounts(viewers=2, bytes_in=10, bytes_out=20, reconnects=1, restarts=1, drift_ms=-7))
    meters.report(other, SessionCounts(viewers=1, drift_ms=5))
    meters.report(
        one,
        SessionCounts(
            viewers=3, bytes_in=15, bytes_out=45, reconnects=1, restarts=3, dropped_viewers=1, silence_ms=500,
            decode_errors=4, drift_ms=-9,
        ),
    )  # fmt: skip
    counted = grown()
    assert counted.pop(("first_byte_seconds_sum", "transcode")) > 0
    assert counted == {
        ("sessions_started_total", "transcode"): 2,
        ("first_byte_seconds_count", "transcode"): 1,
        ("fallbacks_total", "transcode", "hardware_unavailable"): 1,
        ("bytes_total", "in", "transcode"): 15,
        ("bytes_total", "out", "transcode"): 45,
        ("reconnects_total", "transcode"): 1,
        ("clock_restarts_total", "transcode"): 3,
        ("viewers_dropped_total", "transcode"): 1,
        ("silence_seconds_total", "transcode"): 0.5,
        ("decode_errors_total", "transcode"): 4,
        ("sessions_active", "transcode"): 2,
        ("viewers", "transcode"): 4,
        ("drift_seconds", "transcode"): pytest.approx(0.009),
    }
    meters.end(one, outcome="failed", code="source_silent")
    meters.end(one, outcome="ended", code="viewers_gone")
    meters.end(other, outcome="ended", code="viewers_gone")
    counted = grown()
    assert counted[("sessions_ended_total", "source_silent", "transcode", "failed")] == 1
    assert counted[("sessions_ended_total", "viewers_gone", "transcode", "ended")] == 1
    assert counted[("session_duration_seconds_count", "transcode")] == 2
    assert ("sessions_active", "transcode") not in counted


def test_sessions_that_are_not_known_are_not_counted() -> None:
    meters = SessionMeters()
    before = values(meters)
    meters.first_byte(uuid4(), fallback="")
    meters.report(uuid4(), SessionCounts(bytes_in=5))
    meters.end(uuid4(), outcome="ended", code="viewers_gone")
    assert values(meters) == before
