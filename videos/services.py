"""Writes to videos, generations and renditions. Callers that change the state of a video hold its row lock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, Max, When
from django.db.models.functions import Coalesce, Now

from access.models import Owner
from coordination.wiring import invalidate
from storage.keys import source_key
from transcoding.planning.plan import EncodePlan
from transcoding.probing.warnings import Notice, SourceWarning
from videos.counted import generations_release
from videos.models import Asset, Generation, Import, Rendition, SegmentRun, Text, Thumbnails, Video
from videos.states import GONE_STATES, GenerationState, RenditionState, VideoState

_ERROR = ("error_code", "error_detail", "error_details")


@transaction.atomic
def video_create(  # noqa: PLR0913 - one row's facts
    *,
    video_id: UUID,
    owner: Owner,
    filename: str,
    size_bytes: int,
    etag: str,
    container: str,
    then: Callable[[Video], object],
    sha256: str = "",
    external_id: str = "",
    client_metadata: Mapping[str, object] | None = None,
    media: Mapping[str, object] | None = None,
    measure_loudness: bool = False,
    source_retention_days: int | None = None,
    state: VideoState = VideoState.UPLOADED,
) -> Video:
    """Record an upload whose object is complete. `then` runs in the same transaction: it requests the inspection.

    `media` is what the headers of the file say, until the inspection measures it. `source_retention_days`: the source
    is deleted after so many; None: after those of its owner.
    """
    video = Video.objects.create(
        id=video_id,
        owner=owner,
        state=state,
        filename=filename,
        size_bytes=size_bytes,
        source_key=source_key(video_id),
        etag=etag,
        sha256=sha256,
        container=container,
        external_id=external_id,
        client_metadata=dict(client_metadata or {}),
        media=dict(media) if media else None,
        measure_loudness=measure_loudness,
        source_expires_at=None if source_retention_days is None else Now() + timedelta(days=source_retention_days),
    )
    invalidate(f"videos:{owner.pk}")
    then(video)
    return video


def video_mark_verified(*, video: Video) -> None:
    """Record that the source of a locked video is the one that was promised. It is inspected from now on."""
    video.state = VideoState.UPLOADED
    video.error_code = video.error_detail = video.error_details = ""
    _save(video, "state", *_ERROR)


def video_mark_inspected(
    *,
    video: Video,
    facts: Mapping[str, object],
    media: Mapping[str, object],
    warnings: Sequence[object],
    working_copies: Mapping[str, int] | None = None,
) -> None:
    """Record the result of the inspection. The video can be transcoded from now on."""
    video.state = VideoState.READY
    video.facts, video.media, video.warnings = dict(facts), dict(media), list(warnings)
    video.working_copies = dict(working_copies or {})
    video.error_code = video.error_detail = video.error_details = ""
    _save(video, "state", "facts", "media", "warnings", "working_copies", *_ERROR, inspected_at=Now())


def video_warn(*, video: Video, warning: Notice) -> None:
    """Add a warning that a job found, to those of the inspection; it takes the place of one with the same code."""
    found = {each.code: each for each in map(Notice.from_document, video.warnings)} | {warning.code: warning}
    video.warnings = [each.to_document() for each in found.values()]
    _save(video, "warnings")


def video_unwarn(*, video: Video, code: SourceWarning) -> None:
    """Remove a warning that does not hold any more, if it is there."""
    found = [each for each in map(Notice.from_document, video.warnings) if each.code != code]
    if len(found) < len(video.warnings):
        video.warnings = [each.to_document() for each in found]
        _save(video, "warnings")


def video_reject(*, video: Video, code: str, detail: str, details: str = "") -> None:
    """Reject a source that is itself at fault. It can never be transcoded."""
    video.state, video.error_code, video.error_detail, video.error_details = VideoState.REJECTED, code, detail, details
    _save(video, "state", *_ERROR)
    _import_end(video)
    generations_release(video_id=video.id)


def video_record_error(*, video: Video, code: str, detail: str, details: str = "") -> None:
    """Record why the inspection failed when the source is not at fault. It may be requested again."""
    video.error_code, video.error_detail, video.error_details = code, detail, details
    _save(video, *_ERROR)


def video_mark_recorded(*, video: Video, facts: Mapping[str, object], media: Mapping[str, object]) -> None:
    """Record what a locked video was broadcast as, once that has ended. Its source is gone; it plays what was made."""
    video.state, video.facts, video.media = VideoState.READY, dict(facts), dict(media)
    _save(video, "state", "facts", "media", inspected_at=Now(), source_deleted_at=Now())


def video_mark_deleting(*, video: Video) -> None:
    """Hide a video whose objects are being deleted."""
    video.state = VideoState.DELETING
    _save(video, "state", current_generation=None)
    _import_end(video)
    generations_release(video_id=video.id)


def _import_end(video: Video) -> None:
    """Forget the URL that a video was being fetched from: it may grant access to more than the video."""
    Import.objects.filter(video=video).exclude(url="").update(url="", multipart_id="")


def video_runs_delete(*, video_id: UUID, at_a_time: int) -> bool:
    """Delete so many runs of segments of a video. Return False once there are none."""
    runs = SegmentRun.objects.filter(rendition__generation__video=video_id).values("id")[:at_a_time]
    deleted, _ = SegmentRun.objects.filter(id__in=runs).delete()
    return deleted > 0


def video_mark_deleted(*, video: Video) -> None:
    """Drop the rows that named the deleted objects of a video. The row of the video stays as a record."""
    video.state = VideoState.DELETED
    SegmentRun.objects.filter(rendition__generation__video=video).delete()
    Asset.objects.filter(generation__video=video).delete()
    Thumbnails.objects.filter(video=video).delete()
    Text.objects.filter(video=video).delete()
    _save(video, "state")


def video_mark_source_deleted(*, video: Video) -> None:
    """Record that the source of a locked video is deleted. What was made of it stays."""
    _save(video, source_deleted_at=Now())


def video_revoke_playback(*, video: Video) -> None:
    """End all playback tokens of a video that were made so far.

    Presigned URLs of the store that players have got by such a token work until they expire.
    """
    _save(video, playback_epoch=F("playback_epoch") + 1)
    video_urls_changed(video)


def video_urls_changed(video: Video) -> None:
    """Invalidate the documents with playback URLs of a video: its own, and the outputs of its jobs."""
    jobs = Generation.objects.filter(video=video).values_list("job_id", flat=True)
    invalidate(f"video:{video.id}", f"videos:{video.owner_id}", *(f"outputs:{job}" for job in set(jobs)))


def _save(video: Video, *fields: str, **expressions: object) -> None:
    invalidate(f"video:{video.id}", f"videos:{video.owner_id}")
    values = {name: getattr(video, name) for name in fields} | expressions
    Video.objects.filter(id=video.id).update(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionPlan:
    """Facts about a rendition before it is encoded. `bitrate` in bits per second, `timescale` in ticks per second.

    `total_segments` is None where the source has not ended: the rendition is open.
    """

    name: str
    kind: str
    bitrate: int
    codecs: str
    timescale: int
    total_segments: int | None
    width: int | None = None
    height: int | None = None
    frame_rate: str = ""


def generation_create(
    *,
    video: Video,
    job_id: UUID,
    plan: Mapping[str, object],
    renditions: Sequence[RenditionPlan],
    beside: Generation | None = None,
) -> Generation:
    """Create the next generation of a locked video, with its renditions in the plan's order."""
    newest = Generation.objects.filter(video=video).aggregate(newest=Coalesce(Max("number"), 0))["newest"]
    generation = Generation.objects.create(
        video=video, number=newest + 1, job_id=job_id, plan=dict(plan), beside=beside
    )
    Rendition.objects.bulk_create(_rendition(generation, *numbered) for numbered in enumerate(renditions))
    return generation


def _rendition(generation: Generation, position: int, planned: RenditionPlan) -> Rendition:
    return Rendition(
        generation=generation,
        position=position,
        name=planned.name,
        kind=planned.kind,
        width=planned.width,
        height=planned.height,
        bitrate=planned.bitrate,
        codecs=planned.codecs,
        frame_rate=planned.frame_rate,
        timescale=planned.timescale,
        total_segments=planned.total_segments,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRendition:
    """Measurements of a verified rendition: bits per second, bytes, and a digest as from `digest_of`."""

    rendition_id: UUID
    peak_bitrate: int
    avg_bitrate: int
    size_bytes: int
    sha256: str
    keyframe_peak_bitrate: int | None = None
    keyframe_avg_bitrate: int | None = None
    """Of the key frames alone. None: they are not stored."""


def generation_mark_playable(*, generation: Generation) -> None:
    """Record that the start of a generation of a locked video can be watched.

    Players get the generation, unless a complete or a newer one is current.
    """
    Generation.objects.filter(id=generation.id).update(playable_at=Now())
    Video.objects.filter(id=generation.video_id).exclude(current_generation__state=GenerationState.COMPLETE).exclude(
        current_generation__number__gt=generation.number
    ).update(current_generation=generation)


def generation_complete(*, generation: Generation, verified: Sequence[VerifiedRendition]) -> None:
    """Close a generation whose renditions are all verified.

    Players get it, unless a newer one is current, or the one that it stands beside.
    """
    for measured in verified:
        Rendition.objects.filter(id=measured.rendition_id, generation=generation).update(
            state=RenditionState.COMPLETED,
            peak_bitrate=measured.peak_bitrate,
            avg_bitrate=measured.avg_bitrate,
            keyframe_peak_bitrate=measured.keyframe_peak_bitrate,
            keyframe_avg_bitrate=measured.keyframe_avg_bitrate,
            size_bytes=measured.size_bytes,
            sha256=measured.sha256,
        )
    Generation.objects.filter(id=generation.id).update(
        state=GenerationState.COMPLETE, completed_at=Now(), playable_at=Coalesce("playable_at", Now())
    )
    videos = Video.objects.filter(id=generation.video_id).exclude(current_generation__number__gt=generation.number)
    if generation.beside_id:
        videos = videos.exclude(current_generation=generation.beside_id)
    videos.update(current_generation=generation)


def generation_close(*, generation: Generation, total_frames: int) -> int:
    """Set the totals of a generation whose source has ended; its job is locked. Returns the segments of each rendition.

    May be repeated. Raises ValueError when it was closed with another number of frames.
    """
    plan = EncodePlan.from_json(generation.plan).closed(total_frames)
    Generation.objects.filter(id=generation.id).update(plan=plan.to_json())
    open_ones = Rendition.objects.filter(generation=generation, total_segments=None)
    open_ones.update(total_segments=plan.total_segments)
    return plan.total_segments


def generation_resume(*, generation: Generation, playable: bool) -> None:
    """Continue an abandoned generation of a locked video. `playable`: players get it again, as they had its start."""
    Generation.objects.filter(id=generation.id, state=GenerationState.ABANDONED).update(state=GenerationState.BUILDING)
    if playable:
        Video.objects.filter(id=generation.video_id, current_generation=None).update(current_generation=generation)


def generation_abandon(*, generation_id: UUID) -> None:
    """Stop the growth of a generation, and take it from players, who would wait for the rest of it."""
    building = Generation.objects.filter(id=generation_id, state=GenerationState.BUILDING)
    if building.update(state=GenerationState.ABANDONED):
        Video.objects.filter(current_generation=generation_id).update(current_generation=None)


def generation_delete(*, generation: Generation) -> None:
    """Take a generation of a locked video from players for good, and drop the rows that named its objects.

    If they had it, they get the newest other one that plays, a complete one first.
    """
    SegmentRun.objects.filter(rendition__generation=generation).delete()
    Asset.objects.filter(generation=generation).delete()
    Rendition.objects.filter(generation=generation).delete()
    Generation.objects.filter(id=generation.id).update(
        state=GenerationState.DELETED, playable_at=None, completed_at=None
    )
    complete_first = Case(When(state=GenerationState.COMPLETE, then=0), default=1)
    playable = Generation.objects.filter(video=generation.video_id, playable_at__isnull=False)
    others = playable.exclude(state__in=GONE_STATES).order_by(complete_first, "-number")
    videos = Video.objects.filter(id=generation.video_id, current_generation=generation)
    videos.update(current_generation=others.first())


def rendition_delete(*, rendition: Rendition) -> None:
    """Take a rendition of a complete generation from players, and drop the rows that named its objects."""
    SegmentRun.objects.filter(rendition=rendition).delete()
    rendition.delete()
