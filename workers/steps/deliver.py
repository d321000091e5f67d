"""Copy the outputs of a job to the bucket that it names, so that they play from there."""

import tempfile
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from execution.scratch import temporary_folder
from jobs.leasing.steps import StepWork
from jobs.lifecycle.delivering import delivery_advance, delivery_complete
from jobs.models import Job, OutputDelivery
from storage.transfer import TransferProgress, batches, run_parallel
from transcoding.errors import TranscodeError, VerificationFailed
from videos.playback.files import OutputFile, generation_files
from workers.lease.control import StepControl
from workers.lease.fenced_writes import retry_write
from workers.tools import Tools

_BATCH = 64
_THREADS = 4


class DestinationRefused(TranscodeError):
    """The operator does not allow the owner to write to the bucket any more."""

    code = "destination_refused"


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Copy all files in order, from the first one that an earlier attempt has not copied, and check what is there."""
    job = retry_write(
        lambda: Job.objects.select_related("owner", "generation", "delivery").get(id=UUID(work.claim.payload["job"])),
        control,
    )
    Delivering(work, job, tools, control).deliver()


class Delivering:
    """One attempt to deliver."""

    def __init__(self, work: StepWork, job: Job, tools: Tools, control: StepControl) -> None:
        self._claim = work.claim
        self._job = job
        self._tools = tools
        self._control = control
        delivery: OutputDelivery = job.delivery
        bucket = tools.buckets.writable(delivery.bucket, job.owner.name, str(job.owner_id))
        if bucket is None:
            raise DestinationRefused(f"outputs are not delivered to {delivery.bucket} any more")
        self._target = tools.buckets.store(bucket)
        self._folder = f"{bucket.prefix}{delivery.prefix}/"
        self._first, self._bytes = delivery.files_done, delivery.bytes_done

    def deliver(self) -> None:
        generation = self._job.generation
        if generation is None:
            raise DestinationRefused("the outputs of the job are gone")
        files = retry_write(lambda: list(generation_files(generation)), self._control)
        sizes: dict[str, int] = {}
        done = self._first = self._first if self._first <= len(files) else 0
        self._advance(len(files), done)
        with temporary_folder(self._tools.scratch, "deliver-") as folder:
            for batch in batches(files[done:], _BATCH):
                copied = run_parallel(
                    lambda file: self._copy(file, folder), batch, threads=_THREADS, progress=TransferProgress(None)
                )
                sizes |= {file.name: size for file, size in zip(batch, copied, strict=True)}
                done, self._bytes = done + len(batch), self._bytes + sum(copied)
                self._control.advanced(done, len(files))
                self._advance(len(files), done)
                self._control.published()
        self._check(files, sizes)
        claim, size = self._claim, self._bytes
        retry_write(lambda: delivery_complete(claim=claim, files=len(files), size=size), self._control)

    def _advance(self, files: int, done: int) -> None:
        claim, size = self._claim, self._bytes
        retry_write(lambda: delivery_advance(claim=claim, files=files, files_done=done, bytes_done=size), self._control)

    def _copy(self, file: OutputFile, folder: Path) -> int:
        """Copy one file and return its size. Raises VerificationFailed for an object that is not what was published."""
        key, store = f"{self._folder}{file.name}", self._tools.store
        if not file.key:
            return self._target.put(key, file.text.encode(), file.content_type).size
        if file.size is not None and file.size > store.part_bytes:
            return self._copy_large(file, key, folder)
        data = store.get(file.key)
        if file.sha256 and sha256(data).hexdigest() != file.sha256:
            raise VerificationFailed(f"{file.name}: the stored object is not the one that was published")
        return self._target.put(key, data, file.content_type).size

    def _copy_large(self, file: OutputFile, key: str, folder: Path) -> int:
        with tempfile.NamedTemporaryFile(dir=folder) as copy:
            path = Path(copy.name)
            self._tools.store.fetch(file.key, path, self._control.moved)
            if file.sha256 and _digest(path, self._control) != file.sha256:
                raise VerificationFailed(f"{file.name}: the stored object is not the one that was published")
            return self._target.put_file(key, path, file.content_type, self._control.moved).size

    def _check(self, files: list[OutputFile], sizes: dict[str, int]) -> None:
        """Compare the bucket with what was sent. Raises VerificationFailed; the next attempt begins again."""
        there = self._listed({file.name for file in files})
        for file in files:
            expected = sizes.get(file.name, file.size)
            if file.name not in there or expected not in (None, there[file.name]):
                self._bytes = 0
                self._advance(len(files), 0)
                raise VerificationFailed(f"{file.name} is not in the bucket, or not as it was sent")

    def _listed(self, names: Collection[str]) -> dict[str, int]:
        """Return the sizes of these files in the bucket. Millions of others may be in the same folder."""
        there = {}
        for stored in self._target.list(self._folder):
            self._control.moved()
            if (name := stored.key.removeprefix(self._folder)) in names:
                there[name] = stored.size
        return there


def _digest(path: Path, control: StepControl) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            control.moved(len(block))
    return digest.hexdigest()
