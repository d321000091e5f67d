"""Errors of the object store.

StorageError
├── InvalidKey           `storage.keys` refuses the key: a bug, or a path from outside
├── ObjectNotFound       no object has that key
├── ObjectChanged        the object was replaced or deleted while it was read
├── RangeNotAvailable    the range begins past the end of the object
├── UploadNotFound       the multipart upload was completed, aborted or never created, or lacks parts
├── StorageRefused       credentials, bucket or request are wrong; an operator must act
└── StorageUnavailable   the store is unreachable, slow or broken; a retry can help
"""

from collections.abc import Sequence

from transcoding.errors import TranscodeError

_NAMED_KEYS = 5
"""Keys that the message of an error names."""


class StorageError(TranscodeError):
    """Base of the store's errors. `key` names the object, or the bucket; `keys` are all objects that it is about."""

    code = "storage_error"
    description = "the store failed"

    def __init__(self, key: str, reason: str = "") -> None:
        super().__init__(f"{key}: {self.description}" + (f" ({reason})" if reason else ""))
        self.key = key
        self.keys: Sequence[str] = (key,)


class InvalidKey(StorageError):
    code = "invalid_key"
    description = "not a valid key"


class ObjectNotFound(StorageError):
    code = "object_not_found"
    description = "no such object"


class ObjectChanged(StorageError):
    code = "object_changed"
    description = "the object changed while it was read"


class RangeNotAvailable(StorageError):
    code = "range_not_available"
    description = "the object ends before this range"


class UploadNotFound(StorageError):
    code = "upload_not_found"
    description = "no such multipart upload, or not all of its parts"


class StorageRefused(StorageError):
    code = "storage_refused"
    description = "the store refused the request"
    for_clients = (
        "The object store refuses the platform's requests. Its operator finds the cause in the log"
        " and in /api/v1/system/health."
    )


class StorageUnavailable(StorageError):
    code = "storage_unavailable"
    description = "the store is unavailable"
    for_clients = "The object store cannot be reached."
    retryable = True


def not_deleted(errors: Sequence[StorageError]) -> StorageError:
    """Return one error for objects that were not deleted: the first one's, with the keys of all of them.

    An error that no retry mends goes before one that a retry can mend.
    """
    first = next((error for error in errors if not error.retryable), errors[0])
    keys = [error.key for error in errors]
    if len(keys) == 1:
        return first
    more = f" and {len(keys) - _NAMED_KEYS} more" if len(keys) > _NAMED_KEYS else ""
    named = ", ".join(keys[:_NAMED_KEYS])
    merged = type(first)(first.key, f"{len(keys)} objects stayed: {named}{more}; {first}")
    merged.keys = keys
    merged.__cause__ = first
    return merged
