"""Writes about live sessions: the relay's own, an owner's request to end one, and the janitor's.

The relay's are called in its threads. Each is one transaction, and does nothing to a session that has ended.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now
from django.urls import reverse

from api.wiring import absolute_url
from events.log import owner_event_append
from events.types import EventType
from outbound.urls import shown_url, url_host
from relay.engines.engine import EngineRequest, Fallback
from relay.metrics import METERS, SessionCounts
from relay.models import LiveSession, SessionState

SESSION_DAYS = 7
"""Days for which a session is shown after its end."""
NODE_LOST = "node_lost"
_LOST_AT_A_TIME = 100
_EXPIRED_AT_A_TIME = 10_000

_INTEGER, _BIG_INTEGER = 2**31 - 1, 2**63 - 1
_LARGEST = {
    "viewers": _INTEGER,
    "bytes_in": _BIG_INTEGER,
    "bytes_out": _BIG_INTEGER,
    "reconnects": _INTEGER,
    "restarts": _INTEGER,
    "dropped_viewers": _INTEGER,
    "silence_ms": _BIG_INTEGER,
    "decode_errors": _BIG_INTEGER,
}
"""Largest values of the columns."""
_DAY_MS = 86_400_000
_REPORT = """
UPDATE relay_livesession AS session
SET seen_at = clock_timestamp(), viewers = report.viewers, bytes_in = report.bytes_in, bytes_out = report.bytes_out,
    reconnects = report.reconnects, restarts = report.restarts, dropped_viewers = report.dropped_viewers,
    silence_ms = report.silence_ms, decode_errors = report.decode_errors, drift_ms = report.drift_ms
FROM jsonb_to_recordset(%s::jsonb) AS report (
    id uuid, viewers integer, bytes_in bigint, bytes_out bigint, reconnects integer, restarts integer,
    dropped_viewers integer, silence_ms bigint, decode_errors bigint, drift_ms integer
)
WHERE session.id = report.id AND session.ended_at IS NULL
"""

_EXPIRE = """
DELETE FROM relay_livesession WHERE id IN (
    SELECT id FROM relay_livesession WHERE ended_at < clock_timestamp() - %(days)s * interval '1 day'
    ORDER BY ended_at LIMIT %(batch)s
)
"""


def session_start(  # noqa: PLR0913 - one row's facts
    *,
    session_id: UUID,
    owner_id: UUID,
    key_id: UUID | None,
    node: str,
    request: EngineRequest,
    source_url: str,
) -> None:
    """Record a session that a viewer requested. `source_url`: empty if the viewer sends the source."""
    LiveSession.objects.create(
        id=session_id,
        owner_id=owner_id,
        key_id=key_id,
        node=node,
        engine=request.kind.value,
        profile=request.profile.value,
        source_url=shown_url(source_url),
        source_host=url_host(source_url),
    )
    METERS.start(session_id, engine=request.kind.value)


@transaction.atomic
def session_first_byte(*, session_id: UUID, encoder: str, fallback: Fallback | None) -> None:
    """Record that viewers get the first byte, of which encoder, and why it is not the preferred one, if so."""
    METERS.first_byte(session_id, fallback=fallback.code if fallback else "")
    starting = LiveSession.objects.filter(id=session_id, state=SessionState.STARTING)
    served = starting.update(
        state=SessionState.LIVE,
        encoder=encoder,
        fallback_code=fallback.code if fallback else "",
        fallback_detail=_text(fallback.text) if fallback else "",
        first_byte_at=Now(),
        seen_at=Now(),
    )
    if served:
        session = LiveSession.objects.get(id=session_id)
        data = {"encoder": encoder, "fallback": fallback_document(session)}
        _event_append(session, EventType.LIVE_SESSION_STARTED, data)


def sessions_report(reports: Mapping[UUID, SessionCounts]) -> None:
    """Record the counts of sessions that run, by their ids: one statement for all of a node. Call it every 2 s."""
    storable = {session_id: _storable(counts) for session_id, counts in reports.items()}
    for session_id, counts in storable.items():
        METERS.report(session_id, counts)
    _report(storable)


def session_end(*, session_id: UUID, state: SessionState, code: str, detail: str = "", counts: SessionCounts) -> None:
    """Record that a session ended, or failed, with its last counts. `detail` goes to its owner: no secrets."""
    storable = _storable(counts)
    METERS.report(session_id, storable)
    METERS.end(session_id, outcome=state.value, code=code)
    with transaction.atomic():
        _report({session_id: storable})
        _end(session_id, state, code, _text(detail))


def sessions_to_end(*, node: str) -> list[UUID]:
    """List the open sessions of a node that somebody requested to end."""
    requested = LiveSession.objects.filter(node=node, ended_at=None, end_requested_at__isnull=False)
    return list(requested.values_list("id", flat=True))


def session_request_end(*, session_id: UUID) -> bool:
    """Request the end of a session from its relay, which looks every 2 s. False: it has ended already."""
    still_open = LiveSession.objects.filter(id=session_id, ended_at=None)
    still_open.filter(end_requested_at=None).update(end_requested_at=Now())
    return still_open.exists()


def sessions_lose(*, silence_seconds: float) -> int:
    """Fail the sessions whose relay has not reported for so long: it is gone. Return their number."""
    silent = LiveSession.objects.filter(ended_at=None, seen_at__lt=Now() - timedelta(seconds=silence_seconds))
    ids = list(silent.values_list("id", flat=True)[:_LOST_AT_A_TIME])
    for session_id in ids:
        with transaction.atomic():
            _end(session_id, SessionState.FAILED, NODE_LOST, "The server that served it is gone.")
    return len(ids)


def sessions_expire() -> int:
    """Delete sessions that ended `SESSION_DAYS` ago. Return their number."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRE, {"days": SESSION_DAYS, "batch": _EXPIRED_AT_A_TIME})
        return int(cursor.rowcount)


def fallback_document(session: LiveSession) -> dict[str, str] | None:
    """Return why a session is not served in the preferred way. None: it is."""
    return {"code": session.fallback_code, "detail": session.fallback_detail} if session.fallback_code else None


def _storable(counts: SessionCounts) -> SessionCounts:
    """Return counts that the columns hold: one that is absurd must not keep the rest from being recorded."""
    held = {name: min(max(value, 0), _LARGEST[name]) for name, value in asdict(counts).items() if name in _LARGEST}
    drift = counts.drift_ms
    return SessionCounts(**held, drift_ms=None if drift is None else min(max(drift, -_DAY_MS), _DAY_MS))


def _text(text: str) -> str:
    """Return a text without what PostgreSQL does not take: a source may have put it into an error."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _report(reports: Mapping[UUID, SessionCounts]) -> None:
    rows = [{"id": str(session_id), **asdict(counts)} for session_id, counts in reports.items()]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(_REPORT, [json.dumps(rows)])


def _end(session_id: UUID, state: SessionState, code: str, detail: str) -> None:
    open_session = LiveSession.objects.filter(id=session_id, ended_at=None)
    if not open_session.update(state=state, end_code=code, end_detail=detail, ended_at=Now(), viewers=0):
        return
    session = LiveSession.objects.get(id=session_id)
    seconds = (session.ended_at - session.created_at).total_seconds() if session.ended_at else 0.0
    counts = {"seconds": seconds, "bytes_in": session.bytes_in, "bytes_out": session.bytes_out}
    if state is SessionState.FAILED:
        _event_append(session, EventType.LIVE_SESSION_FAILED, {**counts, "error": {"code": code, "detail": detail}})
    else:
        _event_append(session, EventType.LIVE_SESSION_ENDED, {**counts, "reason": code})


def _event_append(session: LiveSession, type_: EventType, data: Mapping[str, Any]) -> None:
    about = {
        "session_id": str(session.id),
        "engine": session.engine,
        "profile": session.profile,
        "node": session.node,
        "source_url": session.source_url,
        "links": {"session": absolute_url(None, reverse("live-session-detail", args=[session.id]))},
    }
    owner_event_append(owner_id=session.owner_id, type=type_, data={**about, **data})
