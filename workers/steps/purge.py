"""Delete every object under a prefix that no row names any more."""

from jobs.leasing.steps import StepWork
from jobs.lifecycle.outcomes import video_purged
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.tools import Tools


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Delete the objects under the payload's prefix, open multipart uploads included."""
    prefix = work.claim.payload["prefix"]
    control.moved()
    for upload in tools.store.list_multiparts(prefix):
        tools.store.abort_multipart(upload.key, upload.upload_id)
    removed = tools.store.delete_prefix(prefix)
    retry_write(lambda: video_purged(claim=work.claim, objects=removed), control)
