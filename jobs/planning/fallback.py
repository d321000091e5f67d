"""From a GPU to the CPU in the middle of a job: another generation, made by the same steps as any other.

A job never mixes encoders in a rendition. The old generation stops growing. If players have its beginning, they keep
that until they can have the new one's; then, or when the job ends, it is collected.
"""

import logging

from events.types import EventType
from jobs.changes.endings import generation_discard, steps_cancel
from jobs.changes.events import event_append
from jobs.models import Job, Step
from jobs.planning.plans import job_plan, job_request
from jobs.planning.routing import GpuPolicy, cpu_route, gpu_preference
from jobs.rules.policy import JobPolicy
from videos.models import Video

log = logging.getLogger(__name__)


def may_fall_back(job: Job, policy: JobPolicy) -> bool:
    """Whether the job would rather have the CPU than fail."""
    return gpu_preference(job.request, job_request(job.request), policy.gpu).policy is not GpuPolicy.REQUIRE


def job_on_gpu(job: Job) -> bool:
    """Whether the job's newest plan is for a GPU."""
    return bool(job.generation_id) and Step.objects.filter(generation=job.generation_id).exclude(encoder="").exists()


def job_fall_back(*, job: Job, video: Video, reason: str, policy: JobPolicy) -> None:
    """Have a locked job of a locked video done on the CPU from its first chunk. Raises what `job_plan` raises."""
    old = job.generation
    if old is None:
        raise ValueError(f"job {job.id} has nothing to fall back from")
    steps_cancel(generation=old)
    metadata = {name: value for name, value in job.metadata.items() if name != "segments_kept"}
    Job.objects.filter(id=job.id).update(metadata=metadata)
    job_plan(job=job, video=video, policy=policy, route=cpu_route(job_request(job.request), reason))
    if old.playable_at is None:
        generation_discard(generation=old)
    event_append(job_id=job.id, type=EventType.JOB_FELL_BACK, data={"from_generation": old.number, "reason": reason})
    log.warning("fell back to the CPU", extra={"event": "fell_back", "job": str(job.id), "reason": reason})
