"""Claim: one statement that leases the best ready step of a queue to a worker, with the GPU slots it takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from configuration import RankConfig
from jobs.leasing.slots import DeviceOffer, slots_lock
from jobs.models import Step
from jobs.rules.rank import rank_bucket_seconds
from jobs.rules.steps import StepKind

CANDIDATES = 64
"""Steps considered in all: more than there are workers that claim at once and skip each other's locked rows."""
MIN_PER_LANE = 2
"""Steps considered of each lane, however many lanes there are."""

# The statement, CTE by CTE. It sorts a few steps of each lane, never all that are ready.
#
# 1. `lanes` walks the partial index of ready steps from lane to lane (see jobs.rules.rank): one lookup for each,
#    however many steps a lane has.
# 2. `able` drops the lanes whose requirement this worker does not meet. A search in an array, unlike a comparison, is
#    estimated to pass most rows, so that the planner does not choose a plan for one.
# 3. `room` counts the sessions that the offered device has left. A live lease is a slot, whatever became of its step:
#    its ffmpeg may still be running.
# 4. `busy` counts each owner's running steps, for fair share. Open steps do not count: a stream of hours is not one of
#    the turns that owners take.
# 5. `turns` finds for each lane when it was last served. A lane's turn is no earlier than that, so that a long backlog
#    ages only while none of it runs.
# 6. `few` takes the best few of each lane, and at least two, since other workers skip the ones that are locked. The
#    constant limit inside the computed one bounds what the planner expects to read: without it, it expects all ready
#    steps, and compiles the statement (JIT) for longer than it runs.
# 7. `best` compares the lanes' turns in buckets of a priority point. Within a bucket the owner with fewer running steps
#    goes first, so nobody buys the next slot by a priority that is a little higher.
# 8. `chosen` locks the first that fits, and skips what others are claiming. A step that needs more sessions than are
#    left holds back those of later buckets: otherwise smaller ones would take each session that becomes free, and it
#    would wait for ever. The state is a condition again, for rows that were claimed since the snapshot.
_CLAIM = """
WITH RECURSIVE lanes AS (
    (SELECT owner_id, lead_seconds, encoder, sessions FROM jobs_step WHERE state = 'ready' AND queue = %(queue)s
     ORDER BY owner_id, lead_seconds, encoder, sessions LIMIT 1)
  UNION ALL
    SELECT further.* FROM lanes CROSS JOIN LATERAL (
        SELECT step.owner_id, step.lead_seconds, step.encoder, step.sessions FROM jobs_step step
        WHERE step.state = 'ready' AND step.queue = %(queue)s
          AND (step.owner_id, step.lead_seconds, step.encoder, step.sessions)
            > (lanes.owner_id, lanes.lead_seconds, lanes.encoder, lanes.sessions)
        ORDER BY step.owner_id, step.lead_seconds, step.encoder, step.sessions LIMIT 1
    ) further
), able AS MATERIALIZED (
    SELECT * FROM lanes WHERE array_position(%(encoders)s, encoder) IS NOT NULL AND NOT sessions > %(capacity)s
), room AS MATERIALIZED (
    SELECT least(
        %(slots)s - coalesce(sum(held.sessions) FILTER (WHERE held.device = %(device)s), 0),
        %(shared_slots)s - coalesce(sum(held.sessions), 0)
    ) AS sessions
    FROM jobs_step held
    WHERE held.device = ANY(%(sharing)s) AND held.sessions > 0 AND held.lease_expires_at > clock_timestamp()
), busy AS (
    SELECT owner_id, count(*) AS running FROM jobs_step
    WHERE state = 'running' AND units_total IS NOT NULL GROUP BY owner_id
), turns AS MATERIALIZED (
    SELECT able.*, (
        SELECT served.claimed_at - served.lead_seconds * interval '1 second' FROM jobs_step served
        WHERE served.queue = %(queue)s AND served.owner_id = able.owner_id
          AND served.lead_seconds = able.lead_seconds AND served.encoder = able.encoder
          AND served.sessions = able.sessions AND served.claimed_at IS NOT NULL
        ORDER BY served.claimed_at DESC LIMIT 1
    ) AS not_before
    FROM able
), few AS MATERIALIZED (
    SELECT best.*, coalesce(busy.running, 0) AS running, greatest(best.rank_at, turns.not_before) AS turn_at
    FROM turns
    CROSS JOIN LATERAL (
        SELECT many.* FROM (
            SELECT step.id, step.rank_at, step.ordinal, step.sessions FROM jobs_step step
            WHERE step.state = 'ready' AND step.queue = %(queue)s
              AND step.owner_id = turns.owner_id AND step.lead_seconds = turns.lead_seconds
              AND step.encoder = turns.encoder AND step.sessions = turns.sessions
            ORDER BY step.rank_at, step.ordinal LIMIT %(candidates)s
        ) many LIMIT (SELECT greatest(%(candidates)s / count(*), %(fewest)s) FROM able)
    ) best
    LEFT JOIN busy ON busy.owner_id = turns.owner_id
), best AS MATERIALIZED (
    SELECT id, running, turn_at, rank_at, ordinal, sessions,
           floor(extract(epoch FROM turn_at - min(turn_at) OVER ()) / %(bucket_seconds)s) AS bucket
    FROM few ORDER BY bucket, running, turn_at, rank_at, ordinal, id LIMIT %(candidates)s
), chosen AS (
    SELECT step.id FROM best CROSS JOIN room JOIN jobs_step step ON step.id = best.id
    WHERE step.state = 'ready' AND best.sessions <= room.sessions
      AND best.bucket <= coalesce(
          (SELECT min(big.bucket) FROM best big CROSS JOIN room WHERE big.sessions > room.sessions), best.bucket)
      AND NOT EXISTS (SELECT FROM jobs_node WHERE name = %(node)s AND state = 'draining')
    ORDER BY best.bucket, best.running, best.turn_at, best.rank_at, best.ordinal, best.id
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
"""


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


def step_claim(  # noqa: PLR0913 - the parameters of a claim, by name
    *, queue: str, node: str, pid: int, lease_seconds: float, rank: RankConfig, offer: DeviceOffer | None = None
) -> Claim | None:
    """Claim the best ready step of a queue for this worker. None: there is none that it may have.

    Steps with a GPU requirement are claimed only for the device in `offer`, and only while it has free slots.
    """
    values: dict[str, Any] = {
        "queue": queue,
        "node": node,
        "pid": pid,
        "lease_seconds": lease_seconds,
        "bucket_seconds": rank_bucket_seconds(rank),
        "candidates": CANDIDATES,
        "fewest": MIN_PER_LANE,
        "encoders": ["", *(offer.encoders if offer else ())],
        "device": offer.uuid if offer else "",
        "slots": offer.slots if offer else 0,
        "sharing": list(offer.sharing) if offer else [],
        "shared_slots": offer.shared_slots if offer else 0,
        "capacity": offer.capacity if offer else 0,
    }
    if offer is None:
        return _take(values)
    with transaction.atomic():
        slots_lock(offer)
        return _take(values)


def _take(values: Mapping[str, Any]) -> Claim | None:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        row = cursor.fetchone()
    return _read(row) if row else None


def claim_of(step: Step) -> Claim:
    """Return the claim under which a step runs, to end it in its worker's place."""
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
