"""Lifetimes of sources and outputs: when the janitor deletes them (see `jobs.lifecycle.retention`)."""

from datetime import timedelta

from django.db.models.functions import Now

from access.limits import limits_of
from jobs.models import Job
from videos.models import Generation, Video


def source_lifetime_begin(*, video: Video) -> None:
    """Set the time at which the source of a locked video is deleted, if its owner keeps sources for a while only.

    At the first inspection: an owner that keeps them longer afterwards must not be overruled by another one.
    """
    days = limits_of(video.owner_id).source_retention_days
    if days is not None and video.inspected_at is None and video.source_expires_at is None:
        Video.objects.filter(id=video.id).update(source_expires_at=Now() + timedelta(days=days))


def outputs_lifetime_begin(*, generation: Generation, job: Job) -> None:
    """Set the time at which a completed generation is deleted: by the request of its job, or by its owner's limit."""
    days = job.request.get("output_retention_days") or limits_of(job.owner_id).output_retention_days
    if days is not None:
        Generation.objects.filter(id=generation.id).update(expires_at=Now() + timedelta(days=days))
