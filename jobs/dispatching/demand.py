from collections.abc import Mapping

from django.db import connection

# Idle slots of the nodes that are alive and take work, per queue; then no more tickets than there are steps for them.
_DEMAND = """
WITH busy AS (
    SELECT node, count(*) AS steps FROM jobs_step WHERE state = 'running' GROUP BY node
), idle AS (
    SELECT queue, sum(greatest(node.slots - coalesce(busy.steps, 0), 0)) AS slots
    FROM jobs_node node
    CROSS JOIN LATERAL unnest(node.queues) AS queue
    LEFT JOIN busy ON busy.node = node.name
    WHERE node.state = 'active' AND node.last_seen > clock_timestamp() - %(silence_seconds)s * interval '1 second'
    GROUP BY queue
)
SELECT queue, (
    SELECT count(*) FROM (
        SELECT FROM jobs_step step WHERE step.state = 'ready' AND step.queue = idle.queue LIMIT idle.slots
    ) enough
)
FROM idle WHERE slots > 0
"""


def tickets_wanted(*, silence_seconds: float) -> Mapping[str, int]:
    """How many workers of each queue have nothing to do although there is something."""
    with connection.cursor() as cursor:
        cursor.execute(_DEMAND, {"silence_seconds": silence_seconds})
        return {queue: tickets for queue, tickets in cursor.fetchall() if tickets}
