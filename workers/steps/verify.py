"""Compare the source of a video with the checksum that its client promised."""

import hashlib

from jobs.leasing.steps import StepWork
from jobs.lifecycle.uploads import video_verified
from storage.errors import ObjectChanged, ObjectNotFound
from transcoding.errors import ChecksumMismatch, InputChanged
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.tools import Tools


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Read all of the source, and have it inspected. Raises ChecksumMismatch, which rejects the video."""
    video = work.video
    digest = hashlib.sha256()
    try:
        for block in tools.store.open(video.source_key, etag=video.etag):
            digest.update(block)
            control.moved(len(block))
    except (ObjectNotFound, ObjectChanged) as error:
        raise InputChanged("the source is not there any more, or was replaced") from error
    if digest.hexdigest() != video.sha256:
        raise ChecksumMismatch(f"the file has the SHA-256 {digest.hexdigest()}, and {video.sha256} was promised")
    retry_write(lambda: video_verified(claim=work.claim), control)
