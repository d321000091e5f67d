"""Builders of rows for tests, with defaults for everything that a test does not set."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid4

from django.db.models.functions import Now

from access.models import Owner
from access.scopes import Scope
from access.services import default_owner, key_create
from configuration import RankConfig, RetryConfig
from jobs.leasing.claim import Claim, step_claim
from jobs.lifecycle.services import job_create
from jobs.models import Job, Step
from jobs.rules.policy import JobPolicy
from jobs.rules.steps import StepKind
from jobs.rules.transitions import StepState
from relay.engines.engine import EngineKind, EngineRequest
from relay.records.services import session_start
from transcoding.color import ColorSpace
from transcoding.planning.request import PlanPolicy
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import AudioStream, Resolution, StreamFacts, StreamKind, VideoStream
from videos.assets.services import AssetFacts
from videos.models import Generation, Rendition, Upload, Video
from videos.runs import RunFacts
from videos.services import RenditionPlan, generation_create, video_create, video_mark_inspected
from videos.states import AssetKind

LEASE_SECONDS = 60.0
PUBLIC_URL = "https://[2000::1]/hook"
"""A public address that is nobody's (RFC 4291 leaves it unassigned), and needs no name server."""


def a_plan_policy(*, chunk_seconds: int, preset: str = "veryfast", max_seconds: int = 3600) -> PlanPolicy:
    """Build a policy with chunks of this length, whatever the speed of the machine."""
    return PlanPolicy(
        preset=preset,
        chunk_work_seconds=60,
        min_chunk_seconds=chunk_seconds,
        max_chunk_seconds=chunk_seconds,
        assumed_pixels_per_second=40_000_000,
        max_seconds=max_seconds,
        max_chunks=2000,
        max_renditions=12,
    )


def a_policy(*, chunk_seconds: int = 8, retry: RetryConfig | None = None) -> JobPolicy:
    return JobPolicy(
        rank=RankConfig(),
        retry=retry or RetryConfig(),
        plan=a_plan_policy(chunk_seconds=chunk_seconds),
    )


def a_stream(index: int, *, language: str = "ger") -> StreamFacts:
    """Build a stream of subtitles in the file of a video."""
    return StreamFacts(
        index=index,
        kind=StreamKind.SUBTITLE,
        codec="subrip",
        language=language,
        default=False,
        forced=False,
        cover=False,
        accessory=False,
        size=None,
        frames=None,
        channels=0,
        sample_rate=0,
        layout="",
        duration=None,
        decodable=True,
        used=True,
    )


def some_facts(*, seconds: int = 40, audio: bool = True, width: int = 640, height: int = 360) -> dict[str, object]:
    """Build the facts of a source with 25 fps, as inspection stores them."""
    facts = SourceFacts(
        demuxer="mov",
        remuxed=False,
        video_stream=VideoStream(
            index=0,
            source_index=0,
            codec="h264",
            display=Resolution(width=width, height=height),
            rotation=0,
            pixel_format="yuv420p",
            interlaced=False,
            color=ColorSpace(),
            time_base=Fraction(1, 90_000),
            bit_rate=None,
        ),
        audio=(AudioStream(index=1, source_index=1, codec="aac", channels=2, sample_rate=48_000),) if audio else (),
        first=Fraction(0),
        rate=Fraction(25),
        constant=True,
        total_frames=25 * seconds,
        warnings=(),
    )
    return facts.to_json()


def an_owner(name: str) -> Owner:
    return Owner.objects.get_or_create(name=name)[0]


def a_key(owner: Owner | None = None, *scopes: Scope) -> str:
    """Create a key and return its text. Without scopes it gets all of them."""
    _, created = key_create(owner=owner or default_owner(), name="test", scopes=list(scopes) or [Scope.ADMIN])
    return created.text


def a_live_session(owner: Owner | None = None, *, node: str = "relay-1", **request: Any) -> UUID:  # noqa: ANN401
    """Request a live session and return its id. It is starting."""
    session_id = uuid4()
    values = {"kind": EngineKind.TRANSCODE, "container": "mpegts", **request}
    source_url = values.pop(
        "source_url", "http://dracula:sesame@receiver.example:8001/live/dracula/1:0:19.ts?token=t0k3n"
    )
    session_start(
        session_id=session_id,
        owner_id=(owner or default_owner()).id,
        key_id=None,
        node=node,
        request=EngineRequest(**values),
        source_url=source_url,
    )
    return session_id


def an_uploaded_video(owner: Owner | None = None) -> Video:
    return video_create(
        video_id=uuid4(),
        owner=owner or default_owner(),
        filename="clip.mp4",
        size_bytes=1_000_000,
        etag="e",
        container="mov",
        then=lambda _: None,
    )


def an_upload(owner: Owner | None = None, **fields: object) -> Upload:
    """An open upload in parts, of which the store knows nothing."""
    values = {"size_bytes": 1000, "part_bytes": 10_485_760, "multipart_id": "none", "expires_at": Now()} | fields
    return Upload.objects.create(owner=owner or default_owner(), video_id=uuid4(), filename="clip.mp4", **values)


def a_video(
    owner: Owner | None = None, *, seconds: int = 40, audio: bool = True, width: int = 640, height: int = 360
) -> Video:
    """An inspected video of 40 s: ten segments."""
    video = an_uploaded_video(owner)
    facts = some_facts(seconds=seconds, audio=audio, width=width, height=height)
    video_mark_inspected(video=video, facts=facts, media={}, warnings=[])
    video.refresh_from_db()
    return video


def an_audio_file(owner: Owner | None = None, *, seconds: int = 40) -> Video:
    """An inspected source of 40 s without video: ten segments."""
    video = an_uploaded_video(owner)
    facts = replace(SourceFacts.from_json(some_facts(seconds=seconds)), demuxer="mp3", video_stream=None)
    video_mark_inspected(video=video, facts=facts.to_json(), media={}, warnings=[])
    video.refresh_from_db()
    return video


def a_job(video: Video | None = None, *, priority: int = 50, policy: JobPolicy | None = None, **request: object) -> Job:
    """A job; of a fresh 40 s video it has an audio step, five chunks of two segments each, and a finish step."""
    video = video or a_video()
    job = job_create(
        owner=video.owner, video_id=video.id, request=request, priority=priority, policy=policy or a_policy()
    )
    job.refresh_from_db()
    return job


def a_generation(video: Video) -> Generation:
    """A generation with one rendition of 1,000 segments, and no steps."""
    rendition = RenditionPlan(
        name="360p", kind="video", bitrate=800_000, codecs="avc1", timescale=25_000, total_segments=1_000
    )
    return generation_create(video=video, job_id=uuid4(), plan={}, renditions=[rendition])


def a_bare_job(video: Video, *, open_steps: int = 0) -> Job:
    """A planned job without the steps of a plan."""
    generation = a_generation(video)
    job = Job.objects.create(
        owner=video.owner, video=video, generation=generation, priority=50, request={}, open_steps=open_steps
    )
    Generation.objects.filter(id=generation.id).update(job_id=job.id)
    return job


def a_step(job: Job, *, ordinal: int = 0, waited_seconds: float = 0, **fields: object) -> Step:
    """Create a ready chunk of one segment that has waited this long."""
    values: dict[str, Any] = {
        "owner_id": job.owner_id,
        "video_id": job.video_id,
        "generation_id": job.generation_id,
        "kind": StepKind.CHUNK,
        "units_total": 1,
        "payload": {"first_segment": ordinal, "segments": 1},
        "rank_at": Now() - timedelta(seconds=waited_seconds),
    }
    return Step.objects.create(job=job, ordinal=ordinal, **values | fields)


def claimed(*, queue: str = "cpu", node: str = "node", pid: int = 1, lease_seconds: float = LEASE_SECONDS) -> Claim:
    """Claim the best ready step."""
    claim = step_claim(queue=queue, node=node, pid=pid, lease_seconds=lease_seconds)
    assert claim is not None, "nothing was ready"
    return claim


def units_of(claim: Claim) -> int:
    """The segments that a claimed step makes in all, of one whose source has an end."""
    assert claim.units_total is not None
    return claim.units_total


def claim_or_none(**named: object) -> Claim | None:
    values: dict[str, Any] = {
        "queue": "cpu",
        "node": "node",
        "pid": 1,
        "lease_seconds": LEASE_SECONDS,
    }
    return step_claim(**values | named)


def expire(step_id: UUID) -> None:
    """Set a lease's expiry to a second ago."""
    Step.objects.filter(id=step_id).update(lease_expires_at=Now() - timedelta(seconds=1))


def a_run(
    rendition: Rendition, first_segment: int, segments: int = 1, *, prefix: str = "p/", init: str = "i"
) -> RunFacts:
    return RunFacts(
        rendition_id=rendition.id,
        key_prefix=prefix,
        first_segment=first_segment,
        durations=(100_000,) * segments,
        sizes=(1_000,) * segments,
        digests=("d" * 64,) * segments,
        frames=(100,) * segments,
        init_key=f"{prefix}init.mp4",
        init_sha256=init,
    )


def an_mp4(rendition: Rendition, *, key: str = "", size_bytes: int = 5, sha256: str = "c" * 64) -> AssetFacts:
    """The progressive MP4 of a rendition."""
    video = rendition.kind == "video"
    return AssetFacts(
        kind=AssetKind.MP4,
        name=rendition.name,
        rendition_id=rendition.id,
        media_type=f"{rendition.kind}/mp4",
        key=key or f"{rendition.id}.mp4",
        size_bytes=size_bytes,
        sha256=sha256,
        width=(rendition.width or 640) if video else None,
        height=(rendition.height or 360) if video else None,
        duration=4.0,
    )


def state_of(step_id: UUID) -> StepState:
    return StepState(Step.objects.values_list("state", flat=True).get(id=step_id))
