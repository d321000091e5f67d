"""Statistics of the platform, from the rows; in the database's own time and by queries that indexes serve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Count

from events.models import EndpointState, WebhookEndpoint
from jobs.rules.retry import POISON
from jobs.rules.steps import QUEUES, kinds_where
from videos.usage.kinds import UsageKind
from videos.usage.selectors import usage_of_all


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLoad:
    """Unfinished steps of a queue by state, and for how many seconds the one has waited that has waited longest."""

    queue: str
    ready: int
    delayed: int
    running: int
    oldest_ready_seconds: float


_QUEUES = """
WITH load AS (
    SELECT queue, count(*) AS ready, 0 AS delayed, 0 AS running,
           extract(epoch FROM clock_timestamp() - min(rank_at + lead_seconds * interval '1 second')) AS oldest
    FROM jobs_step WHERE state = 'ready' GROUP BY queue
    UNION ALL SELECT queue, 0, count(*), 0, 0 FROM jobs_step WHERE state = 'delayed' GROUP BY queue
    UNION ALL SELECT queue, 0, 0, count(*), 0 FROM jobs_step WHERE state = 'running' AND queue <> '' GROUP BY queue
    UNION ALL SELECT unnest(%(queues)s::text[]), 0, 0, 0, 0
)
SELECT queue, sum(ready)::int, sum(delayed)::int, sum(running)::int, greatest(max(oldest), 0)::float8
FROM load GROUP BY queue ORDER BY queue
"""


def queue_loads(queues: Sequence[str]) -> list[QueueLoad]:
    """The load of every queue, of these even where it is none."""
    with connection.cursor() as cursor:
        cursor.execute(_QUEUES, {"queues": list(queues)})
        return [
            QueueLoad(queue=queue, ready=ready, delayed=delayed, running=running, oldest_ready_seconds=oldest)
            for queue, ready, delayed, running, oldest in cursor.fetchall()
        ]


def open_jobs() -> dict[str, int]:
    """Count the unfinished jobs by state."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, count(*) FROM jobs_job WHERE finished_at IS NULL GROUP BY state")
        return {"queued": 0, "processing": 0, "paused": 0, **dict(cursor.fetchall())}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHealth:
    """A worker node or relay: `silent_seconds` since it was heard of; it is alive when that is not too long."""

    name: str
    state: str
    queues: tuple[str, ...]
    slots: int
    busy: int
    silent_seconds: float
    alive: bool
    isolation: str
    """Form of isolation of what opens sources there; empty: it opens none, or does not say."""
    landlock: int | None
    """Version of Landlock of its kernel; 0: it has none; None: the node does not say."""

    @property
    def works(self) -> bool:
        """Tell whether it takes steps; a relay serves live streams only."""
        return any(queue in QUEUES for queue in self.queues)


_NODES = """
SELECT node.name, node.state, node.queues, node.slots, coalesce(held.steps, 0)::int,
       extract(epoch FROM clock_timestamp() - node.last_seen)::float8, coalesce(node.info ->> 'isolation', ''),
       (node.info ->> 'landlock')::int
FROM jobs_node node
LEFT JOIN (SELECT node, count(*) AS steps FROM jobs_step WHERE state = 'running' GROUP BY node) held
       ON held.node = node.name
ORDER BY node.name
"""


def node_healths(*, silence_seconds: float) -> list[NodeHealth]:
    """Every node that is known, those that fell silent too."""
    with connection.cursor() as cursor:
        cursor.execute(_NODES)
        return [
            NodeHealth(
                name=name,
                state=state,
                queues=tuple(queues),
                slots=slots,
                busy=busy,
                silent_seconds=max(silent, 0.0),
                alive=silent <= silence_seconds,
                isolation=isolation,
                landlock=landlock,
            )
            for name, state, queues, slots, busy, silent, isolation, landlock in cursor.fetchall()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentJobs:
    """Jobs that ended in the last so many seconds; speed in seconds of video per second, None without any."""

    window_seconds: int
    completed: int
    failed: int
    cancelled: int
    mean_speed: float | None
    mean_seconds: float | None

    @property
    def success_rate(self) -> float | None:
        """Share of the jobs that succeeded among those that were not cancelled; None where there were none."""
        ended = self.completed + self.failed
        return self.completed / ended if ended else None


_RECENT = """
SELECT count(*) FILTER (WHERE state = 'completed'), count(*) FILTER (WHERE state = 'failed'),
       count(*) FILTER (WHERE state = 'cancelled'),
       avg((metadata->>'processing_speed')::float8) FILTER (WHERE state = 'completed'),
       avg((metadata->>'processing_time_seconds')::float8) FILTER (WHERE state = 'completed')
FROM jobs_job WHERE finished_at > clock_timestamp() - %(seconds)s * interval '1 second'
"""


def recent_jobs(*, window_seconds: int) -> RecentJobs:
    """Count the jobs that ended lately, by outcome."""
    with connection.cursor() as cursor:
        cursor.execute(_RECENT, {"seconds": window_seconds})
        completed, failed, cancelled, speed, seconds = cursor.fetchone()
    return RecentJobs(
        window_seconds=window_seconds,
        completed=completed,
        failed=failed,
        cancelled=cancelled,
        mean_speed=speed,
        mean_seconds=seconds,
    )


def jobs_in_quarantine() -> int:
    """Count the quarantined jobs: their steps kept losing their workers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM jobs_job WHERE error_code = %s AND error_code <> ''", [POISON])
        (count,) = cursor.fetchone()
    return int(count)


MIN_PURGE_FAILURES = 3
"""A store that was unavailable for a moment explains fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingPurges:
    """Purges that failed several times and wait for another try, and the error of the one that failed last."""

    steps: int
    error: str


_NEVER_GIVEN_UP = kinds_where(lambda spec: spec.retries_forever)

_FAILING_PURGES = """
SELECT count(*),
       coalesce((array_agg(concat_ws(': ', error_code, nullif(error_detail, '')) ORDER BY not_before DESC))[1], '')
FROM jobs_step WHERE state = 'delayed' AND kind = ANY(%(kinds)s) AND failures >= %(failures)s
"""


def failing_purges() -> FailingPurges:
    """Count the purges that keep failing: objects that were to be deleted are still stored."""
    with connection.cursor() as cursor:
        cursor.execute(
            _FAILING_PURGES, {"kinds": [kind.value for kind in _NEVER_GIVEN_UP], "failures": MIN_PURGE_FAILURES}
        )
        steps, error = cursor.fetchone()
    return FailingPurges(steps=steps, error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingEndpoint:
    """A webhook endpoint with deliveries that failed for good lately, or that are being tried again."""

    id: UUID
    url: str
    owner: str
    state: str
    failed: int
    retried: int


def webhook_endpoints() -> dict[str, int]:
    """Count the webhook endpoints by state."""
    counted = WebhookEndpoint.objects.values_list("state").annotate(Count("id"))
    return {**{state.value: 0 for state in EndpointState}, **dict(counted)}


MAX_DELIVERIES = 1000
"""Newest of each kind that are looked at: more of them say nothing else."""

_FAILING_ENDPOINTS = """
WITH failed AS (
    SELECT endpoint_id FROM events_delivery
    WHERE state = 'failed' AND created_at > now() - 2 * %(seconds)s * interval '1 second'
      AND finished_at > now() - %(seconds)s * interval '1 second'
    ORDER BY created_at DESC, id DESC LIMIT %(most)s
), retried AS (
    SELECT endpoint_id FROM events_delivery
    WHERE state IN ('pending', 'sending') AND attempts > 1 ORDER BY next_attempt_at LIMIT %(most)s
), counted AS (
    SELECT endpoint_id, sum(failed)::int AS failed, sum(retried)::int AS retried
    FROM (SELECT endpoint_id, 1 AS failed, 0 AS retried FROM failed
          UNION ALL SELECT endpoint_id, 0, 1 FROM retried) AS deliveries
    GROUP BY endpoint_id
)
SELECT endpoint.id, endpoint.url, owner.name, endpoint.state, failed, retried
FROM counted JOIN events_webhookendpoint endpoint ON endpoint.id = endpoint_id
JOIN access_owner owner ON owner.id = endpoint.owner_id
ORDER BY failed DESC, retried DESC, endpoint.id
"""


def failing_endpoints(*, window_seconds: int) -> list[FailingEndpoint]:
    """List the webhook endpoints with failed deliveries of the window, and those whose deliveries are retried."""
    with connection.cursor() as cursor:
        cursor.execute(_FAILING_ENDPOINTS, {"seconds": window_seconds, "most": MAX_DELIVERIES})
        return [
            FailingEndpoint(id=id_, url=url, owner=owner, state=state, failed=failed, retried=retried)
            for id_, url, owner, state, failed, retried in cursor.fetchall()
        ]


def stored_bytes() -> Mapping[str, int]:
    """Bytes of all sources with their working copies, and of outputs, also of those under way."""
    usage = usage_of_all()
    sources = usage[UsageKind.SOURCE_BYTES] + usage[UsageKind.WORKING_COPY_BYTES]
    outputs = usage.stored_bytes - sources
    return {"sources_bytes": sources, "outputs_bytes": outputs, "total_bytes": sources + outputs}
