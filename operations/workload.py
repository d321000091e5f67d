"""Nodes, running steps and backlog, for operators; in the database's own time."""

from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLoad:
    """A node, how many of its slots are taken, and how many seconds ago it was heard of."""

    name: str
    state: str
    queues: list[str]
    slots: int
    busy: int
    silent_seconds: float
    isolation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStep:
    """A step under a lease; seconds since it was claimed and until the lease ends.

    `device` is the GPU on which it has so many `sessions`, by its uuid; empty and 0: it needs none. A step of the relay
    has neither job nor video.
    """

    node: str
    pid: int
    job: str
    video: str
    kind: str
    ordinal: int
    attempt: int
    priority: int | None
    age_seconds: float
    lease_seconds: float
    units_done: int
    units_total: int | None
    device: str
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Steps of a queue that could be claimed, those that pause before a retry, and the longest wait in seconds."""

    queue: str
    ready: int
    delayed: int
    longest_wait_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    nodes: tuple[NodeLoad, ...]
    running: tuple[RunningStep, ...]
    backlog: tuple[Backlog, ...]


_NODES = """
SELECT node.name, node.state, node.queues, node.slots, count(step.id),
       extract(epoch FROM clock_timestamp() - node.last_seen)::float8, coalesce(node.info ->> 'isolation', '')
FROM jobs_node node LEFT JOIN jobs_step step ON step.node = node.name AND step.state = 'running'
GROUP BY node.name ORDER BY node.name
"""

_RUNNING = """
SELECT step.node, step.worker_pid, coalesce(step.job_id::text, ''), coalesce(step.video_id::text, ''), step.kind,
       step.ordinal, step.attempt, job.priority, extract(epoch FROM clock_timestamp() - step.claimed_at)::float8,
       extract(epoch FROM step.lease_expires_at - clock_timestamp())::float8, step.units_done, step.units_total,
       step.device, step.sessions
FROM jobs_step step LEFT JOIN jobs_job job ON job.id = step.job_id
WHERE step.state = 'running' ORDER BY step.node, step.claimed_at
"""

_BACKLOG = """
SELECT queue, count(*) FILTER (WHERE state = 'ready'), count(*) FILTER (WHERE state = 'delayed'),
       coalesce(extract(epoch FROM clock_timestamp() - min(rank_at + lead_seconds * interval '1 second')
                                                           FILTER (WHERE state = 'ready')), 0)::float8
FROM jobs_step WHERE state IN ('ready', 'delayed') GROUP BY queue ORDER BY queue
"""


def workload() -> Workload:
    """Read nodes, running steps and what waits, in three queries."""
    with connection.cursor() as cursor:
        cursor.execute(_NODES)
        names = list(NodeLoad.__dataclass_fields__)
        nodes = tuple(NodeLoad(**dict(zip(names, row, strict=True))) for row in cursor.fetchall())
        cursor.execute(_RUNNING)
        names = list(RunningStep.__dataclass_fields__)
        running = tuple(RunningStep(**dict(zip(names, row, strict=True))) for row in cursor.fetchall())
        cursor.execute(_BACKLOG)
        backlog = tuple(
            Backlog(queue=queue, ready=ready, delayed=delayed, longest_wait_seconds=wait)
            for queue, ready, delayed, wait in cursor.fetchall()
        )
    return Workload(nodes=nodes, running=running, backlog=backlog)
