"""Importing videos: a new video whose source is fetched from elsewhere, by a step of its own."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from access.models import Owner
from api.problems import Problem, over_limit
from events.log import video_event_append
from events.types import EventType
from jobs.changes.locks import video_lock
from jobs.leasing.claim import Claim
from jobs.leasing.leases import LeaseLost, fenced
from jobs.leasing.steps import step_mark_done
from jobs.lifecycle.inspection import inspect_after, inspect_request
from jobs.lifecycle.services import job_create
from jobs.rules.policy import JobPolicy
from outbound.urls import shown_url
from transcoding.errors import QuotaExceeded
from videos.imports import ImportedSource, import_update, video_import, video_mark_imported
from videos.models import Import, Video
from videos.states import VideoState
from videos.usage.quotas import quota_check, quota_keep

MAX_IMPORTING = 20
"""Videos of one owner that are being imported."""
_RETRY_AFTER_SECONDS = 30


@transaction.atomic
def video_import_request(
    *,
    owner: Owner,
    url: str,
    labels: Mapping[str, Any],
    job: Mapping[str, Any] | None,
    policy: JobPolicy,
) -> Video:
    """Create a video, request its source, and queue a job of it. `labels`: other fields of `video_import`.

    `job`: fields of `job_create`; None: no job is requested. Raises Problem: 403 over quota, 429 too many are being
    imported, and those of `job_create`.
    """
    Owner.objects.select_for_update(no_key=True).get(id=owner.id)  # two at once would both count the same
    if Video.objects.filter(owner=owner, state=VideoState.IMPORTING)[:MAX_IMPORTING].count() == MAX_IMPORTING:
        detail = f"{MAX_IMPORTING} of your videos are being imported, which is the most at a time."
        raise over_limit("too_many_imports", detail, retry_after_seconds=_RETRY_AFTER_SECONDS)
    quota_check(owner.id, field="url")
    video = video_import(video_id=uuid4(), owner=owner, url=url, shown_url=shown_url(url), **labels)
    inspect_request(video=video, priority=policy.rank.default_priority, rank=policy.rank)
    if job is not None:
        job_create(owner=owner, video_id=video.id, policy=policy, **job)
    return video


@transaction.atomic
def import_advance(*, claim: Claim, **facts: str | int | None) -> None:
    """Record what an attempt knows of the file that it fetches. Raises LeaseLost.

    With `multipart_id` or `received_bytes`, another attempt need not fetch all of it again.
    """
    if not fenced(claim).update(attempts_without_progress=0):
        raise LeaseLost(claim)
    import_update(video_id=claim.video_id, **facts)
    unsized = Import.objects.filter(video=claim.video_id, size_bytes=None)  # its server does not say how long it is
    if facts.get("size_bytes") or (facts.get("received_bytes") and unsized.exists()):
        _keep_quota(Video.objects.values_list("owner", flat=True).get(id=claim.video_id))


@transaction.atomic
def video_imported(*, claim: Claim, source: ImportedSource, result: Mapping[str, object]) -> None:
    """Close a `fetch` step whose source is in the store, and request its inspection. Raises LeaseLost."""
    video = video_lock(claim.video_id)
    if not step_mark_done(claim=claim, result=result):
        return
    video_mark_imported(video=video, source=source)
    data = {"size": source.size_bytes}
    video_event_append(owner_id=video.owner_id, video_id=video.id, type=EventType.VIDEO_IMPORTED, data=data)
    inspect_after(video=video, step_id=claim.step_id)
    _keep_quota(video.owner_id)


def _keep_quota(owner_id: UUID) -> None:
    """Raise QuotaExceeded if an import is more than its owner may store: its video is rejected."""
    try:
        quota_keep(owner_id)
    except Problem as problem:
        raise QuotaExceeded(str(problem)) from problem
