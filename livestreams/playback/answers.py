"""Responses of the playback route: manifests, media, problems, and the headers of other origins."""

from collections.abc import Collection
from dataclasses import dataclass

from django.utils.http import parse_etags

from api.asgi import Scope, Send, header
from api.problems import MEDIA_TYPE, Problem, problem_count
from livestreams.playback.channel import Rendered
from videos.playback.caching import NEVER
from videos.playback.delivery import Redirect
from videos.playback.views import EXPOSED, METHODS, PREFLIGHT

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Cors:
    """Headers by which pages of these origins may read responses; those of any origin where none are configured."""

    origins: Collection[str]

    def headers(self, scope: Scope) -> Headers:
        if not self.origins:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", EXPOSED.encode())]
        origin = header(scope, b"origin") or ""
        allowed: Headers = []
        if origin in self.origins:
            allowed = [
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-expose-headers", EXPOSED.encode()),
            ]
        return [(b"vary", b"Origin"), *allowed]


class Answer:
    """The response to one request."""

    def __init__(self, scope: Scope, send: Send, cors: Cors) -> None:
        self._scope = scope
        self._send = send
        self._common = cors.headers(scope)
        self.started = False

    async def manifest(self, rendered: Rendered, *, content_type: str, cache: str) -> None:
        """Send a manifest, or 304 to a player that has it."""
        headers = [(b"etag", rendered.etag.encode()), (b"vary", b"Accept-Encoding")]
        if _has(self._scope, rendered.etag):
            await self._respond(304, b"", cache=cache, headers=headers)
            return
        body = rendered.text
        if "gzip" in (header(self._scope, b"accept-encoding") or "") and rendered.compressed:
            body = rendered.compressed
            headers.append((b"content-encoding", b"gzip"))
        await self._respond(200, body, cache=cache, content_type=content_type, headers=headers)

    async def media(self, found: bytes | Redirect, *, content_type: str, cache: str) -> None:
        """Send bytes, or where they are."""
        if isinstance(found, Redirect):
            await self.redirect(found.url, cache=found.cache)
        else:
            await self._respond(200, found, cache=cache, content_type=content_type)

    async def redirect(self, url: str, *, cache: str) -> None:
        await self._respond(302, b"", cache=cache, headers=[(b"location", url.encode("latin-1"))])

    async def text(self, text: str) -> None:
        """Send a short text that nobody may store."""
        await self._respond(200, text.encode(), cache=NEVER, content_type="text/plain; charset=utf-8")

    async def preflight(self) -> None:
        """Answer OPTIONS."""
        headers = [(name.lower().encode(), value.encode()) for name, value in {"Allow": METHODS, **PREFLIGHT}.items()]
        await self._respond(204, b"", headers=headers)

    async def problem(self, problem: Problem) -> None:
        problem_count(problem)
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in problem.headers.items()]
        body = problem.body(self._scope["path"])
        await self._respond(problem.status, body, cache=NEVER, content_type=MEDIA_TYPE, headers=headers)

    async def _respond(
        self, status: int, body: bytes, *, cache: str = "", content_type: str = "", headers: Headers | None = None
    ) -> None:
        fields = [*self._common, *(headers or ())]
        if cache:
            fields.append((b"cache-control", cache.encode()))
        if content_type:
            fields.append((b"content-type", content_type.encode()))
        if status not in (204, 304):
            fields.append((b"content-length", str(len(body)).encode()))
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": fields})
        await self._send({"type": "http.response.body", "body": b"" if self._scope["method"] == "HEAD" else body})


def _has(scope: Scope, etag: str) -> bool:
    """Tell whether a request says by If-None-Match that the client has what an ETag is of."""
    known = header(scope, b"if-none-match")
    return known is not None and etag in (each.removeprefix("W/") for each in parse_etags(known))
