"""Relative URLs of the files of a rendition, the same for HLS and DASH."""

INIT_NAME = "init.mp4"
PLAYLIST_NAME = "index.m3u8"
IFRAME_PLAYLIST_NAME = "iframes.m3u8"


def segment_name(number: int | str) -> str:
    """Return the relative URL of a segment, or the pattern of all of them for a placeholder of the number."""
    return f"{number}.m4s"
