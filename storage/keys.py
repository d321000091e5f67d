"""Keys of all objects in the store, and the check of keys and prefixes."""

import re
from uuid import UUID

from storage.errors import InvalidKey

SEGMENT_SUFFIX = ".m4s"
INIT_NAME = "init.mp4"
MP4_NAME = "progressive.mp4"
M4A_NAME = "track.m4a"
_MAX_KEY_BYTES = 1024
"""Limit of S3."""
_MAX_NAME_BYTES = 255
"""Limit of a file name on Linux, for `storage.local`."""

VIDEOS_PREFIX = "videos/"
_GENERATION = re.compile(rf"{VIDEOS_PREFIX}[^/]+/g([0-9]+)/")


def source_key(video_id: UUID) -> str:
    """Key of the uploaded file."""
    return f"{video_prefix(video_id)}source"


def indexed_key(video_id: UUID) -> str:
    """Key of the source remuxed into a container with an index, for a source without one."""
    return f"{video_prefix(video_id)}indexed.mkv"


def bitmaps_prefix(video_id: UUID) -> str:
    """Prefix of the subtitles of a video that consist of images, as chunks draw them."""
    return f"{video_prefix(video_id)}bitmaps/"


def bitmaps_key(video_id: UUID, stream: int) -> str:
    """Key of those of one stream in the uploaded file."""
    return f"{bitmaps_prefix(video_id)}{stream}.mkv"


def joined_prefix(video_id: UUID) -> str:
    """Prefix of the sources that attempts to join other videos have made."""
    return f"{video_prefix(video_id)}joined/"


def joined_key(video_id: UUID, step_id: UUID, attempt: int) -> str:
    """Key of the source that one attempt of a step made of other videos. It is never reused."""
    return f"{joined_prefix(video_id)}{step_id}-a{attempt}"


def tails_prefix(video_id: UUID) -> str:
    """Prefix of the bytes of an upload that are too few for a part."""
    return f"{video_prefix(video_id)}tail/"


def tail_key(video_id: UUID, received_bytes: int, lock: int) -> str:
    """Key of those that end an upload of so many bytes, stored under one of its locks. It is never reused."""
    return f"{tails_prefix(video_id)}{received_bytes}-{lock}"


def video_prefix(video_id: UUID) -> str:
    """Prefix of all objects of a video."""
    return f"{VIDEOS_PREFIX}{video_id}/"


def generation_prefix(video_id: UUID, generation: int) -> str:
    """Prefix of all objects of a generation."""
    return f"{video_prefix(video_id)}g{generation}/"


def generation_number(prefix: str) -> int | None:
    """Return the number of the generation that a prefix has all objects of; None: it is another prefix."""
    found = _GENERATION.fullmatch(prefix)
    return int(found[1]) if found else None


def rendition_prefix(video_id: UUID, generation: int, rendition: str) -> str:
    """Prefix of all objects of a rendition, its files included."""
    return f"{generation_prefix(video_id, generation)}{rendition}/"


def run_prefix(video_id: UUID, generation: int, rendition: str, step_id: UUID, attempt: int) -> str:
    """Prefix of the objects that one attempt of a step stores for one rendition. It is never reused."""
    return f"{rendition_prefix(video_id, generation, rendition)}{step_id}-a{attempt}/"


def thumbnails_prefix(video_id: UUID, images: str) -> str:
    """Prefix of the images of a video that one attempt of a step makes. It is never reused."""
    return f"{_thumbnails(video_id)}{images}/"


def thumbnails_of_step(video_id: UUID, step_id: UUID) -> str:
    """Prefix of the images that all attempts of a step make."""
    return f"{_thumbnails(video_id)}{step_id}-"


def _thumbnails(video_id: UUID) -> str:
    return f"{video_prefix(video_id)}thumbnails/"


def images_name(step_id: UUID, attempt: int) -> str:
    """Name of the images that one attempt of a step makes."""
    return f"{step_id}-a{attempt}"


def segment_key(prefix: str, number: int) -> str:
    return f"{prefix}{number}{SEGMENT_SUFFIX}"


def init_key(prefix: str) -> str:
    return f"{prefix}{INIT_NAME}"


def asset_key(prefix: str, file_name: str) -> str:
    return f"{prefix}{file_name}"


def check_key(key: str) -> str:
    """Return the key. Raises InvalidKey for `.`, `..`, empty names, unprintable characters, backslashes, and length."""
    names = key.split("/")
    if (
        not key.isprintable()  # excludes lone surrogates, which cannot be encoded
        or "\\" in key
        or len(key.encode()) > _MAX_KEY_BYTES
        or any(name in ("", ".", "..") or len(name.encode()) > _MAX_NAME_BYTES for name in names)
    ):
        raise InvalidKey(key)
    return key


def check_prefix(prefix: str) -> str:
    """Return the prefix. Raises InvalidKey like `check_key`, and for the empty prefix, which would match everything."""
    check_key(prefix.removesuffix("/"))
    return prefix
