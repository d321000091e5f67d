"""Relative URLs of the files of a presentation, the same for HLS and DASH."""

INIT_NAME = "init.mp4"
PLAYLIST_NAME = "index.m3u8"
IFRAME_PLAYLIST_NAME = "iframes.m3u8"
_TEXTS = "texts"


def segment_name(number: int | str) -> str:
    """Return the relative URL of a segment, or the pattern of all of them for a placeholder of the number."""
    return f"{number}.m4s"


def part_name(segment: int, part: int, attempt: int) -> str:
    """Return the relative URL of a part of a live segment.

    A worker that takes over makes the segment again, with other bytes; its attempt gives it URLs of its own.
    """
    return f"{segment}.{part}.{attempt}.m4s"


def text_file(name: str) -> str:
    """Return the URL of a whole text, relative to the manifests."""
    return f"{_TEXTS}/{name}.vtt"


def text_playlist(name: str) -> str:
    """Return the URL of the HLS playlist of a text, relative to the manifests."""
    return f"{_TEXTS}/{name}/{PLAYLIST_NAME}"


def text_segment_name(number: int) -> str:
    """Return the URL of a segment of a text, relative to its playlist."""
    return f"{number}.vtt"
