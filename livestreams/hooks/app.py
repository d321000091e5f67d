"""The ASGI application of the hooks."""

import asyncio
import hmac
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from django.db import DatabaseError, InterfaceError

from api.asgi import Receive, Scope, Send, header, send_json
from livestreams.hooks import nginx
from livestreams.hooks.answers import answer
from livestreams.hooks.documents import read_mediamtx, read_srs
from livestreams.hooks.events import HookRequest, IngestEvent, arguments
from livestreams.nginx import ADDRESS_HEADER, SECRET_HEADER

log = logging.getLogger(__name__)

_SECRET_ARGUMENT, _ADDRESS_ARGUMENT = "secret", "address"
"""The same in the query, for ingest servers that send no headers of ours."""
_NAMES = {name: name.lower().encode() for name in (SECRET_HEADER, ADDRESS_HEADER)}
_MAX_BODY_BYTES = 64 * 1024
_BODY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Adapter:
    """Language of one kind of ingest server."""

    read: Callable[[HookRequest], IngestEvent]
    allowed: tuple[int, Mapping[str, object]] = (HTTPStatus.OK, {})
    refused: tuple[int, Mapping[str, object]] = (HTTPStatus.FORBIDDEN, {})


ADAPTERS: Mapping[str, Adapter] = {
    "/hooks/nginx": Adapter(nginx.read),
    "/hooks/mediamtx": Adapter(read_mediamtx),
    "/hooks/srs": Adapter(read_srs, (HTTPStatus.OK, {"code": 0}), (HTTPStatus.OK, {"code": 1})),
}


class HookApp:
    """Answers ingest servers that know the secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        status, document = await self._answer(scope, receive)
        await send_json(send, status, json.dumps(document).encode(), {})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, Mapping[str, object]]:
        if scope["path"] == "/healthz":
            return HTTPStatus.OK, {"status": "ok"}
        query = arguments(scope["query_string"].decode("latin-1"))
        given = header(scope, _NAMES[SECRET_HEADER]) or query.get(_SECRET_ARGUMENT, "")
        if not hmac.compare_digest(given.encode(), self._secret):
            log.warning("hook without the secret refused", extra={"event": "hook_refused"})
            return HTTPStatus.FORBIDDEN, {}
        adapter = ADAPTERS.get(scope["path"])
        if adapter is None or scope["method"] != "POST":
            return HTTPStatus.NOT_FOUND, {}
        address = header(scope, _NAMES[ADDRESS_HEADER]) or query.get(_ADDRESS_ARGUMENT, "")
        try:
            event = adapter.read(HookRequest(body=await _body(receive), address=address))
            return adapter.allowed if await answer(event) else adapter.refused
        except (ValueError, TimeoutError) as error:
            log.warning("hook not understood: %s", error, extra={"event": "hook_unclear"})
            return HTTPStatus.BAD_REQUEST, {}
        except (DatabaseError, InterfaceError) as error:
            log.warning("hook not answered", extra={"event": "hook_unanswered", "error": str(error)})
            return HTTPStatus.SERVICE_UNAVAILABLE, {}


async def _body(receive: Receive) -> bytes:
    """Read a small body. Raises ValueError, TimeoutError."""
    body = bytearray()
    async with asyncio.timeout(_BODY_SECONDS):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ValueError("the ingest server has gone")
            body += message.get("body", b"")
            if len(body) > _MAX_BODY_BYTES:
                raise ValueError("the body is too large")
            if not message.get("more_body", False):
                return bytes(body)
