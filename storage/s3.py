"""Object store in an S3-compatible bucket."""

import contextlib
import logging
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

from storage.errors import (
    ObjectChanged,
    ObjectNotFound,
    RangeNotAvailable,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    UploadNotFound,
)
from storage.keys import check_key, check_prefix
from storage.protocol import MultipartUpload, Progress, StoredObject, StoredPart
from storage.s3_bucket import prepare_bucket
from storage.s3_checksums import register_content_md5
from storage.s3_errors import ADVICE, has_no_cause, reason_of, refuses_operation, s3_errors
from storage.s3_metrics import register_request_metrics
from storage.transfer import TransferProgress, batches, run_parallel, spans, write_at

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3
READ_SECONDS = 20
ATTEMPTS = 5
CONNECTIONS = 64
BLOCK_BYTES = 1024 * 1024
DELETE_BATCH = 1000
"""Limit of DeleteObjects, from S3's API reference."""
MAX_PARTS = 10_000
"""Limit of a multipart upload, from S3's API reference."""


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
        upload_origins: Sequence[str] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.part_bytes = part_bytes
        self._sleep = sleep
        self._parallel = parallel_parts
        self._bucket = config.bucket
        self._region = config.region
        self._upload_origins = upload_origins
        self._deletes_many = True
        """DeleteObjects works here, as far as is known."""
        self._client = _client(config, config.endpoint_url)
        public = config.public_endpoint_url or config.endpoint_url
        self._signer = self._client if public == config.endpoint_url else _client(config, public)

    def put(self, key: str, data: bytes | bytearray, content_type: str) -> StoredObject:
        with s3_errors(check_key(key)):
            response = self._client.put_object(
                Bucket=self._bucket, Key=key, Body=cast("bytes", data), ContentType=content_type
            )
        return StoredObject(key, len(data), _etag(response["ETag"]))

    def put_file(self, key: str, path: Path, content_type: str, on_bytes: Progress | None = None) -> StoredObject:
        size = path.stat().st_size
        if size <= self.part_bytes:
            stored = self.put(key, path.read_bytes(), content_type)
            TransferProgress(on_bytes).add(size)
            return stored
        upload_id = self.create_multipart(key, content_type)
        try:
            etags = self._put_parts(key, upload_id, path, TransferProgress(on_bytes))
            return self.complete_multipart(key, upload_id, etags)
        except BaseException:
            with contextlib.suppress(StorageError):  # the first error is the one to raise
                self.abort_multipart(key, upload_id)
            raise

    def _put_parts(self, key: str, upload_id: str, path: Path, progress: TransferProgress) -> Sequence[str]:
        size = path.stat().st_size
        part_bytes = max(self.part_bytes, -(-size // MAX_PARTS))

        def put_span(file: int, span: tuple[int, int]) -> str:
            start, end = span
            data = os.pread(file, end - start, start)
            etag = self.put_part(key, upload_id, start // part_bytes + 1, data)
            progress.add(len(data))
            return etag

        with path.open("rb") as file:
            work = partial(put_span, file.fileno())
            return run_parallel(work, spans(size, part_bytes), threads=self._parallel, progress=progress)

    def get(self, key: str, start: int = 0, end: int | None = None, *, etag: str | None = None) -> bytes:
        return b"".join(self.open(key, start, end, etag=etag))

    def open(self, key: str, start: int = 0, end: int | None = None, *, etag: str | None = None) -> Iterator[bytes]:
        if start == end:
            return iter(())
        try:
            response = self._get(check_key(key), start, end, etag=etag)
        except RangeNotAvailable:
            if start == 0:  # an empty object has no valid range in S3
                return iter(())
            raise
        return self._blocks(key, start, response)

    def fetch(self, key: str, path: Path, on_bytes: Progress | None = None) -> StoredObject:
        stored = self.head(key)
        progress = TransferProgress(on_bytes)

        def fetch_span(file: int, span: tuple[int, int]) -> None:
            position, end = span
            response = self._get(key, position, end, etag=stored.etag)
            for block in self._blocks(key, position, response):
                write_at(file, block, position)
                position += len(block)
                progress.add(len(block))

        try:
            with path.open("wb") as file:
                file.truncate(stored.size)
                work = partial(fetch_span, file.fileno())
                run_parallel(work, spans(stored.size, self.part_bytes), threads=self._parallel, progress=progress)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, ObjectNotFound | RangeNotAvailable):  # it existed at the time of `head`
                raise ObjectChanged(key) from error
            raise
        return stored

    def _get(self, key: str, start: int, end: int | None, *, etag: str | None) -> "GetObjectOutputTypeDef":
        params: dict[str, Any] = {}
        if start or end is not None:
            params["Range"] = f"bytes={start}-" + ("" if end is None else str(end - 1))
        if etag is not None:
            params["IfMatch"] = f'"{etag}"'
        with s3_errors(key):
            response = self._client.get_object(Bucket=self._bucket, Key=key, **params)
        if etag is not None and _etag(response["ETag"]) != etag:  # some stores ignore If-Match
            response["Body"].close()
            raise ObjectChanged(key)
        return response

    def _blocks(self, key: str, position: int, response: "GetObjectOutputTypeDef") -> Iterator[bytes]:
        """Read the body of a response. Resume after a broken connection, up to `ATTEMPTS` times without progress."""
        end = position + response["ContentLength"]
        etag = _etag(response["ETag"])
        failures = 0
        while position < end:
            body = response["Body"]
            try:
                for block in body.iter_chunks(BLOCK_BYTES):
                    position += len(block)
                    failures = 0
                    yield block
            except (HTTPClientError, IncompleteReadError) as error:
                failures += 1
                if failures >= ATTEMPTS:
                    raise StorageUnavailable(key, str(error)) from error
                self._sleep(_backoff_seconds(failures))
                response = self._get(key, position, end, etag=etag)
            finally:
                body.close()

    def head(self, key: str) -> StoredObject:
        with s3_errors(check_key(key)):
            try:
                response = self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if not has_no_cause(error):
                    raise
                return self._head_by_get(key)
        return StoredObject(key, response["ContentLength"], _etag(response["ETag"]))

    def _head_by_get(self, key: str) -> StoredObject:
        """Ask again with a request whose failure has a body: a missing bucket must not pass for a missing object."""
        response = self._get(key, 0, None, etag=None)
        response["Body"].close()
        return StoredObject(key, response["ContentLength"], _etag(response["ETag"]))

    def delete(self, keys: Iterable[str]) -> None:
        for batch in batches(keys, DELETE_BATCH):
            self._delete_batch([check_key(key) for key in batch])

    def _delete_batch(self, keys: Sequence[str]) -> None:
        if not self._deletes_many:
            self._delete_singly(keys)
            return
        try:
            self._delete_many(keys)
        except StorageRefused as error:
            self._delete_singly(keys)
            # Had it refused these, too, the credentials would be at fault and not the operation.
            log.warning("deleting objects one by one: %s", error, extra={"event": "store_deletes_singly"})
            if refuses_operation(error):  # others pass
                self._deletes_many = False

    def _delete_singly(self, keys: Sequence[str]) -> None:
        run_parallel(self._delete_one, keys, threads=self._parallel, progress=TransferProgress(None))

    def _delete_many(self, keys: Sequence[str]) -> None:
        objects: Any = [{"Key": key} for key in keys]
        with s3_errors(keys[0]):
            response = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
        for error in response.get("Errors", ()):
            code = error.get("Code", "")
            if code != "NoSuchKey":
                kind = StorageRefused if code in ADVICE else StorageUnavailable
                raise kind(error.get("Key", keys[0]), f"not deleted: {reason_of(code)}")

    def _delete_one(self, key: str) -> None:
        with contextlib.suppress(ObjectNotFound), s3_errors(key):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def delete_prefix(self, prefix: str) -> int:
        deleted = 0
        for batch in batches((stored.key for stored in self.list(prefix)), DELETE_BATCH):
            self._delete_batch(batch)
            deleted += len(batch)
        return deleted

    def list(self, prefix: str) -> Iterator[StoredObject]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=check_prefix(prefix))
        with s3_errors(prefix):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield StoredObject(found["Key"], found["Size"], _etag(found["ETag"]))

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

    def put_part(self, key: str, upload_id: str, number: int, data: bytes | bytearray) -> str:
        with s3_errors(key):
            response = self._client.upload_part(
                Bucket=self._bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=cast("bytes", data)
            )
        return _etag(response["ETag"])

    def part_url(self, key: str, upload_id: str, number: int, size: int, expires_seconds: int) -> str | None:
        params = {"Bucket": self._bucket, "Key": check_key(key), "UploadId": upload_id, "PartNumber": number}
        with s3_errors(key):  # the signature includes the length, so that nobody sends more
            return self._signer.generate_presigned_url(
                "upload_part", Params={**params, "ContentLength": size}, ExpiresIn=expires_seconds
            )

    def list_parts(self, key: str, upload_id: str) -> Iterator[StoredPart]:
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self._bucket, Key=key, UploadId=upload_id)
        with s3_errors(check_key(key)):
            for page in pages:
                for part in page.get("Parts", ()):
                    yield StoredPart(part["PartNumber"], part["Size"], _etag(part["ETag"]))

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
        with s3_errors(prefix):
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
        prepare_bucket(self._client, self._bucket, region=self._region, upload_origins=self._upload_origins)


def _etag(quoted: str) -> str:
    return quoted.strip('"')


def _backoff_seconds(failures: int) -> float:
    """Exponential backoff with full jitter, so that readers do not retry at the same moment."""
    return random.uniform(0, min(8.0, 0.25 * 2**failures))  # noqa: S311 - no secret depends on it


def _client(config: S3Config, endpoint_url: str) -> "S3Client":
    client_config = Config(
        signature_version="s3v4",
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},  # exponential, with full jitter
        # Some S3-compatible stores refuse newer checksums, so they are sent only where the operation requires one.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "addressing_style": "path" if endpoint_url else "auto",
            "payload_signing_enabled": False,  # hashing a body takes four times the CPU of sending it
        },
    )
    session = Session(
        aws_access_key_id=config.access_key or None,
        aws_secret_access_key=config.secret_key or None,
        region_name=config.region,
    )
    client = session.client("s3", endpoint_url=endpoint_url or None, config=client_config)
    register_request_metrics(client.meta.events)
    register_content_md5(client.meta.events)
    return client
