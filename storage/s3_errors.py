"""Translation of boto3's exceptions into those of `storage.errors`, with what an operator can do about them."""

import logging
from collections.abc import Iterator, Mapping
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

Other codes are StorageUnavailable with status 429 or 500 and above (501 aside), else StorageRefused.
"""

ERRORS_BY_EXCEPTION: dict[type[BotoCoreError], type[StorageError]] = {
    HTTPClientError: StorageUnavailable,
    BotoConnectionError: StorageUnavailable,
    IncompleteReadError: StorageUnavailable,
    BotoCoreError: StorageRefused,
}
"""Exceptions of the client without a response. The first match in this order counts."""

BROKEN_BODY = (HTTPClientError, IncompleteReadError)
"""Exceptions of the client while it reads the body of a response."""

_OTHER_REGION = "the bucket is in another region: set TRANSCODER_S3_REGION to it"

ADVICE: Mapping[str, str] = {
    "SignatureDoesNotMatch": "the secret key does not belong to the access key: check TRANSCODER_S3_SECRET_KEY; behind"
    " a proxy, the store must see the host name that is in TRANSCODER_S3_ENDPOINT_URL",
    "InvalidAccessKeyId": "the store does not know the access key: check TRANSCODER_S3_ACCESS_KEY",
    "RequestTimeTooSkewed": "the clock of this machine and that of the store differ: synchronise both (NTP)",
    "ExpiredToken": "the temporary credentials have expired: renew them",
    "NoSuchBucket": "there is no such bucket: check TRANSCODER_S3_BUCKET, or run `manage.py store_prepare`",
    "AccessDenied": "the access key lacks a right: docs/storage.md lists those that it needs",
    "AllAccessDisabled": "the store has blocked the bucket or its account",
    "AuthorizationHeaderMalformed": _OTHER_REGION,
    "PermanentRedirect": _OTHER_REGION,
    "QuotaExceeded": "the bucket is full: delete videos, or raise its quota",
    "NoCredentialsError": "there are no credentials: set TRANSCODER_S3_ACCESS_KEY and TRANSCODER_S3_SECRET_KEY",
}
"""Advice to operators, by the store's code or the client's exception. No URL and no key is in it."""

_OPERATION_REFUSED = frozenset(
    {
        "NotImplemented", "MethodNotAllowed",
        # Checksums that the store does not know, or wants in another form.
        "BadDigest", "InvalidDigest", "MissingContentMD5", "InvalidArgument", "InvalidRequest",
        "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch",
    }
)  # fmt: skip
"""Codes that a request gets for what it is, whoever sends it and whenever."""

_METHOD_NOT_ALLOWED = 405
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500
_NOT_IMPLEMENTED = 501

log = logging.getLogger(__name__)


@contextmanager
def s3_errors(key: str) -> Iterator[None]:
    """Translate exceptions of boto3. `key` names the object, or the bucket, in the message."""
    try:
        yield
    except ClientError as error:
        raise _client_error_class(error)(key, reason_of(error_code(error))) from error
    except BotoCoreError as error:
        translated = next(ours for theirs, ours in ERRORS_BY_EXCEPTION.items() if isinstance(error, theirs))
        raise translated(key, ADVICE.get(type(error).__name__, str(error))) from error


def reason_of(code: str) -> str:
    """Return the store's code, and what to do about it where that is known."""
    return f"{code}: {ADVICE[code]}" if code in ADVICE else code


def _client_error_class(error: ClientError) -> type[StorageError]:
    if known := ERRORS_BY_CODE.get(error_code(error)):
        return known
    return StorageUnavailable if _may_pass(error) else StorageRefused


@contextmanager
def optional(setting: str, advice: str) -> Iterator[None]:
    """Log a refusal instead of raising it: the store lacks the operation, or its key the right to it.

    An unavailable store is no refusal.
    """
    try:
        yield
    except ClientError as error:
        if _may_pass(error):
            raise
        log.warning(
            "%s not set (%s): %s",
            setting,
            error_code(error),
            advice,
            extra={"event": "store_setting_refused", "code": error_code(error)},
        )


def has_no_cause(error: ClientError) -> bool:
    """Tell whether a refusal had no body: that of HEAD never has one, so its code is a bare status."""
    return error_code(error).isdecimal() and not _may_pass(error)


def refuses_operation(error: StorageError) -> bool:
    """Tell whether the store lacks the operation, or refuses its form: it will next time, too.

    Credentials that have expired, a wrong clock or a right that is missing may be mended at any time.
    """
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return False
    return error_code(cause) in _OPERATION_REFUSED or _status(cause) in (_METHOD_NOT_ALLOWED, _NOT_IMPLEMENTED)


def was_corrupted(error: StorageError) -> bool:
    """Tell whether the store received other bytes than were sent, by the checksum that went with them."""
    return isinstance(error.__cause__, ClientError) and error_code(error.__cause__) == "BadDigest"


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _may_pass(error: ClientError) -> bool:
    """Tell from the status whether the same request may succeed later."""
    status = _status(error)
    return status == _TOO_MANY_REQUESTS or (status >= _SERVER_ERRORS and status != _NOT_IMPLEMENTED)


def error_code(error: ClientError) -> str:
    """Return the error's code in the response body, or the HTTP status where there is no body."""
    return error.response.get("Error", {}).get("Code", "")
