"""Where everything lies in the store, and which keys are keys at all."""

from uuid import UUID

from storage.errors import InvalidKey

MOVIE_NAME = "movie.mp4"
_MAX_KEY_BYTES = 1024
_MAX_NAME_BYTES = 255


EVERY_VIDEO = "videos/"


def source_key(video_id: UUID) -> str:
    """The file as it was uploaded."""
    return f"{video_prefix(video_id)}source"


def indexed_key(video_id: UUID) -> str:
    """The source remuxed into a container with an index, when its own has none."""
    return f"{video_prefix(video_id)}indexed.mkv"


def video_prefix(video_id: UUID) -> str:
    """Everything that belongs to a video."""
    return f"{EVERY_VIDEO}{video_id}/"


def generation_prefix(video_id: UUID, generation: int) -> str:
    """Everything that one generation made."""
    return f"{video_prefix(video_id)}g{generation}/"


def run_prefix(video_id: UUID, generation: int, rendition: str, step_id: UUID, attempt: int) -> str:
    """What one attempt of a step made for one rendition; never used twice."""
    return f"{generation_prefix(video_id, generation)}{rendition}/{step_id}-a{attempt}/"


def segment_key(prefix: str, number: int) -> str:
    return f"{prefix}{number}.m4s"


def init_key(prefix: str) -> str:
    return f"{prefix}init.mp4"


def movie_key(prefix: str) -> str:
    return f"{prefix}{MOVIE_NAME}"


def check_key(key: str) -> str:
    """Refuse what could leave a folder or what a store may not take: `..`, empty names, control characters, length."""
    names = key.split("/")
    if (
        not key.isprintable()  # no lone surrogates either, so it can be encoded
        or "\\" in key
        or len(key.encode()) > _MAX_KEY_BYTES
        or any(name in ("", ".", "..") or len(name.encode()) > _MAX_NAME_BYTES for name in names)
    ):
        raise InvalidKey(key)
    return key


def check_prefix(prefix: str) -> str:
    """Refuse what `check_key` refuses, and the empty prefix, which would mean everything."""
    check_key(prefix.removesuffix("/"))
    return prefix
