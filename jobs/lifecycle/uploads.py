"""Uploads that become videos: their events, their inspection, and the jobs that were requested with them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from api.problems import Problem
from events.log import video_event_append
from events.types import EventType
from jobs.changes.locks import video_lock
from jobs.leasing.claim import Claim
from jobs.leasing.steps import step_mark_done
from jobs.lifecycle.inspection import inspect_after, inspect_request
from jobs.lifecycle.services import job_create
from jobs.planning.images import with_image
from jobs.planning.requests import job_request, refuse_impossible
from jobs.rules.policy import JobPolicy
from transcoding.errors import InputRejected
from videos.models import Upload, Video
from videos.services import video_mark_verified
from videos.states import VideoState
from videos.uploads.services import upload_verified


def video_uploaded(*, video: Video, policy: JobPolicy) -> None:
    """Record that all of a new video has arrived, and request its inspection; before that, that it is verified."""
    if video.state == VideoState.UPLOADED:
        video_event_append(owner_id=video.owner_id, video_id=video.id, type=EventType.VIDEO_UPLOADED)
    inspect_request(video=video, priority=policy.rank.default_priority, rank=policy.rank)


def upload_recorded(*, upload: Upload, video: Video, policy: JobPolicy) -> None:
    """Do the same for an upload, and queue the job that was requested with it.

    A job that cannot be created at the moment leaves the upload as it is: complete it again later. One that never can
    must not cost the video: the upload says what was wrong. Raises Problem (429).
    """
    video_uploaded(video=video, policy=policy)
    if upload.transcode is None:
        return
    requested: Mapping[str, Any] = upload.transcode
    try:
        with transaction.atomic():
            job = job_create(
                owner=upload.owner,
                video_id=video.id,
                request=dict(requested["fields"]),
                priority=requested["priority"],
                policy=policy,
                **requested["labels"],
            )
    except (Problem, InputRejected) as error:
        if isinstance(error, Problem) and error.retryable:
            raise
        upload.error_code, upload.error_detail = error.code, f"The job was not queued: {error}"
    else:
        upload.job_id = job.id


def transcode_check(*, owner_id: UUID, fields: Mapping[str, Any], policy: JobPolicy) -> None:
    """Raise what `job_create` would for a request that no video could fulfil: Problem (422), ImageUnknown."""
    requested = job_request(fields)
    refuse_impossible(fields, requested, policy.gpu)
    with_image(requested, owner_id, new=True)


@transaction.atomic
def video_verified(*, claim: Claim) -> None:
    """Close a `verify` step that found the promised checksum, and request the inspection. Raises LeaseLost."""
    video = video_lock(claim.video_id)
    if not step_mark_done(claim=claim, result={}):
        return
    video_mark_verified(video=video)
    upload_verified(video_id=video.id)
    video_event_append(owner_id=video.owner_id, video_id=video.id, type=EventType.VIDEO_UPLOADED)
    inspect_after(video=video, step_id=claim.step_id)
