"""Reads of live streams and broadcasts."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from django.db.models import QuerySet

from access.models import Owner
from livestreams.models import Broadcast, Livestream
from livestreams.states import ON_AIR_STATES, OPEN_STATES


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
