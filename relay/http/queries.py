"""Queries of requests for streams, read strictly: what is unknown, given twice or out of range is refused by name."""

import re
from collections.abc import Callable, Collection, Mapping
from urllib.parse import parse_qsl
from uuid import UUID

from api.asgi import Scope
from api.problems import FieldError, Problem, invalid_field
from relay.engines.engine import EngineKind
from relay.runs.run import LiveRequest
from relay.sources.opening import source_problem
from transcoding.encoders import COMPATIBLE_CODEC
from transcoding.planning.live import (
    LIVE_CODECS,
    MAX_AUDIO_BITRATE,
    MAX_VIDEO_BITRATE,
    MIN_AUDIO_BITRATE,
    MIN_VIDEO_BITRATE,
    LiveProfile,
)

KEY = "key"
"""Parameter with an API key, for players that cannot send headers."""
_MAX_FIELDS = 20
_MAX_SHOWN = 64
_BITRATE = re.compile(r"(\d{1,9})([kKM]?)", re.ASCII)
_FACTORS = {"": 1, "k": 1000, "K": 1000, "M": 1_000_000}
_ENCODING = ("profile", "codec", "video_bitrate", "audio_bitrate")


def without_key(scope: Scope) -> Scope:
    """Move a key from the query to the headers, so that nothing behind can log it. A key in the headers counts first.

    Raises Problem (422) for two of them.
    """
    raw: bytes = scope.get("query_string", b"")
    fields = [field for field in raw.split(b"&") if field]
    keys = [field for field in fields if field.partition(b"=")[0] == KEY.encode()]
    if not keys:
        return scope
    if len(keys) > 1:
        raise _repeated(KEY)
    text = dict(parse_qsl(keys[0].decode("latin-1"))).get(KEY, "")
    named = {name for name, _ in scope["headers"]}
    headers = list(scope["headers"])
    if not named & {b"authorization", b"x-api-key"}:
        headers.append((b"x-api-key", text.encode("utf-8", "replace")))
    return {**scope, "query_string": b"&".join(field for field in fields if field not in keys), "headers": headers}


def transcode_request(scope: Scope, owner_id: UUID) -> LiveRequest:
    """Read what `GET /transcode` wants. Raises Problem (422)."""
    return _live_request(EngineKind.TRANSCODE, _query(scope, ("source_url", *_ENCODING)), owner_id)


def remux_request(scope: Scope, owner_id: UUID) -> LiveRequest:
    """Read what `GET /remux` wants. Raises Problem (422)."""
    return _live_request(EngineKind.REMUX, _query(scope, ("source_url", "audio_bitrate")), owner_id)


def pushed_request(scope: Scope, owner_id: UUID) -> LiveRequest:
    """Read what `POST /transcode/stream` wants, whose body is the source. Raises Problem (422)."""
    return _live_request(EngineKind.TRANSCODE, _query(scope, _ENCODING), owner_id, pushed=True)


def _live_request(kind: EngineKind, query: Mapping[str, str], owner_id: UUID, *, pushed: bool = False) -> LiveRequest:
    errors: list[FieldError] = []
    if not pushed:
        errors += _errors("source_url", _source_url, query.get("source_url", ""))
    for name, reader in (
        ("profile", _profile),
        ("codec", _codec),
        ("video_bitrate", _video_bitrate),
        ("audio_bitrate", _audio_bitrate),
    ):
        if name in query:
            errors += _errors(name, reader, query[name])
    if errors:
        detail = "; ".join(f"{error.field}: {error.detail}" for error in errors)
        raise Problem(status=422, code="invalid", detail=detail, errors=errors)
    return LiveRequest(
        owner_id=owner_id,
        kind=kind,
        source_url=query.get("source_url", ""),
        profile=_profile(query.get("profile", LiveProfile.ORIGINAL)),
        codec=_codec(query.get("codec", COMPATIBLE_CODEC)),
        video_bitrate=_video_bitrate(query["video_bitrate"]) if "video_bitrate" in query else None,
        audio_bitrate=_audio_bitrate(query["audio_bitrate"]) if "audio_bitrate" in query else None,
    )


def _errors(name: str, reader: Callable[[str], object], text: str) -> list[FieldError]:
    try:
        reader(text)
    except ValueError as error:
        return [FieldError(name, str(error))]
    return []


def _source_url(text: str) -> str:
    if not text:
        raise ValueError("is required: the URL of the stream")
    if problem := source_problem(text):
        raise ValueError(problem)
    return text


def _profile(text: str) -> LiveProfile:
    if text not in tuple(LiveProfile):
        raise ValueError(f"must be one of: {', '.join(LiveProfile)}")
    return LiveProfile(text)


def _codec(text: str) -> str:
    if text not in LIVE_CODECS:
        raise ValueError(f"must be one of: {', '.join(LIVE_CODECS)}")
    return text


def _video_bitrate(text: str) -> int:
    return _bitrate(text, MIN_VIDEO_BITRATE, MAX_VIDEO_BITRATE)


def _audio_bitrate(text: str) -> int:
    return _bitrate(text, MIN_AUDIO_BITRATE, MAX_AUDIO_BITRATE)


def _bitrate(text: str, least: int, greatest: int) -> int:
    match = _BITRATE.fullmatch(text)
    value = int(match[1]) * _FACTORS[match[2]] if match else 0
    if not least <= value <= greatest:
        raise ValueError(f"must be from {least} to {greatest} bit/s, such as {least // 1000}k")
    return value


def _query(scope: Scope, known: Collection[str]) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_FIELDS
        )
    except ValueError as error:
        raise Problem(status=400, code="invalid_query", detail="The query has too many fields.") from error
    query: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise invalid_field(name[:_MAX_SHOWN], f"unknown field; known are: {', '.join(known)}")
        if name in query:
            raise _repeated(name)
        query[name] = value
    return query


def _repeated(name: str) -> Problem:
    return invalid_field(name, "must be given once")
