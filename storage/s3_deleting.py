"""Objects of a bucket that are deleted: many by one request where the store can, and with an error per key."""

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from storage.errors import ObjectNotFound, StorageError, StorageRefused, StorageUnavailable, not_deleted
from storage.s3_errors import ADVICE, reason_of, refuses_operation, s3_errors
from storage.transfer import TransferProgress, batches, run_parallel

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DELETE_BATCH = 1000
"""Limit of DeleteObjects, from S3's API reference."""

log = logging.getLogger(__name__)


class S3Deleter:
    """Deletes objects of one bucket."""

    def __init__(self, client: "S3Client", bucket: str, *, threads: int) -> None:
        self._client = client
        self._bucket = bucket
        self._threads = threads
        self._deletes_many = True
        """DeleteObjects works here, as far as is known."""

    def delete(self, keys: Iterable[str]) -> int:
        """Delete as many of the objects as can be deleted, and return their number.

        Raises StorageRefused or StorageUnavailable with the `keys` of those that stayed.
        """
        count = 0
        errors: list[StorageError] = []
        for batch in batches(keys, DELETE_BATCH):
            count += len(batch)
            try:
                errors += self._delete_batch(batch)
            except StorageError as error:  # the store is unavailable: later batches are not tried
                raise not_deleted([*errors, *(type(error)(key, str(error)) for key in batch)]) from error
        if errors:
            raise not_deleted(errors)
        return count

    def _delete_batch(self, keys: Sequence[str]) -> Sequence[StorageError]:
        if not self._deletes_many:
            return self._delete_singly(keys)
        try:
            return self._delete_many(keys)
        except StorageRefused as error:
            errors = self._delete_singly(keys)
            if len(errors) < len(keys):  # else the credentials are at fault, and not the operation
                log.warning("deleting objects one by one: %s", error, extra={"event": "store_deletes_singly"})
                if refuses_operation(error):  # others pass
                    self._deletes_many = False
            return errors

    def _delete_many(self, keys: Sequence[str]) -> Sequence[StorageError]:
        objects: Any = [{"Key": key} for key in keys]
        with s3_errors(keys[0]):
            response = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
        errors = [(error.get("Key", keys[0]), error.get("Code", "")) for error in response.get("Errors", ())]
        return [
            (StorageRefused if code in ADVICE else StorageUnavailable)(key, f"not deleted: {reason_of(code)}")
            for key, code in errors
            if code != "NoSuchKey"
        ]

    def _delete_singly(self, keys: Sequence[str]) -> Sequence[StorageError]:
        found = run_parallel(self._delete_one, keys, threads=self._threads, progress=TransferProgress(None))
        return [error for error in found if error is not None]

    def _delete_one(self, key: str) -> StorageError | None:
        try:
            with s3_errors(key):
                self._client.delete_object(Bucket=self._bucket, Key=key)
        except ObjectNotFound:
            return None
        except StorageError as error:
            return error
        return None
