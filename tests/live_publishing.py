"""A broadcast as its worker publishes it: rows, objects and parts, as fast or as slowly as a test wants."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import uuid4

from django.db.models.functions import Now

from access.models import Owner
from access.services import default_owner
from coordination.live_parts import LiveParts
from jobs.models import Job
from jobs.planning.steps import planned_renditions
from livestreams.models import Broadcast, Livestream, Period
from livestreams.states import BroadcastState
from storage.keys import segment_key
from storage.protocol import ObjectStore
from transcoding.flv.facts import IncomingFacts
from transcoding.planning.latency import Latency
from transcoding.planning.livestream import LadderRequest, RungRequest, plan_livestream
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Rendition, Video
from videos.runs import RunFacts, run_publish
from videos.services import generation_create, generation_mark_playable
from videos.states import GenerationState, RenditionKind, VideoState

PARTS = 4
"""Parts of a segment."""


def a_live_plan(
    *, latency: Latency = Latency.NORMAL, rungs: tuple[str, ...] = ("360p",), rate: int = 25, height: int = 360
) -> EncodePlan:
    """Plan a stream with audio, in segments of two seconds."""
    facts = IncomingFacts(
        width=height * 16 // 9,
        height=height,
        rate=Fraction(rate),
        video_codec="h264",
        audio_sample_rate=48_000,
        audio_channels=2,
        video_bitrate=None,
        audio_bitrate=None,
    )
    request = LadderRequest(rungs=tuple(RungRequest(size=name) for name in rungs), preset="ultrafast")
    return plan_livestream(facts, request, latency=latency)


def a_livestream(owner: Owner | None = None, **fields: object) -> Livestream:
    values = {
        "name": "stage",
        "playback_id": secrets.token_hex(8),
        "ingest_name": secrets.token_hex(8),
        "key_sha256": "0" * 64,
        "key_hint": "0000",
        "dvr_seconds": 30,
        "reconnect_seconds": 30,
    } | fields
    return Livestream.objects.create(owner=owner or default_owner(), **values)


class LivePublisher:
    """Publishes a broadcast. Segments and parts are words that say which ones they are, unless bytes are given."""

    def __init__(
        self,
        plan: EncodePlan,
        livestream: Livestream,
        *,
        store: ObjectStore | None = None,
        parts: LiveParts | None = None,
        record: bool = True,
    ) -> None:
        self.plan = plan
        self.livestream = livestream
        self._store = store
        self._parts = parts or LiveParts(None)
        self.attempt = 1
        self._step_id = uuid4()
        video = Video.objects.create(
            owner=livestream.owner, state=VideoState.LIVE, filename="live", size_bytes=0, source_key=""
        )
        job = Job.objects.create(owner=livestream.owner, video=video, request={}, priority=50)
        renditions = list(planned_renditions(plan))
        self.generation = generation_create(video=video, job_id=job.id, plan=plan.to_json(), renditions=renditions)
        number = Broadcast.objects.filter(livestream=livestream).count() + 1
        self.broadcast = Broadcast.objects.create(
            livestream=livestream, number=number, video=video, job=job, ingest_address="", record=record
        )
        self.renditions = {row.name: row for row in Rendition.objects.filter(generation=self.generation)}

    @property
    def prefix(self) -> str:
        return f"live/{self.generation.id}/{self.attempt}/"

    def begin(self, first_segment: int, starts_at: datetime | None = None) -> None:
        """Begin a period."""
        Period.objects.create(
            broadcast=self.broadcast,
            first_segment=first_segment,
            starts_at=starts_at or datetime.now(UTC),
            attempt=self.attempt,
        )

    def init(self, name: str, data: bytes) -> None:
        """Store the init segment of a rendition."""
        if self._store:
            self._store.put(f"{self.prefix}{name}/init.mp4", data, self._media_type(name))

    def part(
        self, name: str, segment: int, index: int, *, data: bytes = b"", ticks: int = 0, independent: bool = False
    ) -> None:
        """Store a part of a segment that is not published yet."""
        self._parts.put(
            self.generation.id,
            name,
            segment,
            index,
            data or f"{name} {segment}.{index}".encode(),
            attempt=self.attempt,
            ticks=ticks or self._part_ticks(name, segment, index),
            independent=independent or index == 0 or name == "audio",
        )

    def segment(self, name: str, number: int, *, data: bytes = b"", ticks: int = 0, parts: bool = False) -> None:
        """Publish a segment, perhaps after all of its parts. The first one makes the broadcast playable."""
        for index in range(PARTS if parts else 0):
            self.part(name, number, index)
        prefix, data = f"{self.prefix}{name}/", data or f"{name} {number}".encode()
        if self._store:
            self._store.put(segment_key(prefix, number), data, self._media_type(name))
        run = RunFacts(
            rendition_id=self.renditions[name].id,
            key_prefix=prefix,
            first_segment=number,
            durations=(ticks or self._segment_ticks(name, number),),
            sizes=(len(data),),
            digests=("d" * 64,),
            frames=(1,),
            init_key=f"{prefix}init.mp4",
            init_sha256="i",
        )
        init_key = self.renditions[name].init_key or run.init_key
        run_publish(step_id=self._step_id, attempt=self.attempt, runs=[replace(run, init_key=init_key)])
        self._parts.announce(self.generation.id)

    def segments(self, first: int, end: int, *, names: tuple[str, ...] = (), parts: bool = False) -> None:
        """Publish segments of all renditions, or of these."""
        for number in range(first, end):
            for name in names or tuple(self.renditions):
                self.segment(name, number, parts=parts)
        self.playable()

    def playable(self) -> None:
        """Let players have it."""
        if self.broadcast.state == BroadcastState.STARTING:
            generation_mark_playable(generation=Generation.objects.get(id=self.generation.id))
            self._move(BroadcastState.LIVE, live_at=Now())

    def end(self, *, complete: bool = False) -> None:
        """End the broadcast; `complete`: its recording is verified, too."""
        ends = Now()
        Broadcast.objects.filter(id=self.broadcast.id, ended_at=None).update(ended_at=ends)
        self._move(BroadcastState.ENDED)
        for row in self.renditions.values():
            count = sum(run.segment_count for run in row.runs.all())
            Rendition.objects.filter(id=row.id).update(total_segments=count or None)
        if complete:
            changes = {"state": GenerationState.COMPLETE, "completed_at": ends}
            Generation.objects.filter(id=self.generation.id).update(**changes)
            Video.objects.filter(id=self.broadcast.video_id).update(
                state=VideoState.READY, facts=self.plan.source.to_json(), media={}, inspected_at=ends
            )
        self._parts.announce(self.generation.id)

    def clock(self, segment: int, starts_at: datetime) -> datetime:
        """Return the time of a segment of a period that starts with segment 0 at a time."""
        return starts_at + timedelta(seconds=float(segment * self.plan.grid.segment_seconds))

    def _move(self, state: BroadcastState, **columns: object) -> None:
        Broadcast.objects.filter(id=self.broadcast.id).update(state=state, **columns)
        self.broadcast.refresh_from_db()

    def _media_type(self, name: str) -> str:
        return "audio/mp4" if self.renditions[name].kind == RenditionKind.AUDIO else "video/mp4"

    def _segment_ticks(self, name: str, number: int) -> int:
        return self._tick(name, number, PARTS) - self._tick(name, number, 0)

    def _part_ticks(self, name: str, segment: int, index: int) -> int:
        return self._tick(name, segment, index + 1) - self._tick(name, segment, index)

    def _tick(self, name: str, segment: int, part: int) -> int:
        """Return the decode tick at which a part begins."""
        grid = self.plan.grid
        frame = min(part * -(-grid.gop_frames // PARTS), grid.segment_frames)
        track = self.plan.audio_track(name)
        if track is None:
            return (grid.first_frame(segment) + frame) * grid.frame_ticks
        return track.encoder.boundary(grid.start(segment) + frame / grid.rate) if segment or part else 0
