"""Objects of a bucket that are read: in ranges, resumed where a connection broke."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.errors import ObjectChanged, StorageUnavailable
from storage.file_transfers import backoff_seconds, fetch_file
from storage.pace import Crawling, Pace
from storage.protocol import Progress, StoredObject
from storage.s3_checksums import contradicts
from storage.s3_client import ATTEMPTS
from storage.s3_errors import BROKEN_BODY, s3_errors
from storage.transfer import spans

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

log = logging.getLogger(__name__)

BLOCK_BYTES = 128 * 1024
"""Of one read. A connection that crawls is noticed at the end of one, and larger ones are slower, too."""


class S3Reader:
    """Reads the objects of one bucket."""

    def __init__(self, client: "S3Client", bucket: str, *, sleep: Callable[[float], None]) -> None:
        self._client = client
        self._bucket = bucket
        self._sleep = sleep
        self._etags_are_digests = True
        """As far as is known."""

    def request(self, key: str, start: int, end: int | None, *, etag: str | None) -> "GetObjectOutputTypeDef":
        """Request a range. Raises ObjectChanged when the object has another etag, and what `s3_errors` does."""
        params: dict[str, Any] = {}
        if start or end is not None:
            params["Range"] = f"bytes={start}-" + ("" if end is None else str(end - 1))
        if etag is not None:
            params["IfMatch"] = f'"{etag}"'
        with s3_errors(key):
            response = self._client.get_object(Bucket=self._bucket, Key=key, **params)
        if etag is not None and unquoted(response["ETag"]) != etag:  # some stores ignore If-Match
            response["Body"].close()
            raise ObjectChanged(key)
        return response

    def blocks(self, key: str, position: int, response: "GetObjectOutputTypeDef") -> Iterator[bytes]:
        """Read the body of a response.

        A connection that breaks or crawls is replaced, up to `ATTEMPTS` times without progress.
        """
        end = position + response["ContentLength"]
        etag = unquoted(response["ETag"])
        failures = 0
        pace = Pace()
        while position < end:
            body = response["Body"]
            try:
                for block in _paced(body.iter_chunks(BLOCK_BYTES), pace):
                    position += len(block)
                    failures = 0
                    yield block
            except (*BROKEN_BODY, Crawling) as error:
                failures += 1
                if failures >= ATTEMPTS:
                    raise StorageUnavailable(key, str(error)) from error
                self._sleep(backoff_seconds(failures))
                response = self.request(key, position, end, etag=etag)
            finally:
                body.close()

    def fetch(
        self, stored: StoredObject, path: Path, part_bytes: int, *, threads: int, on_bytes: Progress | None
    ) -> None:
        """Copy an object to a file and compare its bytes with its etag. Removes the file on failure."""
        key = stored.key
        ranges = list(spans(stored.size, part_bytes))

        def blocks(start: int, end: int) -> Iterator[bytes]:
            return self.blocks(key, start, self.request(key, start, end, etag=stored.etag))

        def fetch() -> list[bytes]:
            return fetch_file(path, ranges, blocks=blocks, threads=threads, on_bytes=on_bytes)

        digests = fetch()
        if not (contradicts(stored.etag, digests) and self._has_parts(stored, part_bytes)):
            return
        again = fetch()
        if not contradicts(stored.etag, again):
            return
        if again != digests:
            path.unlink()
            raise StorageUnavailable(key, "its bytes change on the way here")
        log.warning(
            "%s: its etag is not that of its bytes; etags of this store are not compared any more",
            key,
            extra={"event": "store_etags_not_compared"},
        )
        self._etags_are_digests = False

    def _has_parts(self, stored: StoredObject, part_bytes: int) -> bool:
        """Tell whether the etag is a digest of parts of that size, as far as the store tells."""
        if not self._etags_are_digests:
            return False
        if "-" not in stored.etag:
            return True
        with s3_errors(stored.key):
            response = self._client.head_object(Bucket=self._bucket, Key=stored.key, PartNumber=1)
        return response["ContentLength"] == min(part_bytes, stored.size)


def _paced(blocks: Iterator[bytes], pace: Pace) -> Iterator[bytes]:
    """Pass blocks on. Raises Crawling after the block that took too long."""
    pace.restart()
    while block := next(blocks, b""):
        try:
            pace.moved(len(block))
        except Crawling:
            yield block
            raise
        yield block
        pace.begin()


def unquoted(etag: str) -> str:
    """Return an etag without the quotes of the header, which some stores omit in bodies."""
    return etag.strip('"')
