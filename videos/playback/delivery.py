"""Delivery of objects to players: by a redirect to them, or through this process where players cannot reach them."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    HttpResponseRedirect,
    StreamingHttpResponse,
)

from api.problems import Problem
from storage.protocol import ObjectStore
from videos.playback.caching import has_current

MAX_REDIRECT_AGE = 600
"""In seconds. A cache may redirect players for so long after the token was revoked."""
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


@dataclass(frozen=True, slots=True)
class Redirect:
    """A URL at which players find an object, and for how long caches may send them there."""

    url: str
    cache: str
    """Value of Cache-Control."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Delivery of the objects of one store. Presigned URLs are valid for `presign_seconds`."""

    store: ObjectStore
    redirects: bool
    presign_seconds: int
    public_base: str = ""
    """URL below which everybody may read outputs under their keys, without a signature. Empty: nowhere."""

    def answer(self, request: HttpRequest, key: str, *, content_type: str, cache: str) -> HttpResponseBase:
        """Answer GET or HEAD with an object, as `redirect` says or with its bytes.

        Raises:
            Problem: (416) the requested range is outside of the object.
            ObjectNotFound: no object has that key.
        """
        signed = request.method == "GET"  # a signature is for one method
        found = self.redirect(key, content_type=content_type, cache=cache, signed=signed)
        if found is None:
            return self._bytes(request, key, content_type=content_type, cache=cache)
        return HttpResponseRedirect(found.url, headers={"Cache-Control": found.cache})

    def redirect(self, key: str, *, content_type: str, cache: str, signed: bool = True) -> Redirect | None:
        """Return where players find an object. None: its bytes come through this process.

        `cache` is for the bytes; a redirect expires before its signature. What is not `public` in caches is never
        looked for at the public base. `signed`: a presigned URL will do.
        """
        shared = cache.startswith("public")
        if self.redirects and shared and self.public_base:
            return Redirect(f"{self.public_base}/{quote(key)}", f"public, max-age={MAX_REDIRECT_AGE}")
        if self.redirects and signed:
            url = self.store.url(key, self.presign_seconds, content_type, cache)
            if url is not None:  # a presigned URL is as secret as the bytes
                scope, age = "public" if shared else "private", min(MAX_REDIRECT_AGE, self.presign_seconds // 2)
                return Redirect(url, f"{scope}, max-age={age}")
        return None

    def _bytes(self, request: HttpRequest, key: str, *, content_type: str, cache: str) -> HttpResponseBase:
        stored = self.store.head(key)
        etag, size = f'"{stored.etag}"', stored.size
        headers = {"Cache-Control": cache, "ETag": etag, "Accept-Ranges": "bytes"}
        if has_current(request, etag):
            return HttpResponseNotModified(headers=headers)
        span = _requested_range(request, size, etag)
        start, end = span or (0, size)
        headers["Content-Length"] = str(end - start)
        if span:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        status = 206 if span else 200
        if request.method == "HEAD":
            return HttpResponse(status=status, content_type=content_type, headers=headers)
        blocks = self.store.open(key, start, end, etag=stored.etag)
        close_old_connections()  # a player that takes minutes must not hold one
        return StreamingHttpResponse(_stream(blocks), status=status, content_type=content_type, headers=headers)


def _requested_range(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | None:
    """Read the requested bytes as (start, end). None: all of them, without a Range that is simple and applies.

    RFC 9110 gives a Range meaning in GET only, and beside an If-Range only where that is the ETag of today.
    """
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None or request.method != "GET" or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
    elif last:
        start, end = max(0, size - int(last)), size
    else:
        return None
    if start >= end:
        raise Problem(
            status=416,
            code="range_not_available",
            detail=f"The range is not within these {size} bytes.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, end


async def _stream(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Read block after block in a thread, no faster than the player receives them."""
    following = sync_to_async(lambda: next(blocks, None), thread_sensitive=False)
    while (block := await following()) is not None:
        yield block
