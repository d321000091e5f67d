"""Limits of one API process for uploads."""

from dataclasses import dataclass

FORM_BYTES = 64 * 1024
"""How much longer than its file a form may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """What one process takes. `parts_in_memory` is the bound for all uploads together.

    Each upload under way has another part that is being filled. A client may keep us waiting for `idle_seconds`; bytes
    earn it that time back, at `least_bytes_per_second`: far less than any line that videos are uploaded over.
    """

    max_bytes: int
    max_uploads: int = 32
    parallel_parts: int = 4
    parts_in_memory: int = 16
    idle_seconds: float = 60.0
    least_bytes_per_second: int = 8 * 1024
    https_only: bool = False
