"""Delivery of objects to players: by a redirect to the store, or through this process where they cannot reach it."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse

from api.problems import Problem
from storage.protocol import ObjectStore

MAX_REDIRECT_AGE = 600
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Delivery of the objects of one store. Presigned URLs are valid for `presign_seconds`."""

    store: ObjectStore
    redirects: bool
    presign_seconds: int

    def answer(self, request: HttpRequest, key: str, *, content_type: str, cache: str) -> HttpResponseBase:
        """Answer GET or HEAD with an object. `cache` is for the bytes; a redirect expires before its signature.

        Raises:
            Problem: (416) the requested range is outside of the object.
            ObjectNotFound: no object has that key.
        """
        if self.redirects and request.method == "GET":  # a signature is for one method
            url = self.store.url(key, self.presign_seconds, content_type)
            if url is not None:
                shared = "public" if "public" in cache else "private"  # a presigned URL is as secret as the bytes
                age = min(MAX_REDIRECT_AGE, self.presign_seconds // 2)
                return HttpResponseRedirect(url, headers={"Cache-Control": f"{shared}, max-age={age}"})
        size = self.store.head(key).size
        start, end = _requested_range(request, size)
        headers = {"Cache-Control": cache, "Accept-Ranges": "bytes", "Content-Length": str(end - start)}
        status = 200
        if (start, end) != (0, size):
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        if request.method == "HEAD":
            return HttpResponse(status=status, content_type=content_type, headers=headers)
        blocks = self.store.open(key, start, end)
        close_old_connections()  # a player that takes minutes must not hold one
        return StreamingHttpResponse(_stream(blocks), status=status, content_type=content_type, headers=headers)


def _requested_range(request: HttpRequest, size: int) -> tuple[int, int]:
    """Read the requested bytes as (start, end); all of them where a Range is absent or not a simple one."""
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None or "If-Range" in request.headers:
        return 0, size
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
    elif last:
        start, end = max(0, size - int(last)), size
    else:
        return 0, size
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
