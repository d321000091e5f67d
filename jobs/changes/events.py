import json
from collections.abc import Mapping
from functools import partial
from uuid import UUID

from django.db import connection, transaction

from events.log import CHANNEL
from jobs.changes.cache_invalidation import job_changed
from jobs.rules.transitions import JOB_ENDS
from observability import metrics

_ENDS = frozenset(state.value for state in JOB_ENDS)

# Readers sort by (transaction, id). A transaction may have started before one whose event of the same job is older, so
# an event takes at least the transaction number of its predecessor.
_APPEND = """
WITH counted AS (
    UPDATE jobs_job SET last_event = last_event + 1 WHERE id = %(job)s
    RETURNING id, owner_id, video_id, last_event, extract(epoch FROM clock_timestamp() - created_at)::float8 AS age,
              extract(epoch FROM clock_timestamp() - started_at)::float8 AS taken
), appended AS (
    INSERT INTO events_event (owner_id, video_id, job_id, seq, type, data, created_at, transaction)
    SELECT owner_id, video_id, id, last_event, %(type)s, %(data)s::jsonb, clock_timestamp(),
           greatest(pg_current_xact_id()::text::bigint, (
               SELECT before.transaction FROM events_event before
               WHERE before.job_id = counted.id AND before.seq = counted.last_event - 1
           ))
    FROM counted
)
SELECT owner_id, age, taken FROM counted
"""


def event_append(*, job_id: UUID, type: str, data: Mapping[str, object] | None = None) -> None:  # noqa: A002 - its column
    """Append an event to a job's log under its next sequence number. The job's row lock keeps the numbers in order."""
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, {"job": job_id, "type": type, "data": json.dumps(data or {})})
        owner_id, age, taken = cursor.fetchone()
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
    job_changed(job_id, owner_id)
    transaction.on_commit(partial(_count, type, age, taken))


def _count(type_: str, age: float, taken: float | None) -> None:
    """Count an outcome after commit. `age`: seconds since the job was created; `taken`: since it was started."""
    outcome = type_.removeprefix("job.")
    if outcome in _ENDS:
        metrics.JOBS_COMPLETED.add(outcome=outcome)
        if taken is not None:
            metrics.JOB_SECONDS_TAKEN.observe(taken, outcome=outcome)
    elif outcome == "started":
        metrics.JOB_QUEUE_SECONDS.observe(age)
