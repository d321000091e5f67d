"""Cross-origin requests (CORS) to the API and the relay: pages of the configured origins may send them, with a key.

Cookies are never part of them. Playback URLs are open to pages of any origin (see `videos.playback`).
"""

from collections.abc import Collection, Sequence

from api.asgi import App, Message, Receive, Scope, Send, header, path_below_prefix

_API = "/api/v1"
_PREFLIGHT = {
    b"access-control-allow-methods": b"GET, HEAD, POST, PUT, PATCH, DELETE",
    b"access-control-allow-headers": b"Authorization, Cache-Control, Content-Type, Idempotency-Key, If-None-Match, "
    b"Last-Event-ID, Range, Tus-Resumable, Upload-Checksum, Upload-Defer-Length, Upload-Length, Upload-Metadata, "
    b"Upload-Offset, X-API-Key, X-HTTP-Method-Override, X-Request-ID",
    b"access-control-max-age": b"7200",  # Chromium keeps none longer
}
_EXPOSED = (
    b"Content-Disposition, ETag, Idempotent-Replayed, Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, "
    b"Retry-After, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, "
    b"Upload-Defer-Length, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset, Vodmill-Version, "
    b"X-Request-ID, X-Vodmill-Encoder, X-Vodmill-Fallback, X-Vodmill-Session"
)


class CrossOrigin:
    """ASGI middleware that answers preflight requests, and lets pages of these origins read responses.

    `below`: beginnings of the paths that it is for.
    """

    def __init__(self, app: App, *, origins: Collection[str], below: Sequence[str] = (_API,)) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._below = tuple(below)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._origins or not path_below_prefix(scope).startswith(self._below):
            await self._app(scope, receive, send)
            return
        origin = header(scope, b"origin") or ""
        headers = [(b"vary", b"Origin")]
        if origin in self._origins:
            headers.append((b"access-control-allow-origin", origin.encode("latin-1")))
            if scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method"):
                headers += _PREFLIGHT.items()
                await send({"type": "http.response.start", "status": 204, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
            headers.append((b"access-control-expose-headers", _EXPOSED))

        async def shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        await self._app(scope, receive, shared)
