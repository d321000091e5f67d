"""Checksums of requests.

botocore's own, CRC32 and the like in headers of their own, are unknown to many S3-compatible stores: some refuse the
request, others (`rclone serve s3`) take any value. All stores, AWS too, compare Content-MD5 with what they received.
So it goes with each object and each part: what a store has is what was read here.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Any

from storage.protocol import Bytes
from storage.s3_metrics import Events

_CHECKED = ("PutObject", "UploadPart", "DeleteObjects", "PutBucketCors", "PutBucketLifecycleConfiguration")


def register_content_md5(events: Events) -> None:
    """Send Content-MD5 with objects, parts, and the operations that require a checksum."""
    for operation in _CHECKED:
        events.register(f"before-call.s3.{operation}", _content_md5)


def _content_md5(*, params: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
    params["context"].pop("checksum", None)
    body = params["body"]
    digest = md5(body.getbuffer() if hasattr(body, "getbuffer") else body)
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()


def md5(data: Bytes) -> bytes:
    """Return the digest by which stores compare bytes. It guards against accidents, not against attacks."""
    return hashlib.md5(data, usedforsecurity=False).digest()


def contradicts(etag: str, digests: Sequence[bytes]) -> bool:
    """Tell whether an etag looks like the MD5 of an object of these parts, and is another one.

    Most stores use the MD5 of an object as its etag, and for one of several parts the MD5 of theirs and their number.
    """
    found = re.fullmatch("([0-9a-f]{32})(-([0-9]{1,5}))?", etag)
    if not found or len(digests) != int(found[3] or 1):
        return False
    return found[1] != (md5(b"".join(digests)) if found[2] else digests[0]).hex()
