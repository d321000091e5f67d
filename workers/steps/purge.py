"""Delete every object under a prefix that no row names any more; of a deleted video, end its jobs before."""

from jobs.leasing.leases import StepPostponed, step_postpone
from jobs.leasing.steps import StepWork
from jobs.lifecycle.outcomes import video_jobs_end, video_purged, video_rows_delete, video_writers_seconds
from storage.keys import video_prefix
from storage.transfer import batches
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.tools import Tools

_OBJECTS_AT_A_TIME = 1000


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Delete the objects under the payload's prefix, open multipart uploads included, in bounded batches."""
    prefix = work.claim.payload["prefix"]
    whole = prefix == video_prefix(work.video.id)
    control.moved()
    if whole:
        _end_jobs(work, control)
    for upload in tools.store.list_multiparts(prefix):
        tools.store.abort_multipart(upload.key, upload.upload_id)
        control.moved()
    removed = 0
    for keys in batches((stored.key for stored in tools.store.list(prefix)), _OBJECTS_AT_A_TIME):
        tools.store.delete(keys)
        removed += len(keys)
        control.moved(removed)
    while whole and retry_write(lambda: video_rows_delete(claim=work.claim), control):
        control.moved()
    retry_write(lambda: video_purged(claim=work.claim, objects=removed), control)


def _end_jobs(work: StepWork, control: StepControl) -> None:
    """End the jobs that were open when the video was deleted or rejected.

    Raises StepPostponed while steps of theirs may still write.
    """
    while retry_write(lambda: video_jobs_end(claim=work.claim), control):
        control.moved()
    seconds = retry_write(lambda: video_writers_seconds(video=work.video), control)
    if seconds:
        retry_write(lambda: step_postpone(claim=work.claim, seconds=seconds, code="", detail=""), control)
        raise StepPostponed
