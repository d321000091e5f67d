"""Parts of every change: the lock, states, events."""

from collections.abc import Mapping
from uuid import UUID

from django.db.models.functions import Coalesce, Now

from events.log import owner_event_append, video_event_append
from events.types import EventType
from livestreams.models import Broadcast, Livestream
from livestreams.states import ON_AIR_STATES, BroadcastState, LivestreamState


def livestream_lock(livestream_id: UUID) -> Livestream:
    """Lock a live stream, deleted or not: its broadcasts are changed under this lock."""
    return Livestream.objects.select_for_update(no_key=True).get(id=livestream_id)


def broadcast_move(broadcast: Broadcast, to: BroadcastState, *, code: str = "", detail: str = "") -> None:
    """Move a broadcast of a locked live stream to another state, and the stream with it.

    `code` and `detail`: what ended it, where that was no ordinary end.
    """
    livestream = broadcast.livestream
    error = {"error_code": code, "error_detail": detail}
    ends = {} if to in ON_AIR_STATES else {"ended_at": Coalesce("ended_at", Now())}
    Broadcast.objects.filter(id=broadcast.id).update(state=to, **ends, **error)
    broadcast.state, broadcast.error_code, broadcast.error_detail = to, code, detail
    Livestream.objects.filter(id=livestream.id).update(state=LivestreamState(to.value), **error)


def livestream_event(
    livestream: Livestream,
    type: EventType,  # noqa: A002 - its column
    *,
    broadcast: Broadcast | None = None,
    data: Mapping[str, object] | None = None,
) -> None:
    """Append an event of a live stream; one of a broadcast belongs to its video, too."""
    about: dict[str, object] = {"livestream_id": str(livestream.id), "name": livestream.name, **(data or {})}
    if broadcast is None:
        owner_event_append(owner_id=livestream.owner_id, type=type, data=about)
    else:
        about["broadcast"] = broadcast.number
        video_event_append(owner_id=livestream.owner_id, video_id=broadcast.video_id, type=type, data=about)


def next_number(livestream: Livestream) -> int:
    """Return the number of the next broadcast of a locked live stream."""
    newest = Broadcast.objects.filter(livestream=livestream).order_by("-number").first()
    return newest.number + 1 if newest else 1
