"""Builds the package's objects from the settings. No other module of the package, but its commands, reads them."""

from functools import cache

from django.conf import settings

from configuration import Config, buckets_read
from execution.scratch import liveness_folder
from jobs.dispatching.dispatcher import Dispatcher
from jobs.dispatching.janitor import Janitor
from jobs.dispatching.tickets import TicketSender, ticket_send
from jobs.lifecycle.uploads import upload_recorded, video_uploaded
from jobs.rules.policy import JobPolicy
from observability.liveness import LivenessFile
from outbound.addresses import Reach, reach_into
from storage.buckets import Buckets
from storage.wiring import store_from
from transcoding.encoders import HardwarePath
from transcoding.planning.request import PlanPolicy
from videos.models import Upload, Video


@cache
def job_policy() -> JobPolicy:
    config: Config = settings.TRANSCODER
    return JobPolicy(
        rank=config.rank,
        retry=config.retry,
        plan=PlanPolicy(
            preset=config.encode.x264_preset,
            chunk_work_seconds=config.encode.chunk_work_seconds,
            min_chunk_seconds=config.encode.min_chunk_seconds,
            max_chunk_seconds=config.encode.max_chunk_seconds,
            assumed_pixels_per_second=config.encode.assumed_pixels_per_second,
            max_seconds=config.limits.max_duration_seconds,
            max_chunks=config.limits.max_chunks,
            max_renditions=config.limits.max_renditions,
            max_step_seconds=config.limits.max_step_seconds,
            max_work_seconds=config.limits.max_job_work_seconds,
            two_pass=config.encode.two_pass,
            hardware_path=HardwarePath(config.encode.hardware_path),
        ),
        silence_seconds=config.lease.node_silence_seconds,
        gpu=config.gpu,
        thumbnails=config.encode.thumbnails,
        max_owner_jobs=config.owner.max_owner_jobs,
        max_pixels=config.limits.max_pixels,
        max_texts=config.limits.max_texts,
        max_source_bytes=config.upload.max_upload_bytes,
        max_owner_work_seconds=config.limits.max_owner_work_seconds,
        ffmpeg_threads=config.execution.ffmpeg_threads,
    )


def import_reach() -> Reach:
    """Return where videos may be imported from."""
    config: Config = settings.TRANSCODER
    return reach_into(config.import_networks)


@cache
def buckets() -> Buckets:
    """Return the buckets that videos may be imported from, and outputs delivered to."""
    config: Config = settings.TRANSCODER
    return Buckets(buckets_read(config.buckets.buckets), config.storage)


def dispatcher() -> Dispatcher:
    """Build a dispatcher whose tickets go to the configured broker."""
    config: Config = settings.TRANSCODER
    sender = TicketSender(ticket_send)
    sender.start()
    liveness = LivenessFile(liveness_folder(config.execution), "dispatcher")
    return Dispatcher(lease=config.lease, policy=job_policy(), sender=sender, liveness=liveness)


def janitor() -> Janitor:
    """Build the janitor of a dispatcher process."""
    config: Config = settings.TRANSCODER
    return Janitor(store=store_from(config.storage), config=config.janitor, event_days=config.events.event_days)


def on_uploaded(video: Video) -> None:
    """Record a complete upload and request its inspection, in the upload's transaction.

    The upload routes are given this function and the next one: they lie below jobs and must not import them.
    """
    video_uploaded(video=video, policy=job_policy())


def on_upload_recorded(upload: Upload, video: Video) -> None:
    """Do the same for an upload with a row, and queue the job that was requested with it."""
    upload_recorded(upload=upload, video=video, policy=job_policy())
