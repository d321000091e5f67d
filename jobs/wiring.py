"""The only place of this package that reads settings."""

from functools import cache

from django.conf import settings

from configuration import Config
from jobs.inspection import inspect_request
from jobs.policy import JobPolicy
from transcoding.plan import PlanPolicy
from videos.models import Video


@cache
def job_policy() -> JobPolicy:
    config: Config = settings.TRANSCODER
    return JobPolicy(
        rank=config.rank,
        retry=config.retry,
        plan=PlanPolicy(
            chunk_seconds=config.encode.chunk_seconds,
            preset=config.encode.x264_preset,
            max_seconds=config.limits.max_duration_seconds,
            max_chunks=config.limits.max_chunks,
        ),
    )


def on_uploaded(video: Video) -> None:
    """What follows an upload, in its transaction: the upload route may not know jobs and is given this."""
    rank = job_policy().rank
    inspect_request(video=video, priority=rank.default_priority, rank=rank)
