"""Translation of boto3's exceptions into those of `storage.errors`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as BotoConnectionError

from storage.errors import (
    ObjectChanged,
    ObjectNotFound,
    RangeNotAvailable,
    StorageError,
    StorageRefused,
    StorageUnavailable,
    UploadNotFound,
)

ERRORS_BY_CODE: dict[str, type[StorageError]] = {
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
"""Error codes of S3 that are more specific than their HTTP status.

Other codes are StorageUnavailable with status 429 or 500 and above, else StorageRefused.
"""

ERRORS_BY_EXCEPTION: dict[type[BotoCoreError], type[StorageError]] = {
    HTTPClientError: StorageUnavailable,
    BotoConnectionError: StorageUnavailable,
    IncompleteReadError: StorageUnavailable,
    BotoCoreError: StorageRefused,
}
"""Exceptions of the client without a response. The first match in this order counts."""

_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500

log = logging.getLogger(__name__)


@contextmanager
def s3_errors(key: str) -> Iterator[None]:
    """Translate exceptions of boto3. `key` names the object, or the bucket, in the message."""
    try:
        yield
    except ClientError as error:
        raise _client_error_class(error)(key, error_code(error)) from error
    except BotoCoreError as error:
        translated = next(ours for theirs, ours in ERRORS_BY_EXCEPTION.items() if isinstance(error, theirs))
        raise translated(key, str(error)) from error


def _client_error_class(error: ClientError) -> type[StorageError]:
    if known := ERRORS_BY_CODE.get(error_code(error)):
        return known
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    retryable = status >= _SERVER_ERRORS or status == _TOO_MANY_REQUESTS
    return StorageUnavailable if retryable else StorageRefused


@contextmanager
def tolerated(*codes: str) -> Iterator[None]:
    """Log errors with these codes instead of raising them."""
    try:
        yield
    except ClientError as error:
        if error_code(error) not in codes:
            raise
        log.warning("ignoring the store's error %s", error_code(error))


def error_code(error: ClientError) -> str:
    """Return the error's code in the response body, or the HTTP status where there is no body."""
    return error.response.get("Error", {}).get("Code", "")
