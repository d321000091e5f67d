"""tus 1.0 (https://tus.io/protocols/resumable-upload) as values: the headers of its requests and responses.

Nothing here knows the database, the store or Django.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from api.problems import CHECKSUM_MISMATCH, Problem, invalid_field

VERSION = "1.0.0"
EXTENSIONS = (
    "creation", "creation-with-upload", "creation-defer-length", "expiration", "checksum", "termination",
)  # fmt: skip
ALGORITHMS = ("sha1", "sha256", "md5")
"""Of checksums. The protocol requires SHA-1; it finds errors of transmission and is no protection."""
BODY_TYPE = "application/offset+octet-stream"
METHODS = "OPTIONS, POST, HEAD, PATCH, DELETE"

JSON_FIELDS = frozenset({"metadata", "transcode", "loudness", "source_retention_days"})
CLIENTS_OWN = frozenset({"filetype", "name", "relativePath", "type"})
"""Metadata that Uppy and tus-js-client's examples send by themselves. What the file is, its bytes say."""

Headers = Mapping[str, str]
"""Headers of a request, by their names in lower case."""


def check_version(headers: Headers) -> None:
    """Raise Problem (412) for a client of another version of the protocol, or of none."""
    version = headers.get("tus-resumable")
    if version != VERSION:
        detail = f"Tus-Resumable must be {VERSION}" + (f", not {version[:20]!r}." if version else ".")
        raise Problem(
            status=412, code="tus_version_unsupported", detail=detail, headers={"Tus-Version": VERSION}
        )  # fmt: skip


def declared_size(headers: Headers) -> int | None:
    """Return the length of a new upload in bytes, or None when the client says it later. Raises Problem (400)."""
    deferred = headers.get("upload-defer-length")
    if deferred is None:
        return _number(headers, "Upload-Length", required=True)
    if deferred != "1" or "upload-length" in headers:
        raise _wrong("Upload-Defer-Length", "must be 1, and then there is no Upload-Length")
    return None


def later_size(headers: Headers) -> int | None:
    """Return the length in bytes that a PATCH adds, or None. Raises Problem (400)."""
    return _number(headers, "Upload-Length", required=False)


def body_offset(headers: Headers) -> int:
    """Return the position of the first byte of a PATCH. Raises Problem (400, 415)."""
    check_body_type(headers)
    offset = _number(headers, "Upload-Offset", required=True)
    assert offset is not None  # noqa: S101 - it is required
    return offset


def check_body_type(headers: Headers) -> None:
    """Raise Problem (415) for a body that is not bytes of an upload."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != BODY_TYPE:
        raise Problem(status=415, code="unsupported_media_type", detail=f"The body must be {BODY_TYPE}.")


def upload_fields(headers: Headers) -> dict[str, Any]:
    """Read the fields of a new upload from `Upload-Metadata`: text, and JSON where the field is.

    The values are not checked. Raises Problem (400, 422).
    """
    fields = {}
    for name, raw in _pairs(headers.get("upload-metadata", "")).items():
        if name in CLIENTS_OWN:
            continue
        try:
            fields[name] = json.loads(raw) if name in JSON_FIELDS else raw.decode()
        except (ValueError, RecursionError):
            raise invalid_field(name, "must be JSON" if name in JSON_FIELDS else "must be UTF-8") from None
    return fields


def metadata_header(fields: Mapping[str, Any]) -> str:
    """Write `Upload-Metadata`, as `upload_fields` reads it. Fields without a value are left out."""
    pairs = (
        (name, json.dumps(value) if name in JSON_FIELDS else value)
        for name, value in fields.items()
        if value not in (None, "")
    )
    return ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in pairs)


def _pairs(header: str) -> dict[str, bytes]:
    pairs: dict[str, bytes] = {}
    for pair in filter(None, map(str.strip, header.split(","))):
        name, _, value = pair.partition(" ")
        if name in pairs:
            raise _wrong("Upload-Metadata", f"has {name[:100]!r} twice")
        try:
            pairs[name] = base64.b64decode(value, validate=True)
        except binascii.Error:
            raise _wrong("Upload-Metadata", f"the value of {name[:100]!r} must be Base64") from None
    return pairs


@dataclass(frozen=True, slots=True)
class Checksum:
    """Checksum of the body of one request."""

    algorithm: str
    digest: bytes

    @classmethod
    def from_header(cls, headers: Headers) -> "Checksum | None":
        """Read `Upload-Checksum`. Raises Problem (400)."""
        text = headers.get("upload-checksum")
        if text is None:
            return None
        algorithm, _, encoded = text.partition(" ")
        if algorithm not in ALGORITHMS:
            raise _wrong("Upload-Checksum", f"must begin with one of: {', '.join(ALGORITHMS)}")
        try:
            digest = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            raise _wrong("Upload-Checksum", "must be Base64") from None
        if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
            raise _wrong("Upload-Checksum", f"has not the length of a {algorithm}")
        return cls(algorithm, digest)


class BodyDigest:
    """Digest of a body as it arrives, where the client sent one to compare with."""

    def __init__(self, checksum: Checksum | None) -> None:
        self._checksum = checksum
        self._digest = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None

    def update(self, data: bytes | memoryview) -> None:
        if self._digest is not None:
            self._digest.update(data)

    def check(self) -> None:
        """Raise Problem (460) if the body is not what the client sent."""
        if self._checksum and self._digest and not hmac.compare_digest(self._digest.digest(), self._checksum.digest):
            detail = f"The body has another {self._checksum.algorithm} than Upload-Checksum. Nothing of it is kept."
            raise Problem(status=CHECKSUM_MISMATCH, code="body_checksum_mismatch", detail=detail, retryable=True)


def options(max_bytes: int) -> dict[str, str]:
    """Headers of the response to OPTIONS: what this server can do."""
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Max-Size": str(max_bytes),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }


def http_date(moment: datetime) -> str:
    """Write a moment in UTC as `Upload-Expires` has it (RFC 9110)."""
    return format_datetime(moment, usegmt=True)


def _number(headers: Headers, name: str, *, required: bool) -> int | None:
    text = headers.get(name.lower())
    if text is None and not required:
        return None
    if text is None or not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise _wrong(name, "must be a number of bytes")
    return int(text)


_MAX_DIGITS = 18
"""Limit of a column of PostgreSQL."""


def _wrong(name: str, detail: str) -> Problem:
    return invalid_field(name, detail, code="invalid_header", status=400)
