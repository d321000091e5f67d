"""Figures of live streams of all owners, from the rows; in the database's own time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Now

from jobs.rules.steps import LIVE_QUEUE
from livestreams.models import Refusal
from livestreams.states import OPEN_STATES
from operations.statistics import node_healths


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveCapacity:
    """Slots of the live workers that take streams."""

    slots: int
    busy: int

    @property
    def free(self) -> int:
        return max(0, self.slots - self.busy)


def live_capacity(*, silence_seconds: float) -> LiveCapacity:
    """Count the slots of the nodes of queue `live`; those that drain count for what they hold."""
    nodes = [node for node in node_healths(silence_seconds=silence_seconds) if node.alive and LIVE_QUEUE in node.queues]
    slots = sum(node.slots if node.state == "active" else node.busy for node in nodes)
    return LiveCapacity(slots=slots, busy=sum(node.busy for node in nodes))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBroadcast:
    """A broadcast that is not over. `seconds` since its publisher was let in; rates as they were measured last."""

    id: UUID
    livestream_id: UUID
    name: str
    owner: str
    state: str
    reconnecting: bool
    publisher_address: str
    started_at: datetime
    seconds: float
    bitrate: int
    frame_rate: float
    encoder: str
    renditions: tuple[str, ...]
    viewers: int
    node: str


_OPEN = """
SELECT broadcast.id, stream.id, stream.name, owner.name, broadcast.state,
       broadcast.state IN ('starting', 'live') AND broadcast.publisher_left_at IS NOT NULL,
       broadcast.publisher_address, broadcast.started_at,
       extract(epoch FROM coalesce(broadcast.ended_at, clock_timestamp()) - broadcast.started_at)::float8,
       broadcast.health::text, coalesce((broadcast.viewers ->> 'total')::int, 0), coalesce(step.node, '')
FROM livestreams_broadcast broadcast
JOIN livestreams_livestream stream ON stream.id = broadcast.livestream_id
JOIN access_owner owner ON owner.id = stream.owner_id
LEFT JOIN jobs_step step ON step.job_id = broadcast.job_id AND step.kind = 'live' AND step.state = 'running'
WHERE broadcast.state = ANY(%(states)s)
ORDER BY broadcast.started_at, broadcast.id
LIMIT %(limit)s
"""


def open_broadcasts(*, limit: int) -> list[OpenBroadcast]:
    """List the broadcasts of all owners that are not over, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, {"states": sorted(OPEN_STATES), "limit": limit})
        return [_open_broadcast(*row) for row in cursor.fetchall()]


def _open_broadcast(  # noqa: PLR0913, PLR0917 - the columns of a row
    broadcast_id: UUID,
    livestream_id: UUID,
    name: str,
    owner: str,
    state: str,
    reconnecting: bool,  # noqa: FBT001 - a column
    publisher_address: str,
    started_at: datetime,
    seconds: float,
    health: str,
    viewers: int,
    node: str,
) -> OpenBroadcast:
    measured: dict[str, Any] = json.loads(health)
    return OpenBroadcast(
        id=broadcast_id,
        livestream_id=livestream_id,
        name=name,
        owner=owner,
        state=state,
        reconnecting=reconnecting,
        publisher_address=publisher_address,
        started_at=started_at,
        seconds=max(0.0, seconds),
        bitrate=int(measured.get("bitrate") or 0),
        frame_rate=float(measured.get("frame_rate") or 0),
        encoder=str(measured.get("encoder") or ""),
        renditions=tuple(measured.get("renditions") or ()),
        viewers=viewers,
        node=node,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OnAir:
    """Broadcasts by state, those that wait for their publisher, and the viewers of all."""

    by_state: Mapping[str, int]
    reconnecting: int
    viewers: int

    @property
    def streams(self) -> int:
        return sum(self.by_state.values())


_ON_AIR = """
SELECT state, count(*)::int, count(*) FILTER (WHERE state <> 'ending' AND publisher_left_at IS NOT NULL)::int,
       coalesce(sum((viewers ->> 'total')::int) FILTER (WHERE state <> 'ending'), 0)::int
FROM livestreams_broadcast WHERE state = ANY(%(states)s) GROUP BY state
"""


def on_air() -> OnAir:
    """Count the broadcasts that are not over; every state, also those that none is in."""
    with connection.cursor() as cursor:
        cursor.execute(_ON_AIR, {"states": sorted(OPEN_STATES)})
        rows = cursor.fetchall()
    by_state = dict.fromkeys(sorted(state.value for state in OPEN_STATES), 0)
    by_state |= {state: count for state, count, _, _ in rows}
    return OnAir(by_state=by_state, reconnecting=sum(row[2] for row in rows), viewers=sum(row[3] for row in rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentBroadcasts:
    """Broadcasts of the last so many seconds.

    `start_seconds`: average, median, 95th and 99th percentile of the time from an accepted publisher to the first
    segment; None without any. `broadcast_seconds`: what was broadcast within the window.
    """

    window_seconds: int
    started: int
    ended: int
    failed: int
    refused: Mapping[str, int]
    start_seconds: tuple[float, float, float, float] | None
    broadcast_seconds: float


_RECENT = """
WITH recent AS (
    SELECT broadcast.*, clock_timestamp() - %(seconds)s * interval '1 second' AS since,
           extract(epoch FROM live_at - started_at)::float8 AS start_seconds
    FROM livestreams_broadcast broadcast
    WHERE started_at > clock_timestamp() - %(seconds)s * interval '1 second'
       OR ended_at > clock_timestamp() - %(seconds)s * interval '1 second' OR ended_at IS NULL
)
SELECT count(*) FILTER (WHERE started_at > since)::int,
       count(*) FILTER (WHERE state = 'ended' AND ended_at > since)::int,
       count(*) FILTER (WHERE state = 'failed' AND ended_at > since)::int,
       avg(start_seconds) FILTER (WHERE started_at > since),
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY start_seconds) FILTER (WHERE started_at > since),
       coalesce(sum(greatest(0, extract(
           epoch FROM coalesce(ended_at, clock_timestamp()) - greatest(started_at, since)))), 0)::float8
FROM recent
"""


def recent_broadcasts(*, window_seconds: int) -> RecentBroadcasts:
    """Count the broadcasts and refused publishers of the last so many seconds."""
    with connection.cursor() as cursor:
        cursor.execute(_RECENT, {"seconds": window_seconds})
        started, ended, failed, average, percentiles, seconds = cursor.fetchone()
    refused = Refusal.objects.filter(last_at__gt=Now() - timedelta(seconds=window_seconds))
    return RecentBroadcasts(
        window_seconds=window_seconds,
        started=started,
        ended=ended,
        failed=failed,
        refused=dict(refused.values_list("code").annotate(times=Sum("count")).order_by("code")),
        start_seconds=None if average is None else (average, *percentiles),
        broadcast_seconds=seconds,
    )
