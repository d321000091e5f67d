"""Objects in buckets of other people, read like downloads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from outbound.errors import DownloadChanged, DownloadFailed, DownloadMissing
from storage.buckets import Buckets, bucket_url_parts
from storage.errors import ObjectChanged, ObjectNotFound, RangeNotAvailable, StorageRefused, StorageUnavailable
from storage.protocol import ObjectStore, StoredObject
from videos.models import Video


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """An object that a video is imported from."""

    store: ObjectStore
    key: str
    size: int
    validator: str
    """Its ETag."""
    start: int = 0
    """Position of the first byte that `blocks` yields."""
    resumable: bool = True

    def head(self, length: int) -> bytes:
        """Return the first bytes. Raises DownloadError."""
        with _translated():
            return self.store.get(self.key, 0, length, etag=self.validator)

    def copy_to(self, store: ObjectStore, key: str, content_type: str) -> StoredObject:
        """Copy it inside the server. Raises DownloadError."""
        with _translated():
            return store.copy(self.key, key, source=self.store, content_type=content_type)

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes. Raises DownloadError."""
        with _translated():
            yield from self.store.open(self.key, self.start, etag=self.validator)


def opened(url: str, video: Video, buckets: Buckets, *, start: int = 0, validator: str = "") -> Remote:
    """Find an object by its URL. `start`, `validator`: only the rest is read, of the object with this ETag.

    Raises DownloadError.
    """
    alias, key = bucket_url_parts(url)
    bucket = buckets.importable(alias, video.owner.name, str(video.owner_id))
    if bucket is None:
        raise DownloadMissing(f"videos are not imported from {alias} any more")
    store = buckets.store(bucket)
    with _translated():
        found = store.head(f"{bucket.prefix}{key}")
    if validator not in ("", found.etag):
        raise DownloadChanged("the object changed while it was fetched")
    return Remote(store=store, key=found.key, size=found.size, validator=found.etag, start=start)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ObjectNotFound as error:
        raise DownloadMissing("there is no such object in the bucket") from error
    except (ObjectChanged, RangeNotAvailable) as error:
        raise DownloadChanged("the object changed while it was fetched") from error
    except StorageRefused as error:
        raise DownloadMissing("the bucket refuses the request: its operator has to look at it") from error
    except StorageUnavailable as error:
        raise DownloadFailed("the bucket cannot be reached") from error
