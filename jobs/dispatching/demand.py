from collections.abc import Mapping
from typing import Any

from django.db import connection

from gpu.selectors import nodes_with_free_slots
from jobs.leasing.slots import sessions_used
from jobs.rules.steps import GPU_QUEUE

# Idle slots of the nodes that are alive and take work, per queue; then no more tickets than there are steps for them.
#
# An idle worker whose devices are all taken can do nothing, and takes tickets all the same: there are as many more of
# them, or the worker that could do something might not get one. Where nobody could, there are none.
_DEMAND = """
WITH busy AS (
    SELECT node, count(*) AS steps FROM jobs_step WHERE state = 'running' GROUP BY node
), spare AS (
    SELECT queue, greatest(node.slots - coalesce(busy.steps, 0), 0) AS slots,
           queue <> %(gpu_queue)s OR node.name = ANY(%(with_room)s) AS useful
    FROM jobs_node node
    CROSS JOIN LATERAL unnest(node.queues) AS queue
    LEFT JOIN busy ON busy.node = node.name
    WHERE node.state = 'active' AND node.last_seen > clock_timestamp() - %(silence_seconds)s * interval '1 second'
), idle AS (
    SELECT queue, coalesce(sum(slots) FILTER (WHERE useful), 0) AS useful,
           coalesce(sum(slots) FILTER (WHERE NOT useful), 0) AS useless
    FROM spare GROUP BY queue
), wanted AS (
    SELECT queue, useless, (
        SELECT count(*) FROM (
            SELECT FROM jobs_step step WHERE step.state = 'ready' AND step.queue = idle.queue LIMIT idle.useful
        ) enough
    ) AS steps
    FROM idle WHERE useful > 0
)
SELECT queue, (steps + useless)::int FROM wanted WHERE steps > 0
"""


def ticket_demand(*, silence_seconds: float) -> Mapping[str, int]:
    """How many workers of each queue are to be woken, as they have nothing to do although there is something."""
    with_room = nodes_with_free_slots(silence_seconds=silence_seconds, used=sessions_used())
    values: dict[str, Any] = {"silence_seconds": silence_seconds, "gpu_queue": GPU_QUEUE, "with_room": list(with_room)}
    with connection.cursor() as cursor:
        cursor.execute(_DEMAND, values)
        return dict(cursor.fetchall())
