"""Builders of rows of live streams for tests, with defaults for everything that a test does not set."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from access.models import Owner
from access.services import default_owner
from jobs.planning.live import live_job_create
from livestreams.models import Broadcast, Livestream
from livestreams.states import BroadcastState
from tests.rows import a_policy
from videos.services import video_create
from videos.states import VideoState

INGEST = "127.0.0.1:1935/live"


def a_livestream(owner: Owner | None = None, **columns: object) -> Livestream:
    """Create a live stream that nobody has published to."""
    values: dict[str, Any] = {
        "name": "news",
        "playback_id": f"watch{uuid4().hex[:12]}",
        "ingest_name": f"ingest{uuid4().hex[:12]}",
        "key_sha256": "0" * 64,
        "key_hint": "cafe",
        "dvr_seconds": 60,
        "reconnect_seconds": 30,
    }
    return Livestream.objects.create(owner=owner or default_owner(), **values | columns)


def a_broadcast(livestream: Livestream | None = None, **columns: object) -> Broadcast:
    """Create a broadcast in this state, whose live step is ready. Its live stream has the same state."""
    livestream = livestream or a_livestream()
    video = video_create(
        video_id=uuid4(),
        owner=livestream.owner,
        filename=livestream.name,
        size_bytes=0,
        etag="",
        container="flv",
        then=lambda _: None,
        state=VideoState.LIVE,
    )
    values: dict[str, Any] = {
        "number": livestream.broadcasts.count() + 1,
        "state": BroadcastState.LIVE.value,
        "client_id": uuid4().hex,
        "ingest_address": INGEST,
        "publisher_address": "198.51.100.7",
    }
    broadcast = Broadcast.objects.create(
        livestream=livestream,
        video=video,
        job=live_job_create(video=video, request={}, policy=a_policy()),
        **values | columns,
    )
    errors = {name: columns[name] for name in ("error_code", "error_detail") if name in columns}
    Livestream.objects.filter(id=livestream.id).update(state=broadcast.state, **errors)
    broadcast.refresh_from_db()
    return broadcast
