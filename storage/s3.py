"""Any S3-compatible store. The only module that speaks boto3; none of its errors leaves it."""

import contextlib
import logging
import os
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from storage.counting import count_requests
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
from storage.protocol import Multipart, Progress, Stored
from storage.transfer import Tally, batches, run_parallel, spans, write_at

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

CONNECT_SECONDS = 3
READ_SECONDS = 20
ATTEMPTS = 5
CONNECTIONS = 64
BLOCK_BYTES = 1024 * 1024
DELETE_BATCH = 1000
MAX_PARTS = 10_000

CODE_MEANINGS: dict[str, type[StorageError]] = {
    "NoSuchKey": ObjectNotFound,
    "NotFound": ObjectNotFound,
    "404": ObjectNotFound,  # HEAD has no body to carry a code
    "NoSuchUpload": UploadNotFound,
    "InvalidPart": UploadNotFound,
    "InvalidPartOrder": UploadNotFound,
    "InvalidRange": RangeNotAvailable,
    "416": RangeNotAvailable,
    "PreconditionFailed": ObjectChanged,
    "412": ObjectChanged,
    "RequestTimeout": StorageUnavailable,
    "OperationAborted": StorageUnavailable,
}
"""Codes that mean more than their HTTP status; others are StorageUnavailable from 500 on and StorageRefused below."""

CLIENT_MEANINGS: dict[type[BotoCoreError], type[StorageError]] = {
    HTTPClientError: StorageUnavailable,
    BotoConnectionError: StorageUnavailable,
    IncompleteReadError: StorageUnavailable,
    BotoCoreError: StorageRefused,
}
"""What went wrong before or without an answer; the first match in this order counts."""

TOO_MANY_REQUESTS = 429
SERVER_ERRORS = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """Where the bucket is and who we are. Empty keys leave the credentials to the environment (roles, profiles)."""

    bucket: str
    region: str
    endpoint_url: str = ""
    public_endpoint_url: str = ""
    access_key: str = ""
    secret_key: str = ""

    def __repr__(self) -> str:
        return f"S3Address({self.endpoint_url or 'aws'}/{self.bucket})"


class S3Store:
    """ObjectStore on a bucket."""

    def __init__(self, address: S3Address, *, part_bytes: int, parallel_parts: int) -> None:
        self.part_bytes = part_bytes
        self._parallel = parallel_parts
        self._bucket = address.bucket
        self._region = address.region
        self._client = _client(address, address.endpoint_url)
        public = address.public_endpoint_url or address.endpoint_url
        self._signer = self._client if public == address.endpoint_url else _client(address, public)

    def put(self, key: str, data: bytes | bytearray, content_type: str) -> Stored:
        with s3_errors(check_key(key)):
            answer = self._client.put_object(
                Bucket=self._bucket, Key=key, Body=cast("bytes", data), ContentType=content_type
            )
        return Stored(key, len(data), _etag(answer["ETag"]))

    def put_file(self, key: str, path: Path, content_type: str, on_bytes: Progress | None = None) -> Stored:
        size = path.stat().st_size
        if size <= self.part_bytes:
            stored = self.put(key, path.read_bytes(), content_type)
            Tally(on_bytes).add(size)
            return stored
        upload_id = self.begin_multipart(key, content_type)
        try:
            etags = self._put_parts(key, upload_id, path, Tally(on_bytes))
            return self.complete_multipart(key, upload_id, etags)
        except BaseException:
            with contextlib.suppress(StorageError):  # the first error is the one to tell
                self.abort_multipart(key, upload_id)
            raise

    def _put_parts(self, key: str, upload_id: str, path: Path, tally: Tally) -> Sequence[str]:
        size = path.stat().st_size
        part_bytes = max(self.part_bytes, -(-size // MAX_PARTS))

        def put_span(file: int, span: tuple[int, int]) -> str:
            start, end = span
            data = os.pread(file, end - start, start)
            etag = self.put_part(key, upload_id, start // part_bytes + 1, data)
            tally.add(len(data))
            return etag

        with path.open("rb") as file:
            work = partial(put_span, file.fileno())
            return run_parallel(work, spans(size, part_bytes), threads=self._parallel, tally=tally)

    def get(self, key: str, start: int = 0, end: int | None = None, *, etag: str | None = None) -> bytes:
        return b"".join(self.open(key, start, end, etag=etag))

    def open(self, key: str, start: int = 0, end: int | None = None, *, etag: str | None = None) -> Iterator[bytes]:
        if start == end:
            return iter(())
        try:
            answer = self._get(check_key(key), start, end, etag=etag)
        except RangeNotAvailable:
            if start == 0:  # S3 has no range of an empty object
                return iter(())
            raise
        return self._blocks(key, start, answer)

    def fetch(self, key: str, path: Path, on_bytes: Progress | None = None) -> Stored:
        stored = self.head(key)
        tally = Tally(on_bytes)

        def fetch_span(file: int, span: tuple[int, int]) -> None:
            position, end = span
            answer = self._get(key, position, end, etag=stored.etag)
            for block in self._blocks(key, position, answer):
                write_at(file, block, position)
                position += len(block)
                tally.add(len(block))

        try:
            with path.open("wb") as file:
                file.truncate(stored.size)
                work = partial(fetch_span, file.fileno())
                run_parallel(work, spans(stored.size, self.part_bytes), threads=self._parallel, tally=tally)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, ObjectNotFound | RangeNotAvailable):  # it was there when we asked for its size
                raise ObjectChanged(key) from error
            raise
        return stored

    def _get(self, key: str, start: int, end: int | None, *, etag: str | None) -> "GetObjectOutputTypeDef":
        wanted: dict[str, Any] = {}
        if start or end is not None:
            wanted["Range"] = f"bytes={start}-" + ("" if end is None else str(end - 1))
        if etag is not None:
            wanted["IfMatch"] = f'"{etag}"'
        with s3_errors(key):
            answer = self._client.get_object(Bucket=self._bucket, Key=key, **wanted)
        if etag is not None and _etag(answer["ETag"]) != etag:  # for stores that ignore If-Match
            answer["Body"].close()
            raise ObjectChanged(key)
        return answer

    def _blocks(self, key: str, position: int, answer: "GetObjectOutputTypeDef") -> Iterator[bytes]:
        """Read an answer's body; a connection that breaks is taken up where it stopped, a bounded number of times."""
        end = position + answer["ContentLength"]
        etag = _etag(answer["ETag"])
        failures = 0
        while position < end:
            body = answer["Body"]
            try:
                for block in body.iter_chunks(BLOCK_BYTES):
                    position += len(block)
                    failures = 0
                    yield block
            except (HTTPClientError, IncompleteReadError) as error:
                failures += 1
                if failures >= ATTEMPTS:
                    raise StorageUnavailable(key, str(error)) from error
                time.sleep(_pause_seconds(failures))
                answer = self._get(key, position, end, etag=etag)
            finally:
                body.close()

    def head(self, key: str) -> Stored:
        with s3_errors(check_key(key)):
            answer = self._client.head_object(Bucket=self._bucket, Key=key)
        return Stored(key, answer["ContentLength"], _etag(answer["ETag"]))

    def delete(self, keys: Iterable[str]) -> None:
        for batch in batches(keys, DELETE_BATCH):
            self._delete_batch([check_key(key) for key in batch])

    def _delete_batch(self, keys: Sequence[str]) -> None:
        objects: Any = [{"Key": key} for key in keys]
        with s3_errors(keys[0]):
            answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
        for error in answer.get("Errors", ()):
            if error.get("Code") != "NoSuchKey":
                raise StorageUnavailable(error.get("Key", keys[0]), f"not deleted: {error.get('Code')}")

    def delete_prefix(self, prefix: str) -> int:
        deleted = 0
        for batch in batches((stored.key for stored in self.list(prefix)), DELETE_BATCH):
            self._delete_batch(batch)
            deleted += len(batch)
        return deleted

    def list(self, prefix: str) -> Iterator[Stored]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=check_prefix(prefix))
        with s3_errors(prefix):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield Stored(found["Key"], found["Size"], _etag(found["ETag"]))

    def list_folders(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=check_prefix(prefix), Delimiter="/"
        )
        with s3_errors(prefix):
            for page in pages:
                for found in page.get("CommonPrefixes", ()):
                    yield found["Prefix"]

    def begin_multipart(self, key: str, content_type: str) -> str:
        with s3_errors(check_key(key)):
            answer = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, ContentType=content_type)
        return answer["UploadId"]

    def put_part(self, key: str, upload_id: str, number: int, data: bytes | bytearray) -> str:
        with s3_errors(key):
            answer = self._client.upload_part(
                Bucket=self._bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=cast("bytes", data)
            )
        return _etag(answer["ETag"])

    def complete_multipart(self, key: str, upload_id: str, etags: Sequence[str]) -> Stored:
        parts: Any = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in enumerate(etags, start=1)]
        try:
            with s3_errors(key):
                self._client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
                )
        except UploadNotFound as error:
            return self._completed_before(key, error)
        return self.head(key)

    def _completed_before(self, key: str, error: UploadNotFound) -> Stored:
        """An answer that got lost is asked for again, and then the upload is gone because it is complete.

        Keys are never used twice, so an object there is what this upload became.
        """
        try:
            return self.head(key)
        except ObjectNotFound:
            raise error from None

    def abort_multipart(self, key: str, upload_id: str) -> None:
        with contextlib.suppress(UploadNotFound), s3_errors(key):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    def list_multiparts(self, prefix: str) -> Iterator[Multipart]:
        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket, Prefix=check_prefix(prefix)
        )
        with s3_errors(prefix):
            for page in pages:
                for found in page.get("Uploads", ()):
                    yield Multipart(found["Key"], found["UploadId"], found["Initiated"])

    def url(self, key: str, expires_seconds: int, content_type: str | None = None) -> str | None:
        wanted = {"Bucket": self._bucket, "Key": check_key(key)}
        if content_type is not None:
            wanted["ResponseContentType"] = content_type
        with s3_errors(key):
            return self._signer.generate_presigned_url("get_object", Params=wanted, ExpiresIn=expires_seconds)

    def prepare(self) -> None:
        with s3_errors(self._bucket):
            self._make_bucket()
            self._allow_any_origin()

    def _make_bucket(self) -> None:
        """Buckets are born private. Who may only use an existing one needs no right to create it."""
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if _code(error) not in {"404", "NoSuchBucket", "NotFound"}:
                raise
            elsewhere: Any = {}
            if self._region != "us-east-1":  # the one region that must not be named
                elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
            with _tolerated("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                self._client.create_bucket(Bucket=self._bucket, **elsewhere)

    def _allow_any_origin(self) -> None:
        """Let pages of any origin play: a redirect across origins asks as `Origin: null`, which only `*` answers.

        The signature in the address is what grants access. Some stores (MinIO) do this by themselves and lack the call.
        """
        rule: Any = {
            "AllowedOrigins": ["*"],
            "AllowedMethods": ["GET", "HEAD"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["Content-Length", "Content-Range", "ETag"],
            "MaxAgeSeconds": 3600,
        }
        with _tolerated("NotImplemented"):
            self._client.put_bucket_cors(Bucket=self._bucket, CORSConfiguration={"CORSRules": [rule]})


@contextlib.contextmanager
def s3_errors(key: str) -> Iterator[None]:
    """Say what an error of boto3 means for the object it was about."""
    try:
        yield
    except ClientError as error:
        raise _client_error_meaning(error)(key, _code(error)) from error
    except BotoCoreError as error:
        meaning = next(ours for theirs, ours in CLIENT_MEANINGS.items() if isinstance(error, theirs))
        raise meaning(key, str(error)) from error


def _client_error_meaning(error: ClientError) -> type[StorageError]:
    if known := CODE_MEANINGS.get(_code(error)):
        return known
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    again = status >= SERVER_ERRORS or status == TOO_MANY_REQUESTS
    return StorageUnavailable if again else StorageRefused


@contextlib.contextmanager
def _tolerated(*codes: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if _code(error) not in codes:
            raise
        log.warning("store says %s, going on", _code(error))


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _etag(quoted: str) -> str:
    return quoted.strip('"')


def _pause_seconds(failures: int) -> float:
    """Back off exponentially with full jitter, so that the readers of a store that stumbled don't come back at once."""
    return random.uniform(0, min(8.0, 0.25 * 2**failures))  # noqa: S311 - no secret depends on it


def _client(address: S3Address, endpoint_url: str) -> "S3Client":
    config = Config(
        signature_version="s3v4",
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},  # exponential, with full jitter
        # Checksums that S3-compatible stores do not know are sent only where the operation demands one.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "addressing_style": "path" if endpoint_url else "auto",
            "payload_signing_enabled": False,  # hashing every body costs four times the CPU of sending it
        },
    )
    session = Session(
        aws_access_key_id=address.access_key or None,
        aws_secret_access_key=address.secret_key or None,
        region_name=address.region,
    )
    client = session.client("s3", endpoint_url=endpoint_url or None, config=config)
    count_requests(client.meta.events)
    return client
