"""What a job can be requested to make, by the names that requests use."""

from collections.abc import Sequence

HLS, DASH, MP4 = "hls", "dash", "mp4"
OUTPUT_FORMATS = (HLS, DASH, MP4)
"""HLS and DASH are made by every job, over the same segments: only MP4 asks for something more."""


def output_formats(requested: str | Sequence[str]) -> Sequence[str]:
    """The names in a request, which has one of them or a list."""
    return [requested] if isinstance(requested, str) else requested
