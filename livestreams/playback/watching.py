"""Viewers of live streams, counted from their requests: no cookies, and no address is stored."""

import asyncio
import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from uuid import UUID

from django.db import DatabaseError, InterfaceError

from api.asgi import in_thread
from coordination.viewers import ViewerCounts, Viewers
from livestreams.models import Broadcast

FLUSH_SECONDS = 5.0
DASH = "dash"
"""Name under which those who play by DASH count, whose manifest is for all renditions."""
_MAX_REMEMBERED = 200_000
"""Viewers that one process remembers between two flushes."""

log = logging.getLogger(__name__)


def viewer_name(address: str, user_agent: str) -> str:
    """Return a digest by which a player is known for some seconds: its network address and program."""
    return hashlib.blake2b(f"{address} {user_agent}".encode(), digest_size=8).hexdigest()


class Watching:
    """Collects who watches, and writes the counts of all processes to the rows of broadcasts now and then."""

    def __init__(
        self,
        viewers: Viewers,
        *,
        record: Callable[[UUID, ViewerCounts], None] | None = None,
        seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._viewers = viewers
        self._record = record or broadcast_viewers_record
        self._seconds = seconds
        self._seen: dict[UUID, dict[str, set[str]]] = {}
        self._counts: dict[UUID, ViewerCounts] = {}
        self._remembered = 0
        self._flushing: asyncio.Task[None] | None = None

    def saw(self, generation_id: UUID, name: str, viewer: str) -> None:
        """Count a viewer of a rendition."""
        if self._remembered < _MAX_REMEMBERED:
            self._seen.setdefault(generation_id, defaultdict(set))[name].add(viewer)
            self._remembered += 1
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush_on())

    async def close(self) -> None:
        if self._flushing:
            self._flushing.cancel()
            await asyncio.gather(self._flushing, return_exceptions=True)

    async def _flush_on(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            seen, self._seen, self._remembered = self._seen, {}, 0
            try:
                await in_thread(self._flush, seen)
            except (DatabaseError, InterfaceError) as error:
                log.warning("viewers not recorded: %s", error, extra={"event": "viewers_unrecorded"})
            except Exception:  # nothing else would notice the end of this task
                log.exception("viewers not recorded", extra={"event": "viewers_unrecorded"})

    def _flush(self, seen: Mapping[UUID, Mapping[str, set[str]]]) -> None:
        """Write what was seen, and the counts that changed, until nobody watches any more."""
        now = time.time()
        for generation_id, renditions in seen.items():
            self._viewers.add(generation_id, renditions, now=now)
        for generation_id in {*seen, *self._counts}:
            counts = self._viewers.counts(generation_id, now=now)
            if counts is None or counts == self._counts.get(generation_id):
                continue
            self._record(generation_id, counts)
            self._counts[generation_id] = counts
            if not counts.total and generation_id not in seen:
                del self._counts[generation_id]


def broadcast_viewers_record(generation_id: UUID, counts: ViewerCounts) -> None:
    """Write the viewers of a broadcast to its row."""
    renditions = {name: count for name, count in counts.renditions.items() if name != DASH}
    viewers = {"total": counts.total, "renditions": renditions}
    Broadcast.objects.filter(video__current_generation=generation_id).update(viewers=viewers)
