"""A quick look at the headers of an uploaded file, so that the answer to the upload says what it is.

It is a courtesy: it never delays the answer by more than a second, and whatever goes wrong leaves the facts to the
inspection. ffprobe runs in the jail, on a sparse copy that has the beginning and the end of the file, or all of an MP4
but its media.
"""

import asyncio
import logging
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import IO

from execution.budget import InspectionBudget
from execution.ffprobe import Ffprobe
from execution.process import allow_spawning
from storage.protocol import ObjectStore, StoredObject
from storage.sparse import SparseSource
from transcoding.containers.bounds import refuse_unbounded
from transcoding.containers.mp4_index import IndexTooLarge
from transcoding.containers.mp4_tables import UnusableIndex
from transcoding.probing.description import describe_headers
from transcoding.probing.media import parse_ffprobe
from transcoding.sniffing.container import DEMUXERS

Look = Callable[[StoredObject, str], Awaitable[Mapping[str, object] | None]]
"""Finds out what the headers of a stored file in a container of this family say. None: they are not known yet."""

LOOK_SECONDS = 0.9
_PROGRAM_SECONDS = 0.7
_PROCESSOR_SECONDS = 1
_LOOKS_AT_A_TIME = 4
_REASON_CHARS = 200
_WHOLE_BYTES = 2 << 20
_HEAD_BYTES = 1 << 20
_INDEX_BYTES = 8 << 20
"""The largest index of an MP4: two hours have less. Its tables are compared by this process, beside its other work."""
_TAIL_BYTES = 1 << 19
"""The last packets of a transport stream, by which ffprobe knows its length."""

log = logging.getLogger(__name__)


class QuickLook:
    """Looks at files with ffprobe, a few at a time. `prober` is called once, at the first look; it may refuse."""

    def __init__(self, store: ObjectStore, prober: Callable[[], Ffprobe], *, max_tracks: int) -> None:
        self._store = store
        self._prober = prober
        self._max_tracks = max_tracks
        self._refused = False
        self._slots = threading.BoundedSemaphore(_LOOKS_AT_A_TIME)
        self._threads = ThreadPoolExecutor(_LOOKS_AT_A_TIME, "look", initializer=allow_spawning)

    async def __call__(self, stored: StoredObject, family: str) -> Mapping[str, object] | None:
        if self._refused:
            return None
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._look, stored, family)
        except TimeoutError:
            log.info("the quick look took too long", extra={"event": "quick_look_late"})
            return None

    def now(self, stored: StoredObject, family: str) -> Mapping[str, object] | None:
        """Look from a thread that may wait."""
        if self._refused:
            return None
        try:
            return self._threads.submit(self._look, stored, family).result(LOOK_SECONDS)
        except TimeoutError:
            log.info("the quick look took too long", extra={"event": "quick_look_late"})
            return None

    def _look(self, stored: StoredObject, family: str) -> Mapping[str, object] | None:
        """Look, unless others that take long are still under way: nobody waits for this thread any more then."""
        if not self._slots.acquire(blocking=False):
            return None
        try:
            return self._headers(stored, family)
        except Exception as error:  # noqa: BLE001 - a courtesy: the inspection says what is wrong, or tries again
            log.info("no quick look", extra={"event": "quick_look_failed", "reason": str(error)[:_REASON_CHARS]})
            return None
        finally:
            self._slots.release()

    @cached_property
    def _ffprobe(self) -> Ffprobe:
        try:
            return self._prober()
        except Exception:
            self._refused = True
            raise

    def _headers(self, stored: StoredObject, family: str) -> Mapping[str, object]:
        ffprobe = self._ffprobe
        budget = InspectionBudget(_PROCESSOR_SECONDS, spent=lambda: 0.0, wall_seconds=_PROGRAM_SECONDS)
        with tempfile.NamedTemporaryFile(prefix="vodmill-look-") as file:
            self._fetch(stored, family, file)
            text = ffprobe.streams(Path(file.name), demuxer=DEMUXERS[family], budget=budget)
        return describe_headers(parse_ffprobe(text))

    def _fetch(self, stored: StoredObject, family: str, file: IO[bytes]) -> None:
        """Fetch what headers can be in.

        Raises InputRejected for an index that no program may open, and IndexTooLarge for one that takes too long.
        """
        size = stored.size
        source = SparseSource(self._store, stored.key, stored.etag, size, file, lambda _: None)
        source.fetch([(0, size)] if size <= _WHOLE_BYTES else [(0, _HEAD_BYTES), (size - _TAIL_BYTES, size)])
        if family == "mov":
            try:
                source.fetch_index(_INDEX_BYTES)
            except IndexTooLarge:
                raise
            except UnusableIndex:  # fragments, say: what there is must do
                log.debug("no index for a quick look", extra={"event": "quick_look_without_index"})
            refuse_unbounded(file, size, max_tracks=self._max_tracks)
