"""Joining videos: a new video whose source is made of those of others, by a step of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from access.models import Owner
from api.problems import FieldError, Problem, invalid_field, over_limit
from events.log import video_event_append
from events.types import EventType
from jobs.changes.locks import video_lock
from jobs.leasing.claim import Claim
from jobs.leasing.steps import step_mark_done
from jobs.lifecycle.inspection import inspect_after, inspect_request
from jobs.planning.budget import budget_lock, fits, open_work_seconds, videos_joining
from jobs.rules.policy import JobPolicy
from transcoding.errors import PartGone, UnknownVersion
from transcoding.planning.joining import JoinedPart, JoinPlan, PartUnfit, plan_join
from transcoding.probing.facts import SourceFacts
from videos.models import Video
from videos.parts import JoinedSource, part_of, parts_of, video_join, video_mark_joined
from videos.selectors import videos_of
from videos.states import VideoState
from videos.usage.quotas import quota_check

MAX_JOINING = 20
"""Videos of one owner that are being joined."""
_RETRY_AFTER_SECONDS = 30
_FIELD = "videos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Labels of the new video, as a request says them."""

    filename: str
    external_id: str = ""
    client_metadata: Mapping[str, Any] | None = None
    measure_loudness: bool = False


def join_plan(*, owner: Owner, video_ids: Sequence[UUID], policy: JobPolicy) -> JoinPlan:
    """Plan how videos of an owner would be joined.

    Raises Problem: 404 not the owner's, 422 rejected, without a source, not inspected, without video, or all of them
    together beyond the limits.
    """
    return _planned(_named(owner, video_ids), policy)


@transaction.atomic
def videos_join(*, owner: Owner, video_ids: Sequence[UUID], labels: Labels, policy: JobPolicy) -> Video:
    """Create a video that plays others one after the other, and request its source.

    Raises Problem: as `join_plan`, 403 over quota, and 429 too many are being joined, or too much work.
    """
    if videos_joining(owner.id)[:MAX_JOINING].count() == MAX_JOINING:
        detail = f"{MAX_JOINING} of your videos are being joined, which is the most at a time."
        raise over_limit("too_many_joins", detail, retry_after_seconds=_RETRY_AFTER_SECONDS)
    sources = _named(owner, video_ids)
    quota_check(owner.id, more_bytes=sum(source.size_bytes for source in sources), field=_FIELD, source=False)
    plan = _planned(sources, policy)
    _refuse_more_work(owner, plan, policy)
    video = video_join(
        video_id=uuid4(),
        owner=owner,
        filename=labels.filename or sources[0].filename,
        parts=[part_of(plan, part, source.id) for part, source in zip(plan.parts, sources, strict=True)],
        external_id=labels.external_id,
        client_metadata=labels.client_metadata,
        measure_loudness=labels.measure_loudness,
    )
    inspect_request(video=video, priority=policy.rank.default_priority, rank=policy.rank)
    return video


def joined_sources(video: Video) -> list[Video]:
    """Read the parts of a video, in order. Raises PartGone where one of them, or its source, was deleted."""
    ids = [part.video_id for part in parts_of(video)]
    there = Video.objects.filter(state=VideoState.READY, source_deleted_at=None).in_bulk(ids)
    for position, video_id in enumerate(ids):
        if video_id not in there:
            raise PartGone(f"part {position + 1} was deleted before the videos were joined")
    return [there[video_id] for video_id in ids]


@transaction.atomic
def video_joined(
    *, claim: Claim, source: JoinedSource, parts: Sequence[JoinedPart], result: Mapping[str, object]
) -> None:
    """Close a `join` step whose source is in the store, and request its inspection. Raises LeaseLost."""
    video = video_lock(claim.video_id)
    if not step_mark_done(claim=claim, result=result):
        return
    video_mark_joined(video=video, source=source, differs=[part.differs for part in parts])
    video_event_append(
        owner_id=video.owner_id, video_id=video.id, type=EventType.VIDEO_JOINED, data={"parts": len(parts)}
    )
    inspect_after(video=video, step_id=claim.step_id)


def _named(owner: Owner, video_ids: Sequence[UUID]) -> list[Video]:
    """Return the videos of a request, in its order, if they can be joined. Raises Problem."""
    found = videos_of(owner).in_bulk(set(video_ids))
    for position, video_id in enumerate(video_ids):
        if video_id not in found:
            field = FieldError(f"{_FIELD}.{position}", f"there is no video {video_id}")
            raise Problem(status=404, code="video_not_found", detail=f"{field.field}: {field.detail}", errors=(field,))
        if reason := _unusable(found[video_id]):
            raise invalid_field(f"{_FIELD}.{position}", reason)
    return [found[video_id] for video_id in video_ids]


def _unusable(video: Video) -> str:
    if video.state == VideoState.REJECTED:
        return f"was rejected: {video.error_detail}"
    if video.source_deleted_at:
        return "has no source any more"
    return "" if video.state == VideoState.READY else "is not inspected yet; wait until its status is ready"


def _planned(sources: Sequence[Video], policy: JobPolicy) -> JoinPlan:
    if (together := sum(source.size_bytes for source in sources)) > policy.max_source_bytes:
        raise invalid_field(_FIELD, f"have {together} bytes together; {policy.max_source_bytes} are allowed")
    try:
        return plan_join([_facts(source, position) for position, source in enumerate(sources)], policy.plan)
    except PartUnfit as refusal:
        raise invalid_field(f"{_FIELD}.{refusal.position}", str(refusal)) from refusal


def _facts(video: Video, position: int) -> SourceFacts:
    try:
        return SourceFacts.from_json(video.facts)
    except UnknownVersion as error:
        detail = "was inspected by another version of the program; transcode it once, so that it is inspected again"
        raise invalid_field(f"{_FIELD}.{position}", detail) from error


def _refuse_more_work(owner: Owner, plan: JoinPlan, policy: JobPolicy) -> None:
    """Raise Problem (429) for work that the owner has no room for. What is copied is none."""
    if not plan.work_seconds:
        return
    budget_lock(owner.id)
    open_seconds = open_work_seconds(owner.id)
    if not fits(plan.work_seconds, open_seconds=open_seconds, max_seconds=policy.max_owner_work_seconds):
        detail = (
            f"Joining is expected to take {plan.work_seconds:.0f} s of work. Your unfinished work is {open_seconds:.0f}"
            f" s, and {policy.max_owner_work_seconds} s are allowed. Try again when some of it has ended."
        )
        raise Problem(status=429, code="work_budget_exceeded", detail=detail, retryable=True)
