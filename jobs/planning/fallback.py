"""Fallback from a GPU to the CPU within a job, as a new generation: a job never mixes encoders in a rendition.

The old generation stops growing. Where players have its beginning, they play it until the new one is playable. Then,
or when the job ends, it is purged.
"""

import logging

from events.types import EventType
from jobs.changes.endings import generation_discard, steps_cancel
from jobs.changes.events import event_append
from jobs.models import Job, Step
from jobs.planning.plans import job_plan
from jobs.planning.requests import GpuPolicy, gpu_preference, job_request
from jobs.planning.routing import cpu_routes
from jobs.rules.policy import JobPolicy
from videos.models import Video

log = logging.getLogger(__name__)


def may_fall_back(job: Job, policy: JobPolicy) -> bool:
    """Return True if the job may run on the CPU, which it may unless it requires a GPU."""
    requested = job_request(job.request).of_each_codec
    return all(gpu_preference(job.request, each, policy.gpu).policy is not GpuPolicy.REQUIRE for each in requested)


def job_on_gpu(job: Job) -> bool:
    """Return True if the job's newest plan is for a GPU."""
    return bool(job.generation_id) and Step.objects.filter(generation=job.generation_id).exclude(encoder="").exists()


def job_fall_back(*, job: Job, video: Video, reason: str, policy: JobPolicy) -> None:
    """Plan all codecs of a locked job of a locked video for the CPU, from the first chunk.

    Raises the errors of `job_plan`. `reason`: a `FallbackReason` or the code of a failure.
    """
    old = job.generation
    if old is None:
        raise ValueError(f"job {job.id} has nothing to fall back from")
    steps_cancel(generation=old)
    metadata = {name: value for name, value in job.metadata.items() if name != "segments_kept"}
    Job.objects.filter(id=job.id).update(metadata=metadata)
    requested = job_request(job.request)
    job_plan(job=job, video=video, requested=requested, policy=policy, routes=cpu_routes(requested, reason))
    if old.playable_at is None:
        generation_discard(generation=old)
    event_append(job_id=job.id, type=EventType.JOB_FELL_BACK, data={"from_generation": old.number, "reason": reason})
    log.warning("fell back to the CPU", extra={"event": "fell_back", "job": str(job.id), "reason": reason})
