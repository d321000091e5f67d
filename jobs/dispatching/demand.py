from collections.abc import Mapping
from typing import Any

from django.db import connection

from gpu.selectors import nodes_with_free_slots
from jobs.leasing.slots import sessions_used
from jobs.rules.steps import BACKGROUND_QUEUE, CPU_QUEUE, GPU_QUEUE

# 1. `spare`: idle slots of each active, live node per queue. A GPU slot is `useful` while its node's devices have room.
# 2. `idle`: useful and useless slots summed per queue.
# 3. `demanded`: ready steps of the queue, at most as many as there are useful slots.
#
# Steps of the background are claimed by idle workers of the queue `cpu`, so they count there.
#
# Workers whose devices are all in use take tickets too. So as many more are sent as there are useless slots: else the
# worker that could run a step might not get one. Where no slot is useful, no ticket is sent.
#
# Open steps count as busy here, unlike in an owner's share: the process that encodes a stream consumes no message, and
# tickets for it would pile up in the broker.
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
), demanded AS (
    SELECT queue, useless, (
        SELECT count(*) FROM (
            SELECT FROM jobs_step step WHERE step.state = 'ready' AND step.queue = idle.queue
            UNION ALL
            SELECT FROM jobs_step step
            WHERE step.state = 'ready' AND step.queue = %(background)s AND idle.queue = %(cpu_queue)s
            LIMIT idle.useful
        ) enough
    ) AS steps
    FROM idle WHERE useful > 0
)
SELECT queue, (steps + useless)::int FROM demanded WHERE steps > 0
"""


def ticket_demand(*, silence_seconds: float) -> Mapping[str, int]:
    """Return the number of tickets to send per queue: idle workers that could run a ready step."""
    with_room = nodes_with_free_slots(silence_seconds=silence_seconds, used=sessions_used())
    values: dict[str, Any] = {
        "silence_seconds": silence_seconds,
        "gpu_queue": GPU_QUEUE,
        "cpu_queue": CPU_QUEUE,
        "background": BACKGROUND_QUEUE,
        "with_room": list(with_room),
    }
    with connection.cursor() as cursor:
        cursor.execute(_DEMAND, values)
        return dict(cursor.fetchall())
