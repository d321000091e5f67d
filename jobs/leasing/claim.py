"""Claim: one statement that leases the best ready step of a queue to a worker, with the GPU slots it takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from jobs.leasing.slots import ROOM, DeviceOffer, room_values, slots_lock
from jobs.models import Step
from jobs.rules.rank import OVERTAKEN_SECONDS
from jobs.rules.steps import StepKind

OWNERS = 16
"""Owners considered: those whose turn is next. Of all others, only the index entries that say so are read."""
CANDIDATES = 64
"""Steps considered in all: more than there are workers that claim at once and skip each other's locked rows."""
MIN_PER_LANE = 2
"""Steps considered of each lane, however many lanes there are."""

# The statement, CTE by CTE. It sorts a few steps of a few owners, never all that are ready.
#
# 1. `owners` walks the partial index of ready steps from owner to owner: one lookup each, however many steps they have.
# 2. `busy` counts each owner's running steps in the queue. Open steps do not count: a stream of hours is not one of the
#    turns that owners take.
# 3. `shares` takes the owners whose turn is next (see jobs.rules.rank), of those with a step that this worker can do,
#    and with fewer running ones than an owner may have, where that is limited. A join with an array, unlike a
#    comparison, is estimated to pass most rows, so that the planner does not choose a plan for one.
# 4. `lanes` walks the same index from lane to lane of these owners, over the requirements that this worker meets.
# 5. `turns` finds for each lane when it was last served. A lane's turn is no earlier than that, so that a long backlog
#    ages only while none of it runs.
# 6. `few` takes the best few of each lane, and at least two, since other workers skip the ones that are locked. The
#    constant limit inside the computed one bounds what the planner expects to read: without it, it expects all ready
#    steps, and compiles the statement (JIT) for longer than it runs.
# 7. `best` puts them in order: the owner's share, then the lane's turn. No priority is compared between owners.
# 8. `room` counts the sessions that the offered device has left (see jobs.leasing.slots).
# 9. `chosen` locks the first that fits, and skips what others are claiming. A step that needs more sessions than are
#    left, and has waited for a while, holds back those behind it: otherwise smaller ones would take each session that
#    becomes free, and it would wait for ever. The state is a condition again, for rows claimed since the snapshot.
_CLAIM = f"""
WITH RECURSIVE owners AS (
    (SELECT owner_id FROM jobs_step WHERE state = 'ready' AND queue = %(queue)s ORDER BY owner_id LIMIT 1)
  UNION ALL
    SELECT further.* FROM owners CROSS JOIN LATERAL (
        SELECT step.owner_id FROM jobs_step step
        WHERE step.state = 'ready' AND step.queue = %(queue)s AND step.owner_id > owners.owner_id
        ORDER BY step.owner_id LIMIT 1
    ) further
), busy AS (
    SELECT owner_id, count(*) AS running FROM jobs_step
    WHERE state = 'running' AND queue = %(queue)s AND units_total IS NOT NULL GROUP BY owner_id
), shares AS MATERIALIZED (
    SELECT owners.owner_id, coalesce(busy.running, 0) AS running, (
        SELECT served.claimed_at FROM jobs_step served
        WHERE served.queue = %(queue)s AND served.owner_id = owners.owner_id AND served.claimed_at IS NOT NULL
        ORDER BY served.claimed_at DESC LIMIT 1
    ) AS served_at
    FROM owners LEFT JOIN busy ON busy.owner_id = owners.owner_id
    WHERE coalesce(busy.running, 0) < coalesce(%(max_running)s::int, 2147483647) AND EXISTS (
        SELECT FROM unnest(%(encoders)s::text[]) AS offered (encoder) CROSS JOIN LATERAL (
            SELECT FROM jobs_step step
            WHERE step.state = 'ready' AND step.queue = %(queue)s AND step.owner_id = owners.owner_id
              AND step.encoder = offered.encoder AND step.sessions <= %(capacity)s
            ORDER BY step.sessions LIMIT 1
        ) able
    )
    ORDER BY running, served_at NULLS FIRST, owner_id LIMIT %(owners)s
), lanes AS (
    SELECT shares.owner_id, first.* FROM shares CROSS JOIN unnest(%(encoders)s::text[]) AS offered (encoder)
    CROSS JOIN LATERAL (
        SELECT step.encoder, step.sessions, step.lead_seconds FROM jobs_step step
        WHERE step.state = 'ready' AND step.queue = %(queue)s AND step.owner_id = shares.owner_id
          AND step.encoder = offered.encoder AND step.sessions <= %(capacity)s
        ORDER BY step.sessions, step.lead_seconds LIMIT 1
    ) first
  UNION ALL
    SELECT lanes.owner_id, further.* FROM lanes CROSS JOIN LATERAL (
        SELECT step.encoder, step.sessions, step.lead_seconds FROM jobs_step step
        WHERE step.state = 'ready' AND step.queue = %(queue)s AND step.owner_id = lanes.owner_id
          AND step.encoder = lanes.encoder AND step.sessions <= %(capacity)s
          AND (step.sessions, step.lead_seconds) > (lanes.sessions, lanes.lead_seconds)
        ORDER BY step.sessions, step.lead_seconds LIMIT 1
    ) further
), turns AS MATERIALIZED (
    SELECT lanes.*, (
        SELECT served.claimed_at - served.lead_seconds * interval '1 second' FROM jobs_step served
        WHERE served.queue = %(queue)s AND served.owner_id = lanes.owner_id
          AND served.lead_seconds = lanes.lead_seconds AND served.encoder = lanes.encoder
          AND served.sessions = lanes.sessions AND served.claimed_at IS NOT NULL
        ORDER BY served.claimed_at DESC LIMIT 1
    ) AS not_before
    FROM lanes
), few AS MATERIALIZED (
    SELECT best.*, turns.owner_id, turns.lead_seconds, greatest(best.rank_at, turns.not_before) AS turn_at
    FROM turns
    CROSS JOIN LATERAL (
        SELECT many.* FROM (
            SELECT step.id, step.rank_at, step.ordinal, step.sessions FROM jobs_step step
            WHERE step.state = 'ready' AND step.queue = %(queue)s
              AND step.owner_id = turns.owner_id AND step.lead_seconds = turns.lead_seconds
              AND step.encoder = turns.encoder AND step.sessions = turns.sessions
            ORDER BY step.rank_at, step.ordinal LIMIT %(candidates)s
        ) many LIMIT (SELECT greatest(%(candidates)s / count(*), %(fewest)s) FROM turns)
    ) best
), waiting AS (
    SELECT few.*, shares.running, shares.served_at, turn_at + few.lead_seconds * interval '1 second' AS waits_since,
           min(turn_at + few.lead_seconds * interval '1 second') OVER (PARTITION BY few.owner_id) AS owner_waits_since
    FROM few JOIN shares ON shares.owner_id = few.owner_id
), best AS MATERIALIZED (
    SELECT id, sessions, waits_since, row_number() OVER (
        ORDER BY running, served_at NULLS FIRST, owner_waits_since, owner_id, turn_at, rank_at, ordinal, id
    ) AS place
    FROM waiting ORDER BY place LIMIT %(candidates)s
), room AS MATERIALIZED (
    {ROOM}
), chosen AS (
    SELECT step.id FROM best CROSS JOIN room JOIN jobs_step step ON step.id = best.id
    WHERE step.state = 'ready' AND best.sessions <= room.sessions
      AND NOT EXISTS (
          SELECT FROM best large WHERE large.place < best.place AND large.sessions > room.sessions
            AND large.waits_since < clock_timestamp() - %(overtaken_seconds)s * interval '1 second'
      )
      AND NOT EXISTS (SELECT FROM jobs_node WHERE name = %(node)s AND state = 'draining')
    ORDER BY best.place
    LIMIT 1 FOR UPDATE OF step SKIP LOCKED
)
UPDATE jobs_step step
SET state = 'running', attempt = step.attempt + 1, attempts_without_progress = step.attempts_without_progress + 1,
    lease_expires_at = clock_timestamp() + %(lease_seconds)s * interval '1 second',
    node = %(node)s, worker_pid = %(pid)s, claimed_at = clock_timestamp(),
    device = CASE WHEN step.sessions > 0 THEN %(device)s ELSE '' END
FROM chosen WHERE step.id = chosen.id
RETURNING step.id, step.attempt, step.kind, step.ordinal, step.video_id, step.job_id, step.generation_id,
          step.units_done, step.units_total, step.payload::text, step.encoder, step.device
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to work on a step, until its lease ends. Step id and attempt together are the fencing token."""

    step_id: UUID
    attempt: int
    kind: StepKind
    ordinal: int
    video_id: UUID
    job_id: UUID | None
    generation_id: UUID | None
    units_done: int
    units_total: int | None
    """None: the step is open, its source has not ended."""
    payload: dict[str, Any]
    encoder: str = ""
    device: str = ""


def step_claim(  # noqa: PLR0913 - each by its name
    *,
    queue: str,
    node: str,
    pid: int,
    lease_seconds: float,
    offer: DeviceOffer | None = None,
    max_running: int | None = None,
) -> Claim | None:
    """Claim the best ready step of a queue for this worker. None: there is none that it may have.

    Steps with a GPU requirement are claimed only for the device in `offer`, and only while it has free slots. With
    `max_running`, none is claimed of an owner who has that many running steps of the queue.
    """
    values: dict[str, Any] = {
        "queue": queue,
        "node": node,
        "pid": pid,
        "lease_seconds": lease_seconds,
        "overtaken_seconds": OVERTAKEN_SECONDS,
        "owners": OWNERS,
        "candidates": CANDIDATES,
        "fewest": MIN_PER_LANE,
        "encoders": ["", *(offer.encoders if offer else ())],
        **room_values(offer),
        "capacity": offer.capacity if offer else 0,
        "max_running": max_running,
    }
    if offer is None and max_running is None:
        return _take(values)
    with transaction.atomic():  # counting and claiming, one worker at a time
        if offer:
            slots_lock(offer)
        else:
            _queue_lock(queue)
        return _take(values)


def _queue_lock(queue: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"claims: {queue}"])


def _take(values: Mapping[str, Any]) -> Claim | None:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        row = cursor.fetchone()
    return _read(row) if row else None


def claim_of(step: Step) -> Claim:
    """Return the claim under which a worker runs a step, to end it in its place."""
    if step.video_id is None:
        raise ValueError(f"no worker claims a {step.kind} step")
    return Claim(
        step_id=step.id,
        attempt=step.attempt,
        kind=StepKind(step.kind),
        ordinal=step.ordinal,
        video_id=step.video_id,
        job_id=step.job_id,
        generation_id=step.generation_id,
        units_done=step.units_done,
        units_total=step.units_total,
        payload=step.payload,
        encoder=step.encoder,
        device=step.device,
    )


def _read(row: tuple[Any, ...]) -> Claim:
    (
        step_id,
        attempt,
        kind,
        ordinal,
        video_id,
        job_id,
        generation_id,
        units_done,
        units_total,
        payload,
        encoder,
        device,
    ) = row
    return Claim(
        step_id=step_id,
        attempt=attempt,
        kind=StepKind(kind),
        ordinal=ordinal,
        video_id=video_id,
        job_id=job_id,
        generation_id=generation_id,
        units_done=units_done,
        units_total=units_total,
        payload=json.loads(payload),
        encoder=encoder,
        device=device,
    )
