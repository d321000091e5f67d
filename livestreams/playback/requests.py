"""Requests to the playback route, as values."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl
from uuid import UUID

from api.problems import Problem, not_found
from livestreams.playback.tokens import SEPARATOR
from livestreams.playback.urls import MASTER, MPD
from transcoding.manifests.names import INIT_NAME, PLAYLIST_NAME

TIME = "time"
_MEDIA = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/([^/]{1,64})/([^/]+)", re.ASCII)
_PLAYBACK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SEGMENT = re.compile(r"([0-9]{1,9})\.m4s", re.ASCII)
_PART = re.compile(r"([0-9]{1,9})\.([0-9]{1,4})\.([0-9]{1,9})\.m4s", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_MAX_QUERY_FIELDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest:
    """A request for a file of a live stream."""

    playback_id: str
    token: str
    file: str
    """`master.m3u8`, `dash/manifest.mpd` or `time`; or of a rendition `index.m3u8`, `init.mp4`, `segment`, `part`."""
    generation_id: UUID | None = None
    rendition: str = ""
    numbers: tuple[int, ...] = ()
    """Of a segment its number; of a part those of its segment and itself, and the attempt."""

    @property
    def route(self) -> str:
        """The pattern of its path, for logs and metrics."""
        below = "<uuid:generation>/<str:rendition>/" if self.generation_id else ""
        return f"/streams/<str:playback_id>/{below}{self.file}"


def stream_request(path: str) -> StreamRequest:
    """Read the path of a request after the prefix of the route. Raises Problem (404)."""
    name, _, rest = path.partition("/")
    playback_id, _, token = name.partition(SEPARATOR)
    if not _PLAYBACK_ID.fullmatch(playback_id):
        raise not_found("stream")
    if rest in (MASTER, MPD, TIME):
        return StreamRequest(playback_id=playback_id, token=token, file=rest)
    match = _MEDIA.fullmatch(rest)
    if match is None:
        raise not_found("stream")
    generation, rendition, file = match.groups()
    numbers: tuple[int, ...] = ()
    for kind, pattern in (("segment", _SEGMENT), ("part", _PART)):
        if found := pattern.fullmatch(file):
            file, numbers = kind, tuple(map(int, found.groups()))
    if file not in (PLAYLIST_NAME, INIT_NAME, "segment", "part"):
        raise not_found("stream")
    return StreamRequest(
        playback_id=playback_id,
        token=token,
        file=file,
        generation_id=UUID(generation),
        rendition=rendition,
        numbers=numbers,
    )


@dataclass(frozen=True, slots=True)
class Directives:
    """Delivery directives of a request for a playlist (RFC 8216bis, section 6.2.5)."""

    segment: int | None = None
    """The playlist is to have this segment, or the part."""
    part: int | None = None
    skip: bool = False

    @property
    def blocking(self) -> bool:
        return self.segment is not None


def delivery_directives(query: bytes) -> Directives:
    """Read the directives of a query. Raises Problem (400) for those that the rules do not allow."""
    if not query:
        return Directives()
    try:
        fields = dict(parse_qsl(query.decode("latin-1"), max_num_fields=_MAX_QUERY_FIELDS))
    except ValueError as error:
        raise bad_directive("", "The query has too many fields.") from error
    segment, part = _number(fields, "_HLS_msn"), _number(fields, "_HLS_part")
    if part is not None and segment is None:
        raise bad_directive("_HLS_part", "It requires _HLS_msn.")
    return Directives(segment, part, fields.get("_HLS_skip") in ("YES", "v2"))


def _number(fields: dict[str, str], name: str) -> int | None:
    text = fields.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise bad_directive(name, "It must be a whole number.")
    return int(text)


def bad_directive(name: str, detail: str) -> Problem:
    """Build the Problem of a directive; the rules of HLS want status 400."""
    return Problem(status=400, code="invalid_directive", detail=f"{name}: {detail}" if name else detail)
