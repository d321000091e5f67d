from datetime import datetime

from django.db.models import Expression

from jobs.models import Job
from jobs.rules.transitions import JobPhase, JobState, job_sources
from videos.models import Generation


class IllegalMove(Exception):
    """A move that `JOB_MOVES` does not allow. Callers check the state first, so this is a bug."""


def job_move(
    *,
    job: Job,
    to: JobState,
    phase: JobPhase,
    **changes: Expression | Generation | str | int | datetime | dict[str, object] | None,
) -> None:
    """Move a locked job to another state and phase, and set other columns with it. Nothing else writes a job's state.

    Raises IllegalMove where the table does not allow it.
    """
    if job.state not in job_sources(to):
        raise IllegalMove(f"a {job.state} job cannot become {to}")
    Job.objects.filter(id=job.id).update(state=to, phase=phase, **changes)
    job.state, job.phase = to, phase
