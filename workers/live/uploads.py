"""A store that is waited for: what a live stream cannot store now, nobody can encode again later."""

import logging
import time
from collections.abc import Callable, Iterable

from execution.ffmpeg import StopSignal
from storage.errors import StorageUnavailable
from storage.protocol import Bytes, ObjectStore, StoredObject

log = logging.getLogger(__name__)

_LONGEST_SECONDS = 30.0
_PAUSE_SECONDS = 0.5


class PatientStore:
    """The part of a store that a publisher writes to. `put` is repeated while it is unavailable."""

    def __init__(self, store: ObjectStore, stop: StopSignal, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._store = store
        self._stop = stop
        self._sleep = sleep

    def put(self, key: str, data: Bytes, content_type: str) -> StoredObject:
        """Store an object. Raises as the store does, when it was unavailable for too long or the step must stop."""
        deadline = time.monotonic() + _LONGEST_SECONDS
        while True:
            try:
                return self._store.put(key, data, content_type)
            except StorageUnavailable as error:
                if self._stop.is_set() or time.monotonic() > deadline:
                    raise
                log.warning("a segment waits for the store", extra={"event": "live_store_waits", "error": str(error)})
            self._sleep(_PAUSE_SECONDS)

    def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStore.delete`."""
        self._store.delete(keys)
