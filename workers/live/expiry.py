"""Deleting what players may not go back to any more, where nothing is recorded."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from storage.errors import StorageError
from storage.protocol import ObjectStore
from transcoding.grid import FrameGrid
from transcoding.manifests.hls.live import stored_segments

log = logging.getLogger(__name__)

_EVERY_SECONDS = 10.0


class Expiry:
    """Deletes segments behind the window, in a thread of its own."""

    def __init__(
        self,
        grid: FrameGrid,
        *,
        dvr_seconds: int,
        forget: Callable[[int], Sequence[str]],
        store: ObjectStore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stored = stored_segments(dvr_seconds, grid.segment_seconds)
        self._forget = forget
        self._store = store
        self._clock = clock
        self._due_at = clock() + _EVERY_SECONDS
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="live-expiry")
        self._work: Future[None] | None = None

    def close(self) -> None:
        """Wait for what is being deleted."""
        self._pool.shutdown(wait=True)

    def look(self, published: int) -> None:
        """Forget what is too old, if it is time, given how many segments are published."""
        if self._clock() < self._due_at or (self._work and not self._work.done()):
            return
        self._due_at = self._clock() + _EVERY_SECONDS
        keep_from = published - self._stored
        if keep_from > 0 and (keys := self._forget(keep_from)):
            self._work = self._pool.submit(self._delete, keys)

    def _delete(self, keys: Sequence[str]) -> None:
        try:
            self._store.delete(keys)
        except StorageError as error:  # the purge of the broadcast's video finds them by their prefix
            log.warning("segments were not deleted", extra={"event": "live_expiry_failed", "error": str(error)})
