"""What can go wrong with the store.

StorageError
├── InvalidKey           a key that no store of ours accepts; a bug, or a path from outside
├── ObjectNotFound       there is no object of that key
├── ObjectChanged        the object was replaced or deleted while it was read
├── RangeNotAvailable    the range begins past the end of the object
├── UploadNotFound       the multipart upload was completed, aborted or never begun, or lacks parts
├── StorageRefused       credentials, bucket or request are wrong; a person must act
└── StorageUnavailable   the store is away, slow or broken; trying again can help
"""

from transcoding.errors import TranscodeError


class StorageError(TranscodeError):
    """Base of what the store raises; `key` says which object it was about."""

    code = "storage_error"
    meaning = "the store failed"

    def __init__(self, key: str, reason: str = "") -> None:
        super().__init__(f"{key}: {self.meaning}" + (f" ({reason})" if reason else ""))
        self.key = key


class InvalidKey(StorageError):
    code = "invalid_key"
    meaning = "not a key"


class ObjectNotFound(StorageError):
    code = "object_not_found"
    meaning = "no such object"


class ObjectChanged(StorageError):
    code = "object_changed"
    meaning = "the object changed while it was read"


class RangeNotAvailable(StorageError):
    code = "range_not_available"
    meaning = "the object ends before this range"


class UploadNotFound(StorageError):
    code = "upload_not_found"
    meaning = "no such multipart upload, or not all of its parts"


class StorageRefused(StorageError):
    code = "storage_refused"
    meaning = "the store refused"


class StorageUnavailable(StorageError):
    code = "storage_unavailable"
    meaning = "the store is not available"
    retryable = True
