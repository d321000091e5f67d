"""The file of an upload on its way into the store, and the stall timeout of its client."""

import asyncio
import hashlib
import logging
import time
from dataclasses import dataclass
from uuid import UUID

from api.asgi import (
    Body,
    Message,
)
from api.problems import Problem, invalid_field
from storage.protocol import StoredObject
from storage.stream import IncomingObject
from transcoding.sniffing.container import HEAD_BYTES, sniff
from transcoding.sniffing.refused import refusal
from videos.uploads.form import FIELD, VideoForm
from videos.uploads.limits import UploadLimits

log = logging.getLogger(__name__)

STORED_TYPE = "application/octet-stream"
"""Never the client's: a browser that opens the store's URL must not run an uploaded file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A file that is in the store and has no row yet."""

    video_id: UUID
    form: VideoForm
    container: str
    sha256: str
    stored: StoredObject


class IncomingFile:
    """Pipe of the file into the store.

    The first bytes are inspected before any is stored. All are counted and hashed. `max_bytes` is what its owner has
    room for; None: there is no limit.
    """

    def __init__(self, incoming: IncomingObject, *, max_bytes: int | None = None) -> None:
        self.size = 0
        self.max_bytes = max_bytes
        self._incoming = incoming
        self._head = b""
        self._container: str | None = None
        self._sha256 = hashlib.sha256()

    async def write(self, data: memoryview) -> None:
        self.size += len(data)
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]
            if len(self._head) == HEAD_BYTES:
                self._container = await _found_container(self._head)
        self._sha256.update(data)
        await self._incoming.write(data)  # keeps the first part, far more than the head, until it is full

    async def finish(self, video_id: UUID, form: VideoForm) -> Received:
        if not self.size:
            raise invalid_field(FIELD, "the file is empty", code="empty_file")
        container = self._container or await _found_container(self._head)
        stored = await self._incoming.finish()
        return Received(
            video_id=video_id,
            form=form,
            container=container,
            sha256=self._sha256.hexdigest(),
            stored=stored,
        )


class StallTimeout:
    """Time for which a client may still let us wait. Waiting for the store does not count."""

    def __init__(self, limits: UploadLimits) -> None:
        self._max = self._left = limits.idle_seconds
        self._earned_per_byte = 1 / limits.min_bytes_per_second

    async def wait(self, body: Body) -> Message:
        """Receive the next piece of the body. Raises Problem (408) when the client uses up its time."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, self._left)):
                message = await body()
        except TimeoutError:
            raise _stalled() from None
        earned = len(message.get("body", b"")) * self._earned_per_byte
        self._left = min(self._max, self._left - (time.monotonic() - started) + earned)
        return message


def _stalled() -> Problem:
    return Problem(
        status=408, code="upload_stalled", detail="The client stopped sending, or sent too slowly.", retryable=True
    )


async def _found_container(head: bytes) -> str:
    """Find the container, beside other requests: crafted bytes take a fifth of a second."""
    return await asyncio.to_thread(_container, head)


def _container(head: bytes) -> str:
    family = sniff(head)
    if family is None:
        raise invalid_field(FIELD, refusal(head), code="not_a_video")
    return family


async def abort_upload(incoming: IncomingObject) -> None:
    """Remove the upload from the store. An error here must not hide the reason of the failure."""
    try:
        await incoming.abort()
    except Exception:
        log.exception("the remains of an upload stay in the store", extra={"event": "upload_remains"})
