"""Comparison of the counters of usage with the rows that they count, and with what the store has."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.db import connection, transaction

from access.models import Owner
from storage.protocol import ObjectStore
from videos.models import Video
from videos.states import HIDDEN_STATES, VideoState
from videos.stored import missing_of, objects_of
from videos.usage.kinds import OBJECTS
from videos.usage.selectors import today, usage_of

_GENERATIONS = """
SELECT generation.id FROM videos_generation AS generation
JOIN videos_video AS video ON video.id = generation.video_id
LEFT JOIN LATERAL (
    SELECT sum(size) AS bytes FROM videos_rendition AS rendition
    JOIN videos_segmentrun AS run ON run.rendition_id = rendition.id, unnest(run.sizes) AS size
    WHERE rendition.generation_id = generation.id
) AS segments ON true
LEFT JOIN LATERAL (
    SELECT sum(size_bytes) AS bytes FROM videos_asset AS asset WHERE asset.generation_id = generation.id
) AS assets ON true
WHERE video.owner_id = %(owner)s AND (
    generation.segment_bytes <> coalesce(segments.bytes, 0) OR generation.asset_bytes <> coalesce(assets.bytes, 0)
)
"""
_DIFFERENCES = "SELECT day, kind, counted, actual FROM videos_usage_differences(%(owner)s) ORDER BY kind, day"
# Counters and rows are read in one statement, so what others write at this moment is in both or in neither.
_REPAIR = """
INSERT INTO videos_usageentry (owner_id, day, kind, amount)
SELECT owner_id, coalesce(day, (statement_timestamp() AT TIME ZONE 'UTC')::date), kind, actual - counted
FROM videos_usage_differences(%(owner)s)
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A counter that is not what its rows sum up to."""

    kind: str
    day: date | None
    """None: what there is now."""
    counted: int
    actual: int


@dataclass(frozen=True, slots=True)
class StoreReport:
    """Comparison of an owner's rows with the listing of the store."""

    missing: tuple[str, ...]
    """Keys that rows name and the store lacks, or has in another size."""
    counted_bytes: int
    """Of the kinds that are objects."""
    listed_bytes: int
    """Also of what does not count: init segments, what is written at this moment, and what is being deleted."""


def miscounted_generations(owner: Owner) -> list[UUID]:
    """List the generations whose totals are not those of their rows. Reads all runs of the owner."""
    with connection.cursor() as cursor:
        cursor.execute(_GENERATIONS, {"owner": owner.id})
        return [generation_id for (generation_id,) in cursor.fetchall()]


def differences(owner: Owner) -> list[Difference]:
    """List the counters of an owner that are not what their rows sum up to."""
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENCES, {"owner": owner.id})
        return [Difference(kind, day, counted, actual) for day, kind, counted, actual in cursor.fetchall()]


def usage_repair(owner: Owner) -> None:
    """Set the totals of generations and the counters of an owner right, beside processes that write."""
    for generation_id in miscounted_generations(owner):
        with transaction.atomic(), connection.cursor() as cursor:  # a publisher waits for one of them at most
            cursor.execute("SELECT videos_generation_recount(%s)", [generation_id])
    with connection.cursor() as cursor:
        cursor.execute(_REPAIR, {"owner": owner.id})


def store_report(owner: Owner, store: ObjectStore) -> StoreReport:
    """Compare the rows of an owner with the store. One listing and some queries for each video."""
    counted = sum(usage_of(owner.id, since=today()).now[kind] for kind in OBJECTS)
    missing: list[str] = []
    listed = 0
    for video in Video.objects.filter(owner=owner).exclude(state=VideoState.DELETED).order_by("created_at").iterator():
        found = objects_of(video, store)
        listed += sum(found.values())
        if video.state not in HIDDEN_STATES:
            missing += [each.key for each in missing_of(video, found)]
    return StoreReport(tuple(missing), counted, listed)
