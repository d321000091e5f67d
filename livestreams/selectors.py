"""Reads of live streams and broadcasts."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from django.db.models import DurationField, ExpressionWrapper, F, QuerySet
from django.db.models.functions import Now

from access.models import Owner
from livestreams.models import Broadcast, Livestream
from livestreams.states import ON_AIR_STATES, OPEN_STATES
from videos.models import Rendition, SegmentRun


def livestreams_of(owner: Owner) -> QuerySet[Livestream]:
    """Select the live streams that the owner can see, unordered."""
    return Livestream.objects.filter(owner=owner, deleted_at=None)


def livestream_find(*, owner: Owner, livestream_id: UUID) -> Livestream | None:
    return livestreams_of(owner).filter(id=livestream_id).first()


def newest_broadcasts(livestreams: Iterable[Livestream]) -> Mapping[UUID, Broadcast]:
    """Read the newest broadcast of each live stream that has one, by the stream's id."""
    found = Broadcast.objects.filter(livestream__in=[each.id for each in livestreams])
    return {each.livestream_id: each for each in found.order_by("livestream", "-number").distinct("livestream")}


def on_air() -> QuerySet[Broadcast]:
    """Select the broadcasts whose source may still send."""
    return Broadcast.objects.filter(state__in=ON_AIR_STATES)


def open_broadcast(livestream: Livestream) -> Broadcast | None:
    """Find the broadcast of a live stream that is not over. There is at most one."""
    return Broadcast.objects.filter(livestream=livestream, state__in=OPEN_STATES).first()


def segment_seconds(broadcast: Broadcast) -> float | None:
    """Read the seconds since a segment was last published, by the index of the first rendition. None: none was."""
    rendition = (
        Rendition.objects.filter(generation__video=broadcast.video_id).order_by("generation", "position").first()
    )
    if rendition is None:
        return None
    age = ExpressionWrapper(Now() - F("published_at"), output_field=DurationField())
    runs = SegmentRun.objects.filter(rendition=rendition).order_by("-first_segment").annotate(age=age)
    newest = runs.values_list("age", flat=True).first()
    return None if newest is None else round(max(0.0, newest.total_seconds()), 1)
