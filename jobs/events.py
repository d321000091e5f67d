import json
from collections.abc import Mapping
from uuid import UUID

from django.db import connection

from events.log import CHANNEL

# A transaction may have begun before one whose event for the same job is older: its event must not sort before that.
_APPEND = """
WITH counted AS (
    UPDATE jobs_job SET last_event = last_event + 1 WHERE id = %(job)s
    RETURNING id, owner_id, video_id, last_event
)
INSERT INTO events_event (owner_id, video_id, job_id, seq, type, data, created_at, transaction)
SELECT owner_id, video_id, id, last_event, %(type)s, %(data)s::jsonb, clock_timestamp(),
       greatest(pg_current_xact_id()::text::bigint, (
           SELECT before.transaction FROM events_event before
           WHERE before.job_id = counted.id AND before.seq = counted.last_event - 1
       ))
FROM counted
"""


def event_append(*, job_id: UUID, type: str, data: Mapping[str, object] | None = None) -> None:  # noqa: A002 - its column
    """Record what happened to a job under the next number of its sequence; the job's row lock keeps them in order."""
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, {"job": job_id, "type": type, "data": json.dumps(data or {})})
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
