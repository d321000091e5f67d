"""Object store in an S3-compatible bucket."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar, cast

from botocore.exceptions import ClientError

from storage.errors import (
    ObjectChanged,
    ObjectNotFound,
    RangeNotAvailable,
    StorageError,
    StorageUnavailable,
    UploadNotFound,
)
from storage.file_transfers import FileParts
from storage.keys import check_key, check_prefix
from storage.protocol import Bytes, MultipartUpload, ObjectStore, Progress, StoredObject, StoredPart
from storage.s3_body import Body
from storage.s3_bucket import prepare_bucket
from storage.s3_checksums import md5
from storage.s3_client import s3_client
from storage.s3_copying import S3Copier
from storage.s3_deleting import S3Deleter
from storage.s3_errors import has_no_cause, s3_errors, was_corrupted
from storage.s3_presigning import signed_part_urls
from storage.s3_reading import S3Reader, unquoted
from storage.transfer import TransferProgress

Response = TypeVar("Response")

_CORRUPTED_ATTEMPTS = 3
"""Limit of attempts at bytes that the store received otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Config:
    """Bucket, endpoints and credentials."""

    bucket: str
    region: str
    endpoint_url: str = ""
    """Empty: AWS."""
    public_endpoint_url: str = ""
    """Host of presigned URLs. Empty: the same as `endpoint_url`."""
    access_key: str = ""
    """Empty: credentials come from the environment (roles, profiles)."""
    secret_key: str = ""

    def __repr__(self) -> str:
        return f"S3Config({self.endpoint_url or 'aws'}/{self.bucket})"


class S3Store:
    """ObjectStore in a bucket."""

    def __init__(
        self,
        config: S3Config,
        *,
        part_bytes: int,
        parallel_parts: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.part_bytes = part_bytes
        self._sleep = sleep
        self._parallel = parallel_parts
        self.config = config
        self._bucket = config.bucket
        self._region = config.region
        self._client = s3_client(config, config.endpoint_url)
        public = config.public_endpoint_url or config.endpoint_url
        self._signer = self._client if public == config.endpoint_url else s3_client(config, public)
        self._reader = S3Reader(self._client, config.bucket, sleep=sleep)
        self._deleter = S3Deleter(self._client, config.bucket, threads=parallel_parts)
        self._copier = S3Copier(self._client, config.bucket, threads=parallel_parts)

    def put(self, key: str, data: Bytes, content_type: str) -> StoredObject:
        response = _uncorrupted(
            check_key(key),
            lambda: self._client.put_object(
                Bucket=self._bucket, Key=key, Body=cast("bytes", Body(data)), ContentType=content_type
            ),
        )
        return StoredObject(key, len(data), unquoted(response["ETag"]))

    def put_file(self, key: str, path: Path, content_type: str, on_bytes: Progress | None = None) -> StoredObject:
        size = path.stat().st_size
        if size <= self.part_bytes:
            stored = self.put(key, path.read_bytes(), content_type)
            TransferProgress(on_bytes).add(size)
            return stored
        upload_id = self.create_multipart(key, content_type)
        parts = FileParts(
            path,
            self.part_bytes,
            put=lambda number, data: self.put_part(key, upload_id, number, data),
            stored=lambda read: self._stored_parts(key, upload_id, read),
        )
        try:
            etags = parts.send(threads=self._parallel, on_bytes=on_bytes, sleep=self._sleep)
            return self.complete_multipart(key, upload_id, etags)
        except BaseException:
            with contextlib.suppress(StorageError):  # the first error is the one to raise
                self.abort_multipart(key, upload_id)
            raise

    def _stored_parts(self, key: str, upload_id: str, read: Callable[[int], bytes]) -> Mapping[int, str]:
        """Return the etags of an upload's parts that consist of the bytes that `read` returns."""
        found = {part.number: part.etag for part in self.list_parts(key, upload_id)}
        return {number: etag for number, etag in found.items() if md5(read(number)).hex() == etag}

    def get(self, key: str, start: int = 0, end: int | None = None, *, etag: str | None = None) -> bytes:
        return b"".join(self.open(key, start, end, etag=etag))

    def open(self, key: str, start: int = 0, end: int | None = None, *, etag: str | None = None) -> Iterator[bytes]:
        if start == end:
            return iter(())
        try:
            response = self._reader.request(check_key(key), start, end, etag=etag)
        except RangeNotAvailable:
            if start == 0:  # an empty object has no valid range in S3
                return iter(())
            raise
        return self._reader.blocks(key, start, response)

    def fetch(self, key: str, path: Path, on_bytes: Progress | None = None) -> StoredObject:
        stored = self.head(key)
        try:
            self._reader.fetch(stored, path, self.part_bytes, threads=self._parallel, on_bytes=on_bytes)
        except (ObjectNotFound, RangeNotAvailable) as error:  # it existed at the time of `head`
            raise ObjectChanged(key) from error
        return stored

    def head(self, key: str) -> StoredObject:
        return self.describe(key)[0]

    def describe(self, key: str) -> tuple[StoredObject, str]:
        """Return an object and its content type."""
        with s3_errors(check_key(key)):
            try:
                response = self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if not has_no_cause(error):
                    raise
                return self._head_by_get(key)
        stored = StoredObject(key, response["ContentLength"], unquoted(response["ETag"]))
        return stored, response.get("ContentType", "")

    def _head_by_get(self, key: str) -> tuple[StoredObject, str]:
        """Ask again with a request whose failure has a body: a missing bucket must not pass for a missing object."""
        response = self._reader.request(key, 0, None, etag=None)
        response["Body"].close()
        stored = StoredObject(key, response["ContentLength"], unquoted(response["ETag"]))
        return stored, response.get("ContentType", "")

    def copies_from(self, source: ObjectStore) -> bool:
        if not isinstance(source, S3Store):
            return False
        ours, theirs = (
            (config.endpoint_url, config.region, config.access_key) for config in (self.config, source.config)
        )
        return ours == theirs

    def copy(
        self, source_key: str, key: str, *, source: ObjectStore | None = None, content_type: str | None = None
    ) -> StoredObject:
        origin = self if source is None else source
        if not (isinstance(origin, S3Store) and self.copies_from(origin)):
            raise ValueError(f"{origin} is on another server")
        check_key(key)
        found, found_type = origin.describe(source_key)
        self._copier.copy(origin.config.bucket, found, key, content_type or found_type, self)
        stored = self.head(key)
        if stored.size != found.size:
            raise StorageUnavailable(key, f"the copy has {stored.size} bytes instead of {found.size}")
        return stored

    def delete(self, keys: Iterable[str]) -> None:
        self._deleter.delete(check_key(key) for key in keys)

    def delete_prefix(self, prefix: str) -> int:
        return self._deleter.delete(stored.key for stored in self.list(prefix))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=check_prefix(prefix))
        with s3_errors(prefix):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield StoredObject(found["Key"], found["Size"], unquoted(found["ETag"]))

    def list_folders(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=check_prefix(prefix), Delimiter="/"
        )
        with s3_errors(prefix):
            for page in pages:
                for found in page.get("CommonPrefixes", ()):
                    yield found["Prefix"]

    def create_multipart(self, key: str, content_type: str, *, part_bytes: int | None = None) -> str:  # noqa: ARG002 - parts may have any size here
        with s3_errors(check_key(key)):
            response = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, ContentType=content_type)
        return response["UploadId"]

    def put_part(self, key: str, upload_id: str, number: int, data: Bytes) -> str:
        response = _uncorrupted(
            key,
            lambda: self._client.upload_part(
                Bucket=self._bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=cast("bytes", Body(data))
            ),
        )
        return unquoted(response["ETag"])

    def part_urls(self, key: str, upload_id: str, sizes: Mapping[int, int], expires_seconds: int) -> Mapping[int, str]:
        with s3_errors(check_key(key)):
            return signed_part_urls(self._signer, self._bucket, key, upload_id, sizes, expires_seconds)

    def list_parts(self, key: str, upload_id: str) -> Iterator[StoredPart]:
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self._bucket, Key=key, UploadId=upload_id)
        with s3_errors(check_key(key)):
            parts = (part for page in pages for part in page.get("Parts", ()))
            # SeaweedFS lists a part that was sent twice twice.
            for number, sent in groupby(parts, key=itemgetter("PartNumber")):
                newest = max(sent, key=itemgetter("LastModified"))
                yield StoredPart(number, newest["Size"], unquoted(newest["ETag"]))

    def complete_multipart(self, key: str, upload_id: str, etags: Sequence[str]) -> StoredObject:
        parts: Any = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in enumerate(etags, start=1)]
        try:
            with s3_errors(key):
                self._client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
                )
        except UploadNotFound as error:
            return self._already_completed(key, error)
        return self.head(key)

    def _already_completed(self, key: str, error: UploadNotFound) -> StoredObject:
        """Return the object if an earlier request completed the upload, whose response was lost.

        Keys are never reused, so an object of that key is the result of this upload.
        """
        try:
            return self.head(key)
        except ObjectNotFound:
            raise error from None

    def abort_multipart(self, key: str, upload_id: str) -> None:
        with contextlib.suppress(UploadNotFound), s3_errors(key):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    def list_multiparts(self, prefix: str) -> Iterator[MultipartUpload]:
        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket, Prefix=check_prefix(prefix)
        )
        # `rclone serve s3` answers NoSuchUpload where there is none.
        with contextlib.suppress(UploadNotFound), s3_errors(prefix):
            for page in pages:
                for found in page.get("Uploads", ()):
                    yield MultipartUpload(found["Key"], found["UploadId"], found["Initiated"])

    def url(
        self, key: str, expires_seconds: int, content_type: str | None = None, cache_control: str | None = None
    ) -> str | None:
        overrides = {"ResponseContentType": content_type, "ResponseCacheControl": cache_control}
        params = {name: value for name, value in overrides.items() if value is not None}
        params |= {"Bucket": self._bucket, "Key": check_key(key)}
        with s3_errors(key):
            return self._signer.generate_presigned_url("get_object", Params=params, ExpiresIn=expires_seconds)

    def prepare(self) -> None:
        prepare_bucket(self._client, self._bucket, region=self._region)


def _uncorrupted(key: str, send: Callable[[], Response]) -> Response:
    """Send bytes, and again if the store received others. Raises StorageUnavailable when it always does."""
    for attempts_left in reversed(range(_CORRUPTED_ATTEMPTS)):
        try:
            with s3_errors(key):
                return send()
        except StorageError as error:
            if not was_corrupted(error):
                raise
            if not attempts_left:
                raise StorageUnavailable(key, "its bytes change on the way to the store") from error
    raise AssertionError
