"""Requests of owners: create, change, rotate the key, stop, delete."""

from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from access.models import Owner
from api.problems import Problem
from livestreams.keys import (
    ingest_name_generate,
    playback_id_generate,
    secret_digest,
    secret_generate,
    secret_hint,
    stream_key,
)
from livestreams.models import Broadcast, Livestream
from livestreams.selectors import livestreams_of, open_broadcast
from livestreams.services.changes import livestream_lock
from livestreams.states import ON_AIR_STATES

MAX_OF_OWNER = 1000
"""Live streams of one owner."""


@transaction.atomic
def livestream_create(*, owner: Owner, **columns: Any) -> tuple[Livestream, str]:  # noqa: ANN401 - columns of the row
    """Create a live stream. The second value is its stream key, which is not stored.

    Raises Problem (409) when the owner has too many.
    """
    if livestreams_of(owner)[:MAX_OF_OWNER].count() == MAX_OF_OWNER:
        detail = f"You have {MAX_OF_OWNER} live streams, which is the most. Delete some, or use one again."
        raise Problem(status=409, code="too_many_livestreams", detail=detail)
    secret = secret_generate()
    livestream = Livestream.objects.create(
        owner=owner,
        playback_id=playback_id_generate(),
        ingest_name=ingest_name_generate(),
        key_sha256=secret_digest(secret),
        key_hint=secret_hint(secret),
        **columns,
    )
    livestream.refresh_from_db()
    return livestream, stream_key(livestream.ingest_name, secret)


@transaction.atomic
def livestream_update(*, livestream: Livestream, **columns: Any) -> None:  # noqa: ANN401 - columns of the row
    """Change columns of a live stream that its owner sets."""
    Livestream.objects.filter(id=livestream.id).update(**columns)


@transaction.atomic
def livestream_rotate_key(*, livestream: Livestream) -> str:
    """Replace the secret and return the new stream key. Whoever is connected with the previous one stays so."""
    secret = secret_generate()
    Livestream.objects.filter(id=livestream.id).update(key_sha256=secret_digest(secret), key_hint=secret_hint(secret))
    return stream_key(livestream.ingest_name, secret)


@transaction.atomic
def livestream_stop(*, livestream: Livestream) -> None:
    """Request the end of the broadcast that is on the air. May be repeated. Raises Problem: 409 there is none."""
    broadcast = open_broadcast(livestream_lock(livestream.id))
    if broadcast is None:
        raise Problem(status=409, code="livestream_not_live", detail="Nothing is being broadcast.")
    _stop(broadcast)


@transaction.atomic
def livestream_delete(*, livestream: Livestream) -> None:
    """Hide a live stream for good, and request the end of its broadcast. Recordings stay."""
    locked = livestream_lock(livestream.id)
    Livestream.objects.filter(id=locked.id, deleted_at=None).update(deleted_at=Now(), push=[])
    if broadcast := open_broadcast(locked):
        _stop(broadcast)


def _stop(broadcast: Broadcast) -> None:
    open_ones = Broadcast.objects.filter(id=broadcast.id, state__in=ON_AIR_STATES, stop_requested_at=None)
    open_ones.update(stop_requested_at=Now())
