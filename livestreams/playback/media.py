"""Bytes of live streams: from the store by a redirect or through this process, and parts from Redis."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from api.asgi import in_thread
from livestreams.playback.sharing import Shared
from videos.playback.delivery import Delivery, Redirect

MAX_CACHED_BYTES = 64 << 20
"""Bytes of segments, and of parts, that one process has in memory: those that everybody plays at the same time."""
_CACHED_SECONDS = 20.0
"""Less than the rest of a presigned URL's time, of which half is for the caches of players."""

PartName = tuple[UUID, str, int, int, int]
"""Generation, rendition, segment, index and attempt of a part."""


class PartNotFound(LookupError):
    """There is no such part, or no longer, or Redis is unavailable."""


@dataclass(frozen=True, slots=True)
class MediaObject:
    """An object of the store as players get it."""

    key: str
    content_type: str
    cache: str


class LiveMedia:
    """Reads media, each object once for all who request it at the same time."""

    def __init__(
        self, delivery: Callable[[], Delivery], part: Callable[[UUID, str, int, int, int], Awaitable[bytes | None]]
    ) -> None:
        self._delivery = delivery
        self._objects: Shared[MediaObject, bytes | Redirect] = Shared(
            lambda requested: in_thread(self._object, requested),
            seconds=_CACHED_SECONDS,
            max_weight=MAX_CACHED_BYTES,
            weigh=lambda found: len(found) if isinstance(found, bytes) else 1,
        )
        self._part = part
        self._parts: Shared[PartName, bytes] = Shared(
            self._present, seconds=_CACHED_SECONDS, max_weight=MAX_CACHED_BYTES, weigh=len
        )

    async def object(self, requested: MediaObject) -> bytes | Redirect:
        """Return the bytes of an object, or where players find them. Raises ObjectNotFound."""
        return await self._objects.get(requested)

    async def part(self, name: PartName) -> bytes:
        """Return the bytes of a part. Raises PartNotFound."""
        return await self._parts.get(name)

    async def _present(self, name: PartName) -> bytes:
        found = await self._part(*name)
        if found is None:
            raise PartNotFound
        return found

    def _object(self, requested: MediaObject) -> bytes | Redirect:
        delivery = self._delivery()
        found = delivery.redirect(requested.key, content_type=requested.content_type, cache=requested.cache)
        return found or delivery.store.get(requested.key)
