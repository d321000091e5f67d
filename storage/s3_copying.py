"""Copies that the store makes by itself, of objects of any size."""

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from storage.errors import ObjectChanged, ObjectNotFound, StorageError, StorageRefused
from storage.parts import part_bytes_for
from storage.protocol import StoredObject
from storage.s3_errors import s3_errors
from storage.s3_reading import unquoted
from storage.transfer import TransferProgress, run_parallel, spans

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from storage.s3 import S3Store

COPY_PART_BYTES = 64 * 1024 * 1024
"""Of one request, which has to end before it times out; S3 itself allows 5 GiB."""

log = logging.getLogger(__name__)


class S3Copier:
    """Copies objects into one bucket."""

    def __init__(self, client: "S3Client", bucket: str, *, threads: int) -> None:
        self._client = client
        self._bucket = bucket
        self._threads = threads

    def copy(self, bucket: str, source: StoredObject, key: str, content_type: str, target: "S3Store") -> None:
        """Copy an object of a bucket on this server. Raises ObjectChanged when it is not `source` any more."""
        if source.size > COPY_PART_BYTES:
            try:
                self._copy_parts(bucket, source, key, content_type, target)
            except StorageRefused as error:
                log.info("copying an object in one request: %s", error, extra={"event": "store_copies_whole"})
            else:
                return
        self._copy_whole(bucket, source, key, content_type)

    def _copy_whole(self, bucket: str, source: StoredObject, key: str, content_type: str) -> None:
        with _changed(source.key), s3_errors(source.key):
            self._client.copy_object(
                Bucket=self._bucket,
                Key=key,
                MetadataDirective="REPLACE",
                ContentType=content_type,
                **_source(bucket, source),
            )

    def _copy_parts(self, bucket: str, source: StoredObject, key: str, content_type: str, target: "S3Store") -> None:
        upload_id = target.create_multipart(key, content_type)
        length = part_bytes_for(source.size, COPY_PART_BYTES)

        def copy(span: tuple[int, int]) -> str:
            start, end = span
            with _changed(source.key), s3_errors(source.key):
                response = self._client.upload_part_copy(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload_id,
                    PartNumber=start // length + 1,
                    CopySourceRange=f"bytes={start}-{end - 1}",
                    **_source(bucket, source),
                )
            etag = response["CopyPartResult"].get("ETag")
            if not etag:  # `rclone serve s3` takes the request for an upload of an empty part
                raise StorageRefused(key, "the store cannot copy ranges")
            return unquoted(etag)

        try:
            etags = run_parallel(
                copy, spans(source.size, length), threads=self._threads, progress=TransferProgress(None)
            )
            target.complete_multipart(key, upload_id, etags)
        except BaseException:
            with contextlib.suppress(StorageError):  # the first error is the one to raise
                target.abort_multipart(key, upload_id)
            raise


def _source(bucket: str, source: StoredObject) -> Any:  # noqa: ANN401 - arguments of boto3's, whose types differ
    return {"CopySource": {"Bucket": bucket, "Key": source.key}, "CopySourceIfMatch": f'"{source.etag}"'}


@contextlib.contextmanager
def _changed(key: str) -> Any:  # noqa: ANN401
    """Raise ObjectChanged for an object that is gone: it was there a moment ago."""
    try:
        yield
    except ObjectNotFound as error:
        raise ObjectChanged(key) from error
