"""A broadcast whose workers are all gone ends with what they have published, as a complete recording."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from django.db.models.functions import Now

from jobs.lifecycle.failures import leases_reclaim
from livestreams.models import Broadcast
from livestreams.services.watch import broadcasts_watch
from livestreams.states import BroadcastState
from tests.ffmpeg.golden import shown_frames
from tests.integration.live.test_broadcasting import clip, rig
from tests.live_rig import Rig, wait_for
from tests.live_rows import a_stream
from tests.rows import a_policy, expire

__all__ = ["clip", "rig"]


def test_what_was_published_is_the_recording_when_no_worker_is_left(rig: Rig, clip: Path) -> None:
    rig.start("one")
    stream = a_stream(reconnect_seconds=1)
    with rig.publishing(stream, clip):
        rig.wait_published(stream, 2)
        rig.workers["one"].kill()
        rig.workers["one"].wait()
    published = rig.published(stream)
    wait_for(lambda: stream.broadcast.publisher_left_at is not None, "the publisher has left")
    Broadcast.objects.update(publisher_left_at=Now() - timedelta(seconds=60))
    job = stream.broadcast.job
    assert job
    expire(job.steps.get(kind="live").id)
    leases_reclaim(policy=a_policy())
    broadcasts_watch()
    assert stream.broadcast.state == BroadcastState.ENDING
    rig.start("two")
    rig.wait_ended(stream)
    assert len(shown_frames(rig.recording(stream))) == published * 2 * 25
