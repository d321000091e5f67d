"""Builders of rows of live streams: streams, publishers, and what a live worker does for a broadcast."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from access.models import Owner
from access.services import default_owner
from jobs.leasing.claim import Claim
from jobs.leasing.nodes import node_register
from jobs.leasing.steps import step_begin, step_complete, step_publish
from jobs.rules.steps import LIVE_QUEUE
from livestreams.models import Broadcast, Livestream
from livestreams.services import attempts
from livestreams.services.publishing import Admission, Publisher, publish_accepted, publish_requested
from livestreams.services.streams import livestream_create
from tests.rows import a_policy, claimed, some_facts
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from videos.models import Rendition
from videos.runs import RunFacts

INGEST = "10.0.0.7:1935/live"
GOP_FRAMES = 50
"""At 25 frames per second: a segment is one GOP of 2 s."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A live stream and its key."""

    row: Livestream
    secret: str

    def publisher(self, client_id: str = "1", *, secret: str | None = None, ingest: str = INGEST) -> Publisher:
        """Describe a publisher of the stream as its ingest server does."""
        return Publisher(
            name=self.row.ingest_name,
            key=self.secret if secret is None else secret,
            client_id=client_id,
            ingest_address=ingest,
            address="203.0.113.9",
        )

    @property
    def broadcast(self) -> Broadcast:
        """Read the newest broadcast."""
        return Broadcast.objects.filter(livestream=self.row).select_related("video", "job").latest("number")

    @property
    def state(self) -> str:
        self.row.refresh_from_db()
        return self.row.state


def a_stream(owner: Owner | None = None, **columns: object) -> Stream:
    """Create a live stream that records."""
    values = {"name": "Parliament", "dvr_seconds": 3600, "reconnect_seconds": 30} | columns
    row, key = livestream_create(owner=owner or default_owner(), **values)
    return Stream(row, key.partition("key=")[2])


def a_live_node(*, slots: int = 4, name: str = "live-1") -> None:
    node_register(name=name, queues=[LIVE_QUEUE], slots=slots, pid=1, info={})


def a_live_plan(*, mp4: bool = False) -> EncodePlan:
    """Plan one rendition of 360p and no audio, without an end, in segments of one GOP."""
    facts = SourceFacts.from_json(some_facts(audio=False))
    plan = plan_job(facts, JobRequest(resolution="360p", mp4=mp4), a_policy().plan)
    return replace(plan, source=replace(facts, total_frames=None), chunks=(), sizing=None, segment_gops=1)


def started(stream: Stream, client_id: str = "1") -> Claim:
    """Let a publisher in, as a hook and a live worker do together. Return the claim of the live step."""
    publisher = stream.publisher(client_id)
    admission = publish_requested(publisher)
    assert isinstance(admission, Admission)
    claim = claimed(queue=LIVE_QUEUE, node="live-1")
    step_begin(claim=claim)
    attempts.reader_ready(claim=claim)
    assert publish_accepted(admission, publisher)
    return claim


def publish(claim: Claim, first: int, end: int, *, last_frames: int = GOP_FRAMES) -> None:
    """Publish the segments of a broadcast from a number up to another one."""
    rendition = Rendition.objects.get(generation=claim.generation_id)
    for number in range(first, end):
        frames = last_frames if number == end - 1 else GOP_FRAMES
        run = RunFacts(
            rendition_id=rendition.id,
            key_prefix=f"p{number}/",
            first_segment=number,
            durations=(frames * rendition.timescale // 25,),
            sizes=(1_000,),
            digests=("d" * 64,),
            frames=(frames,),
            init_key="p/init.mp4",
            init_sha256="i",
        )
        step_publish(claim=claim, runs=[run], units_done=number + 1)


def live(stream: Stream, segments: int = 3) -> Claim:
    """Broadcast some segments of a stream."""
    _, _, claim = attempts.broadcast_plan(claim=started(stream), plan=a_live_plan(mp4=stream.row.mp4))
    attempts.period_begin(claim=claim, first_segment=0, starts_at=datetime.now(UTC))
    publish(claim, 0, segments)
    attempts.broadcast_live(claim=claim)
    return claim


def a_live_stream(owner: Owner | None = None, **columns: object) -> Stream:
    """Create a live stream that is on the air."""
    a_live_node()
    stream = a_stream(owner, **columns)
    live(stream)
    return stream


def closed(claim: Claim, total_frames: int) -> None:
    """End a broadcast as its worker does."""
    attempts.broadcast_close(claim=claim, total_frames=total_frames)
    step_complete(claim=claim, result={})
