"""Output formats of a job, by the names that requests use."""

from collections.abc import Sequence

HLS, DASH, MP4, M4A = "hls", "dash", "mp4", "m4a"
OUTPUT_FORMATS = (HLS, DASH, MP4, M4A)
"""Every job has HLS and DASH, over the same segments. Only files add steps: MP4 and M4A."""


def output_formats(requested: str | Sequence[str]) -> Sequence[str]:
    """List the formats of a request, which has one name or a list."""
    return [requested] if isinstance(requested, str) else requested
