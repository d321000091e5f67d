"""What a job can be asked to make, by the names that requests use."""

from collections.abc import Sequence

HLS, MP4 = "hls", "mp4"
OUTPUT_FORMATS = (HLS, MP4)
"""HLS, and with it DASH, is made by every job."""


def output_formats(asked: str | Sequence[str]) -> Sequence[str]:
    """The names in a request, which has one of them or a list."""
    return [asked] if isinstance(asked, str) else asked
