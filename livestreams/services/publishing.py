"""Publishers, as the hooks of ingest servers report them.

Everything is found by the name that a publisher sends, checked by its key, and matched by the ingest server's name of
the connection: a server announces the end of a refused duplicate like that of the publisher that goes on.
"""

import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from events.types import EventType
from jobs.planning.live import live_job_create
from jobs.wiring import job_policy
from livestreams.keys import secret_matches
from livestreams.models import Broadcast, Livestream
from livestreams.selectors import on_air, open_broadcast
from livestreams.services.admission import broadcast_admit
from livestreams.services.changes import (
    broadcast_move,
    livestream_event,
    livestream_lock,
    next_number,
)
from livestreams.services.endings import broadcast_withdraw, publisher_gone
from livestreams.services.refusals import Refused, refusal_record
from livestreams.states import BroadcastState, RefusalCode
from livestreams.tokens import token_holds
from livestreams.wiring import livestream_config
from videos.services import video_create
from videos.states import VideoState

log = logging.getLogger(__name__)

SILENT_SECONDS = 10.0
"""Time without a word of a publisher after which it counts as gone: three updates of its ingest server."""
STOPPED_SECONDS = 60
"""Time after a stop for which nobody is let in."""
_NOBODY = "0" * 64
"""Digest of no secret, so that an unknown name takes as long as a wrong key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """A publisher as its ingest server describes it."""

    name: str
    """The name that it publishes under."""
    key: str
    client_id: str
    """Name of its connection at the server, used again after a restart of it."""
    ingest_address: str
    """"host:port/app" of the server, as live workers reach it."""
    address: str = ""
    """Its own."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A publisher that may be let in as soon as somebody reads the stream."""

    broadcast_id: UUID
    is_new: bool
    """It starts the broadcast; otherwise it has returned."""


@transaction.atomic
def publish_requested(publisher: Publisher) -> Admission | RefusalCode:
    """Begin a broadcast for a publisher, go on with the one that it has left, or refuse it.

    May be repeated: the publisher of a connection that is there already is let in again.
    """
    livestream = _livestream(publisher)
    if isinstance(livestream, RefusalCode):
        return livestream
    try:
        return _admit(livestream, publisher)
    except Refused as refused:
        _refuse(livestream, publisher, refused)
        return refused.code


def _livestream(publisher: Publisher) -> Livestream | RefusalCode:
    """Find and lock the stream of a publisher that has its key."""
    found = Livestream.objects.filter(ingest_name=publisher.name, deleted_at=None).first()
    matches = secret_matches(publisher.key, found.key_sha256 if found else _NOBODY)
    if found is None:
        said = {"event": "publish_refused", "code": RefusalCode.UNKNOWN_STREAM.value, "address": publisher.address}
        log.warning("publisher of an unknown stream refused", extra=said)
        return RefusalCode.UNKNOWN_STREAM
    locked = livestream_lock(found.id)
    if not matches:
        detail = "The stream key is wrong. Copy it again, or rotate it."
        _refuse(locked, publisher, Refused(RefusalCode.WRONG_KEY, detail))
        return RefusalCode.WRONG_KEY
    return locked


def _refuse(livestream: Livestream, publisher: Publisher, refused: Refused) -> None:
    address = publisher.address
    refusal_record(livestream=livestream, code=refused.code, detail=refused.detail, address=address)


def _admit(livestream: Livestream, publisher: Publisher) -> Admission:
    broadcast = open_broadcast(livestream)
    if broadcast is None:
        _refuse_stopped(livestream)
        broadcast_admit(livestream)
        return Admission(_broadcast_create(livestream, publisher).id, is_new=True)
    if broadcast.state == BroadcastState.ENDING:
        detail = "The recording of the broadcast before is being completed. Try again in a few seconds."
        raise Refused(RefusalCode.ENDING, detail)
    _refuse_stopped(livestream)
    if not _is_publisher(broadcast, publisher):
        if _has_publisher(broadcast):
            raise Refused(RefusalCode.ALREADY_LIVE, "Somebody is publishing the stream already.")
        _adopt(broadcast, publisher)
    return Admission(broadcast.id, is_new=False)


def _refuse_stopped(livestream: Livestream) -> None:
    """Refuse a publisher of a broadcast that was just stopped: encoders return by themselves, within seconds."""
    lately = Now() - timedelta(seconds=STOPPED_SECONDS)
    if Broadcast.objects.filter(livestream=livestream, stop_requested_at__gt=lately).exists():
        detail = f"The broadcast was stopped. Another one may begin {STOPPED_SECONDS} seconds later."
        raise Refused(RefusalCode.STOPPED, detail)


def _is_publisher(broadcast: Broadcast, publisher: Publisher) -> bool:
    known = (broadcast.client_id, broadcast.ingest_address)
    return broadcast.publisher_left_at is None and known == (publisher.client_id, publisher.ingest_address)


def _has_publisher(broadcast: Broadcast) -> bool:
    """Tell whether a broadcast has a publisher of which there was a sign of late: its end may have been lost.

    None since nothing arrives any more at the worker is too few: the ingest server may have been restarted.
    """
    there = Broadcast.objects.filter(id=broadcast.id, publisher_left_at=None)
    arrives = Q(silent_since=None) | Q(silent_since__lt=F("publisher_seen_at"))
    return there.filter(arrives, publisher_seen_at__gt=Now() - timedelta(seconds=SILENT_SECONDS)).exists()


def _adopt(broadcast: Broadcast, publisher: Publisher) -> None:
    """Go on with a publisher that has returned. At another ingest server a reader has to wait first."""
    moved = {"reader_ready_at": None} if broadcast.ingest_address != publisher.ingest_address else {}
    Broadcast.objects.filter(id=broadcast.id).update(**_connection(publisher), **moved)


def _connection(publisher: Publisher) -> dict[str, object]:
    """Return the columns of a broadcast that describe its publisher."""
    return {
        "client_id": publisher.client_id,
        "ingest_address": publisher.ingest_address,
        "publisher_address": publisher.address,
        "publisher_seen_at": Now(),
        "publisher_left_at": None,
    }


def _broadcast_create(livestream: Livestream, publisher: Publisher) -> Broadcast:
    """Create the rows of a new broadcast of a locked live stream: workers may claim its step from the commit on."""
    number = next_number(livestream)
    title = livestream.name or "live"
    video = video_create(
        video_id=uuid4(),
        owner=livestream.owner,
        filename=f"{title} {number}",
        size_bytes=0,
        etag="",
        container="flv",
        then=lambda _: None,
        external_id=livestream.external_id,
        client_metadata=livestream.client_metadata,
        state=VideoState.LIVE,
    )
    broadcast = Broadcast.objects.create(
        livestream=livestream,
        number=number,
        video=video,
        job=live_job_create(video=video, request=_job_request(livestream), policy=job_policy()),
        record=livestream.record,
        **_connection(publisher),
    )
    broadcast_move(broadcast, BroadcastState.STARTING)
    return broadcast


def _job_request(livestream: Livestream) -> dict[str, object]:
    """Return what the job of a broadcast shows as its request."""
    return {"livestream": str(livestream.id), "output_format": "hls_mp4" if livestream.mp4 else "hls"}


def reader_waits(broadcast_id: UUID) -> bool | None:
    """Tell whether a live worker reads the stream, so that the publisher can be let in. None: it never will."""
    states = on_air().filter(id=broadcast_id).values_list("reader_ready_at", flat=True)
    found = list(states)
    return found[0] is not None if found else None


@transaction.atomic
def publish_accepted(admission: Admission, publisher: Publisher) -> bool:
    """Record that the publisher is let in. False: it has gone meanwhile, or the broadcast has ended."""
    found = Broadcast.objects.filter(id=admission.broadcast_id).select_related("livestream").get()
    livestream = livestream_lock(found.livestream_id)
    there = on_air().filter(id=found.id, stop_requested_at=None, publisher_left_at=None)
    if not there.filter(client_id=publisher.client_id).update(publisher_seen_at=Now()):
        return False
    if admission.is_new:
        livestream_event(livestream, EventType.LIVESTREAM_STARTING, broadcast=found)
    return True


@transaction.atomic
def publish_undo(admission: Admission, publisher: Publisher) -> bool:
    """Withdraw a broadcast that no worker took in time. False: one has just taken it, so the publisher is let in."""
    found = Broadcast.objects.filter(id=admission.broadcast_id).select_related("livestream").get()
    livestream = livestream_lock(found.livestream_id)
    if reader_waits(found.id):
        return False
    if admission.is_new:
        broadcast_withdraw(broadcast=found)
    else:  # it goes on to wait for its publisher, and for a worker
        Broadcast.objects.filter(id=found.id).update(publisher_left_at=Now(), client_id="")
    detail = "No live worker took the stream in time."
    _refuse(livestream, publisher, Refused(RefusalCode.NO_CAPACITY, detail))
    return True


@transaction.atomic
def publisher_seen(publisher: Publisher) -> bool:
    """Renew the publisher of a broadcast. False: it must be dropped; it may try again and is refused, or let in.

    So a lost word about its end, or about its beginning, does no harm.
    """
    found = Livestream.objects.filter(ingest_name=publisher.name).first()
    broadcast = open_broadcast(livestream_lock(found.id)) if found else None
    if found is None or broadcast is None or found.deleted_at:
        return False
    if broadcast.state not in (BroadcastState.STARTING, BroadcastState.LIVE) or broadcast.stop_requested_at:
        return False
    if not _is_publisher(broadcast, publisher):
        if _has_publisher(broadcast):
            return False
        if publisher.key and not secret_matches(publisher.key, found.key_sha256):
            return False
        _adopt(broadcast, publisher)
    Broadcast.objects.filter(id=broadcast.id).update(publisher_seen_at=Now())
    return True


@transaction.atomic
def publisher_left(publisher: Publisher) -> bool:
    """Record that a publisher has gone. False: it was none, such as a refused duplicate."""
    found = on_air().filter(
        livestream__ingest_name=publisher.name,
        client_id=publisher.client_id,
        ingest_address=publisher.ingest_address,
        publisher_left_at=None,
    )
    broadcast = found.select_related("livestream").first()
    if broadcast is None:
        return False
    livestream_lock(broadcast.livestream_id)
    publisher_gone(broadcast=broadcast)
    return True


def play_allowed(name: str, token: str) -> bool:
    """Tell whether a reader may have a stream of an ingest server: live workers may, with a token of its broadcast."""
    secret = livestream_config().ingest_secret
    ids = on_air().filter(livestream__ingest_name=name).values_list("id", flat=True)
    return any(token_holds(secret, token, each, now=time.time()) for each in ids)
