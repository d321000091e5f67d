"""Checksums of requests that S3 wants one for.

botocore sends CRC32 in a header that many S3-compatible stores do not know: they refuse DeleteObjects with
`MissingContentMD5` or `InvalidDigest`. All stores, AWS too, accept Content-MD5.
"""

import base64
import hashlib
from typing import Any

from storage.s3_metrics import Events

_REQUIRED = ("DeleteObjects", "PutBucketCors")


def register_content_md5(events: Events) -> None:
    """Send Content-MD5 with our operations that require a checksum, and nothing else."""
    for operation in _REQUIRED:
        events.register(f"before-call.s3.{operation}", _content_md5)


def _content_md5(*, params: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
    params["context"].pop("checksum", None)
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
