import json
from collections.abc import Mapping
from uuid import UUID

from django.db import connection

_APPEND = """
WITH counted AS (
    UPDATE jobs_job SET last_event = last_event + 1 WHERE id = %(job)s RETURNING id, last_event
)
INSERT INTO jobs_event (job_id, seq, type, data, created_at)
SELECT id, last_event, %(type)s, %(data)s::jsonb, clock_timestamp() FROM counted
"""


def event_append(*, job_id: UUID, type: str, data: Mapping[str, object] | None = None) -> None:  # noqa: A002 - its column
    """Record what happened to a job under the next number of its sequence; the job's row lock keeps them in order."""
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, {"job": job_id, "type": type, "data": json.dumps(data or {})})
