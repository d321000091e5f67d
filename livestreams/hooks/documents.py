"""Hooks with a JSON document as their body: those of MediaMTX and SRS."""

import json
from collections.abc import Mapping

from livestreams.hooks.events import HookRequest, IngestEvent, IngestKind, arguments, ingest_event

_MEDIAMTX: Mapping[str, IngestKind] = {
    "publish": IngestKind.PUBLISH,
    "unpublish": IngestKind.UNPUBLISH,  # sent by a command of ours: see docs/ingest.md
    "read": IngestKind.PLAY,
    "playback": IngestKind.PLAY,
}
_SRS: Mapping[str, IngestKind] = {
    "on_publish": IngestKind.PUBLISH,
    "on_unpublish": IngestKind.UNPUBLISH,
    "on_play": IngestKind.PLAY,
}


def read_mediamtx(request: HookRequest) -> IngestEvent:
    """Read a request of MediaMTX to authenticate. Its paths are "APP/NAME". Raises ValueError."""
    document = _document(request.body)
    app, _, name = document.get("path", "").rpartition("/")
    return ingest_event(
        _MEDIAMTX.get(document.get("action", ""), IngestKind.OTHER),
        arguments(document.get("query", "")),
        name=name,
        app=app,
        client_id=document.get("id", ""),
        address=document.get("ip", ""),
        server=request.address,
    )


def read_srs(request: HookRequest) -> IngestEvent:
    """Read a callback of SRS. Raises ValueError."""
    document = _document(request.body)
    return ingest_event(
        _SRS.get(document.get("action", ""), IngestKind.OTHER),
        arguments(document.get("param", "")),
        name=document.get("stream", ""),
        app=document.get("app", ""),
        client_id=document.get("client_id", ""),
        address=document.get("ip", ""),
        server=request.address,
    )


def _document(body: bytes) -> Mapping[str, str]:
    """Read the texts and numbers of a JSON object, as texts."""
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("an object is required")  # noqa: TRY004 - what the caller of a parser expects
    return {name: str(value) for name, value in found.items() if isinstance(value, str | int)}
