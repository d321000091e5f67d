"""Writing and reading the log of events, in an order in which nothing can appear behind a reader's back.

The order is (transaction, id). A reader takes what lies before the oldest transaction that is still open: everything
that may yet be committed comes after that.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from django.db import connection

CHANNEL = "vodmill_events"
"""The NOTIFY channel that says, at commit, that the log has grown."""

COMMIT_HORIZON = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
"""SQL: the first transaction that may still add to the log."""

_CURSOR = re.compile(r"(\d{1,19})-(\d{1,19})", re.ASCII)
_LARGEST = 2**63 - 1

_APPEND = """
INSERT INTO events_event (owner_id, video_id, type, data) VALUES (%(owner)s, %(video)s, %(type)s, %(data)s::jsonb)
"""

_REBASE_EVENTS = "UPDATE events_event SET transaction = 0 WHERE transaction > pg_current_xact_id()::text::bigint"
_REBASE_MARK = f"""
UPDATE events_fanout SET transaction = {COMMIT_HORIZON}, event_id = 0
WHERE transaction > pg_current_xact_id()::text::bigint
"""  # noqa: S608 - put together from constants

_EXPIRE = """
WITH old AS (
    SELECT id FROM events_event WHERE created_at < now() - %(days)s * interval '1 day'
    ORDER BY created_at LIMIT %(batch)s
), deliveries AS (
    DELETE FROM events_delivery WHERE event_id IN (SELECT id FROM old) RETURNING id
), attempts AS (
    DELETE FROM events_deliveryattempt WHERE delivery_id IN (SELECT id FROM deliveries)
)
DELETE FROM events_event WHERE id IN (SELECT id FROM old)
"""
EXPIRED_AT_A_TIME = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the log: everything up to it has been seen."""

    transaction: int
    event_id: int

    def __str__(self) -> str:
        return f"{self.transaction}-{self.event_id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote. Raises ValueError for anything else."""
        found = _CURSOR.fullmatch(text)
        numbers = [int(group) for group in found.groups()] if found else []
        if not numbers or max(numbers) > _LARGEST:
            raise ValueError(f"{text[:50]!r} is not the id of an event")
        return cls(*numbers)


BEGINNING = Position(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An event as the outside gets to see it."""

    position: Position
    uid: UUID
    owner_id: UUID
    video_id: UUID | None
    """None: it is about no video, and its data says all."""
    job_id: UUID | None
    seq: int | None
    type: str
    data: Mapping[str, Any]
    created_at: datetime

    def document(self, subject: Mapping[str, object]) -> dict[str, Any]:
        """The event as JSON-ready values, the same in streams and webhooks. `subject` describes its video and job."""
        about = {"video_id": str(self.video_id)} if self.video_id else {}
        of_job = {"job_id": str(self.job_id), "seq": self.seq} if self.job_id else {}
        return {
            "id": str(self.uid),
            "type": self.type,
            "timestamp": self.created_at.isoformat(),
            "data": {**about, **of_job, **subject, **self.data},
        }


EventDocuments = Callable[[Sequence[LoggedEvent]], Sequence[Mapping[str, Any]]]
"""Renders the documents of events. It is given to streams and webhooks, which know nothing of videos and jobs."""

COLUMNS = "transaction, id, uid, owner_id, video_id, job_id, seq, type, data::text, created_at"
"""Columns that `event_read` reads, in order."""


def event_read(row: Sequence[Any]) -> LoggedEvent:
    """An event from a row of `COLUMNS`."""
    transaction, number, uid, owner_id, video_id, job_id, seq, kind, data, created_at = row
    return LoggedEvent(
        position=Position(transaction, number),
        uid=uid,
        owner_id=owner_id,
        video_id=video_id,
        job_id=job_id,
        seq=seq,
        type=kind,
        data=json.loads(data),
        created_at=created_at,
    )


def video_event_append(*, owner_id: UUID, video_id: UUID, type: str, data: Mapping[str, object] | None = None) -> None:  # noqa: A002 - its column
    """Record what happened to a video; readers are woken when the current transaction commits."""
    _append(owner_id, video_id, type, data or {})


def owner_event_append(*, owner_id: UUID, type: str, data: Mapping[str, object]) -> None:  # noqa: A002 - its column
    """Record what happened to something of an owner that is no video; `data` says all that is shown of it."""
    _append(owner_id, None, type, data)


def _append(owner_id: UUID, video_id: UUID | None, type_: str, data: Mapping[str, object]) -> None:
    values = {"owner": owner_id, "video": video_id, "type": type_, "data": json.dumps(data)}
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, values)
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def log_rebase() -> None:
    """Put what was written in another life of the database, before it was restored elsewhere, at the log's beginning.

    Transactions are counted per server, and a new server starts counting again.
    """
    with connection.cursor() as cursor:
        cursor.execute(_REBASE_EVENTS)
        cursor.execute(_REBASE_MARK)


def events_expire(*, older_than_days: int, at_a_time: int = EXPIRED_AT_A_TIME) -> int:
    """Forget what happened so long ago, and its deliveries: so many events at a time. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRE, {"days": older_than_days, "batch": at_a_time})
        return int(cursor.rowcount)
