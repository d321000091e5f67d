import json
from collections.abc import Mapping
from functools import partial
from uuid import UUID

from django.db import connection, transaction

from jobs.showing import job_changed
from jobs.transitions import JOB_ENDS
from observability import metrics

_ENDS = frozenset(state.value for state in JOB_ENDS)

_APPEND = """
WITH counted AS (
    UPDATE jobs_job SET last_event = last_event + 1 WHERE id = %(job)s
    RETURNING id, owner_id, last_event, extract(epoch FROM clock_timestamp() - created_at)::float8 AS age,
              extract(epoch FROM clock_timestamp() - started_at)::float8 AS taken
), appended AS (
    INSERT INTO jobs_event (job_id, seq, type, data, created_at)
    SELECT id, last_event, %(type)s, %(data)s::jsonb, clock_timestamp() FROM counted
)
SELECT owner_id, age, taken FROM counted
"""


def event_append(*, job_id: UUID, type: str, data: Mapping[str, object] | None = None) -> None:  # noqa: A002 - its column
    """Record what happened to a job under the next number of its sequence; the job's row lock keeps them in order."""
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, {"job": job_id, "type": type, "data": json.dumps(data or {})})
        owner_id, age, taken = cursor.fetchone()
    job_changed(job_id, owner_id)
    transaction.on_commit(partial(_count, type, age, taken))


def _count(type_: str, age: float, taken: float | None) -> None:
    """Seconds since the job was created, and since it was started."""
    outcome = type_.removeprefix("job.")
    if outcome in _ENDS:
        metrics.JOBS_COMPLETED.add(outcome=outcome)
        if taken is not None:
            metrics.JOB_SECONDS_TAKEN.note(taken, outcome=outcome)
    elif outcome == "started":
        metrics.JOB_QUEUE_SECONDS.note(age)
