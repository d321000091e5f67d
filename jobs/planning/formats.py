"""Output formats of a job, by the names that requests use."""

from collections.abc import Sequence

HLS, DASH, MP4 = "hls", "dash", "mp4"
OUTPUT_FORMATS = (HLS, DASH, MP4)
"""Every job has HLS and DASH, over the same segments. Only MP4 adds steps."""


def output_formats(requested: str | Sequence[str]) -> Sequence[str]:
    """List the formats of a request, which has one name or a list."""
    return [requested] if isinstance(requested, str) else requested
