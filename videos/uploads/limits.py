"""Limits of uploads: of one API process, and of one owner."""

from dataclasses import dataclass

FORM_BYTES = 64 * 1024
"""Bytes by which a form may be longer than its file."""
MEMORY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """Limits of one process. `memory_bytes` is what the parts of all uploads that go to the store may use together.

    Each upload in progress has one more part that is being filled. A client may let us wait for `idle_seconds`.
    Received bytes earn it that time again, at `min_bytes_per_second`, which is far less than the rate of any connection
    that videos are uploaded over.
    """

    max_bytes: int
    max_uploads: int = 32
    max_owner_uploads: int = 8
    """Of one owner."""
    parallel_parts: int = 4
    memory_bytes: int = MEMORY_BYTES
    idle_seconds: float = 60.0
    min_bytes_per_second: int = 8 * 1024
    https_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLimits:
    """Limits of uploads in parts."""

    max_bytes: int
    max_open: int = 100
    """Of one owner."""
    expiry_seconds: int = 86_400
    """Time without any sign of the client after which an upload is aborted."""
