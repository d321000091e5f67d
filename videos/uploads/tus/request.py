"""One request that appends to a tus upload, from its first byte to what of it is stored."""

import asyncio
import contextlib
import logging
import time

from django.db import InterfaceError, OperationalError

from api.asgi import Body, in_thread
from api.problems import Problem, too_large
from storage.errors import StorageError
from storage.protocol import ObjectStore
from storage.stream import UploadPool
from transcoding.sniffing.container import HEAD_BYTES, sniff
from videos.models import Upload
from videos.uploads.incoming import StallTimeout
from videos.uploads.limits import OpenLimits, UploadLimits
from videos.uploads.services import RENEW_SECONDS, upload_clear, upload_refuse, upload_renew
from videos.uploads.tus.appending import Appending, Stored, Target
from videos.uploads.tus.locks import (
    tus_upload_of,
    upload_held,
    upload_lock_renew,
    upload_locked,
    upload_record,
    upload_unlock,
)
from videos.uploads.tus.protocol import BodyDigest, Checksum

TICK_SECONDS = 1.0
"""Time between two looks at what is stored."""
CHECK_LOCK_SECONDS = 2.0
"""Time between two renewals of a lock or, where nothing has happened, two looks at whether it is lost."""
SILENT_SECONDS = 2.0
"""Silence of a client after which all that it has sent is stored: its connection may be broken without a word."""
PAUSE_SECONDS = 10.0
"""Time between two such times, since each stores up to a part again."""

log = logging.getLogger(__name__)


class ClientGoneError(Exception):
    """The client has closed the connection."""


class AppendRequest:
    """The body of a request, on its way into a locked upload.

    Whatever ends it, what has arrived is stored and recorded, the lock is over, and others may go on. With a checksum
    it is all of the body or nothing.
    """

    def __init__(  # noqa: PLR0913 - all that it works with, by name
        self,
        upload: Upload,
        *,
        checksum: Checksum | None,
        store: ObjectStore,
        pool: UploadPool,
        limits: UploadLimits,
        open_limits: OpenLimits,
    ) -> None:
        self._upload = upload
        self._store = store
        self._limits = limits
        self._open_limits = open_limits
        self._checked = checksum is not None
        self._digest = BodyDigest(checksum)
        self._head = b"" if upload.received_bytes == 0 else None
        target = Target(
            video_id=upload.video_id,
            multipart_id=upload.multipart_id,
            part_bytes=upload.part_bytes,
            received_bytes=upload.received_bytes,
            part_etags=upload.part_etags,
            tail_key=upload.tail_key,
            lock=upload.lock_number,
        )
        self._appending = Appending(store, target, pool=pool, parallel_parts=limits.parallel_parts)
        self._recorded = self._appending.stored
        self._over = asyncio.Event()
        self._lost = False
        """Nothing more of it may be stored."""
        now = time.monotonic()
        self._arrived_at = self._checked_at = self._lock_renewed_at = self._renewed_at = now
        self._paused_at = now - PAUSE_SECONDS

    async def run(self, body: Body) -> Stored:
        """Take the body and return what of the upload is stored then.

        Raises Problem: 408, 413, 422 not a video, 423 another request has taken over, 460, those of an upload that has
        ended meanwhile; and ClientGoneError.
        """
        receiving = asyncio.ensure_future(self._receive(body))
        keeping = asyncio.ensure_future(self._keep())
        try:
            await asyncio.wait((receiving, keeping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._lost = self._lost or keeping.done()
            receiving.cancel()
            self._over.set()
            outcome, failure = await asyncio.gather(receiving, keeping, return_exceptions=True)
            held = await self._finish(complete=outcome is None)
        if failure is not None:
            raise failure
        if not held:
            await in_thread(self._clear_lost)
            raise upload_locked()
        if outcome is not None:
            raise outcome
        return self._recorded

    async def _receive(self, body: Body) -> None:
        stall_timeout = StallTimeout(self._limits)
        await self._appending.open()
        while not body.ended:
            message = await stall_timeout.wait(body)
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            data = message.get("body", b"")
            self._arrived_at = time.monotonic()
            self._check_size(body.size)
            await self._inspect(data)
            self._digest.update(data)
            await self._appending.write(memoryview(data))
        self._digest.check()

    def _check_size(self, arrived: int) -> None:
        size = self._upload.size_bytes
        max_bytes = self._open_limits.max_bytes if size is None else size
        if self._upload.received_bytes + arrived > max_bytes:
            raise too_large(f"The upload may have {max_bytes} bytes.", field="Upload-Length")

    async def _inspect(self, data: bytes) -> None:
        """Find out from the first bytes of a file whether it can be a video, before gigabytes of it arrive."""
        if self._head is None:
            return
        self._head += data[: HEAD_BYTES - len(self._head)]
        if len(self._head) == HEAD_BYTES:
            head, self._head = self._head, None
            if await asyncio.to_thread(sniff, head) is None:
                self._lost = True
                await in_thread(upload_refuse, upload=self._upload, head=head, store=self._store)

    async def _keep(self) -> None:
        """Record what is stored and renew the lock, now and then, until the request is over or the lock is lost."""
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), TICK_SECONDS)
            if self._over.is_set():
                return
            await self._store_silence()
            try:
                held = await self._record_progress()
            except (OperationalError, InterfaceError) as error:  # nobody else gets the lock without a database
                log.warning("progress not recorded: %s", error, extra={"event": "upload_progress_not_recorded"})
            else:
                if not held:
                    return

    async def _store_silence(self) -> None:
        """Store all that has arrived if the client has been silent for a while."""
        now = time.monotonic()
        silent = now - self._arrived_at >= SILENT_SECONDS and not self._appending.waits_for_store
        if self._checked or not silent or now - self._paused_at < PAUSE_SECONDS:
            return
        self._paused_at = now
        with contextlib.suppress(StorageError):  # the next write, or the end, says so
            await self._appending.store_tail()

    async def _record_progress(self) -> bool:
        now, stored = time.monotonic(), self._stored()
        if now - self._renewed_at >= RENEW_SECONDS:
            self._renewed_at = now
            await in_thread(upload_renew, upload=self._upload, limits=self._open_limits)
        if stored != self._recorded:
            self._checked_at = self._lock_renewed_at = now
            held = await in_thread(upload_record, upload=self._upload, stored=stored)
            if held:
                await self._forget_tail(stored)
            return held
        if now - self._checked_at < CHECK_LOCK_SECONDS:
            return True
        self._checked_at = now
        if self._arrived_at < self._lock_renewed_at and not self._appending.waits_for_store:
            return await in_thread(upload_held, upload=self._upload)  # its client is silent, and may be back elsewhere
        self._lock_renewed_at = now
        return await in_thread(upload_lock_renew, upload=self._upload)

    def _stored(self) -> Stored:
        """Return what is stored and may be recorded: nothing new before a checksum is compared."""
        return self._recorded if self._checked else self._appending.stored

    async def _finish(self, *, complete: bool) -> bool:
        """Store what has arrived, record it and end the lock. False: it is lost."""
        keep = (complete or not self._checked) and not self._lost
        self._checked = not keep
        try:
            if keep:
                await self._store_rest()
            else:
                await self._appending.wait()
        except StorageError:
            if complete:
                raise
            log.exception("the end of a request is not stored", extra={"event": "upload_rest_not_stored"})
        finally:
            stored = self._stored()
            held = await in_thread(upload_unlock, upload=self._upload, stored=stored)
            if held:
                await self._forget_tail(stored)
        return held

    async def _store_rest(self) -> None:
        if self._appending.received_bytes == self._upload.size_bytes:
            await self._appending.store_last_part()
        else:
            await self._appending.store_tail()

    async def _forget_tail(self, stored: Stored) -> None:
        """Delete the tail that was recorded before, if another one or a part has replaced it."""
        before, self._recorded = self._recorded, stored
        if before.tail_key and before.tail_key != stored.tail_key:
            try:
                await asyncio.to_thread(self._store.delete, [before.tail_key])
            except StorageError as error:  # the end of the upload deletes all of them
                log.warning("old tail not deleted: %s", error, extra={"event": "upload_tail_not_deleted"})

    def _clear_lost(self) -> None:
        """Remove what this request stored without the lock. Raises Problem if the upload has ended meanwhile."""
        tail = self._appending.stored.tail_key
        if tail and tail != self._recorded.tail_key:
            self._store.delete([tail])
        try:
            tus_upload_of(self._upload.owner, self._upload.id)
        except Problem:
            upload_clear(upload=self._upload, store=self._store)  # a part may have arrived after its end
            raise
