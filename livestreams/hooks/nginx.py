"""Hooks of nginx' RTMP module: a form, whose fields are the arguments of the stream, too.

Whoever connects chooses these arguments. They come last, so of a name that comes twice the first value is nginx' own.
"""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from livestreams.hooks.events import HookRequest, IngestEvent, IngestKind, ingest_event

_KINDS: Mapping[str, IngestKind] = {
    "publish": IngestKind.PUBLISH,
    "update_publish": IngestKind.UPDATE,
    "publish_done": IngestKind.UNPUBLISH,
    "play": IngestKind.PLAY,
}


def read(request: HookRequest) -> IngestEvent:
    """Read an event. Raises ValueError."""
    form: dict[str, str] = {}
    for name, value in parse_qsl(request.body.decode(), keep_blank_values=True):
        form.setdefault(name, value)
    return ingest_event(
        _KINDS.get(form.get("call", ""), IngestKind.OTHER),
        form,
        name=form.get("name", ""),
        app=form.get("app", ""),
        client_id=form.get("clientid", ""),
        address=form.get("addr", ""),
        server=request.address,
    )
