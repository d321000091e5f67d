"""Lifetimes of answers in caches, and ETags.

A URL has the token in it, so that caches between players and us never answer for one token with the answer for another.
"""

import hashlib

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags

FOR_EVER = "public, max-age=31536000, immutable"
"""Of what never changes at its URL: segments, files, images. RFC 9111 gives no larger age a meaning."""
COMPLETE = "public, max-age=3600"
CHANGING = "public, max-age=60"
"""Of manifests that list all tracks: texts come and go, long after the video is complete."""
GROWING = "public, max-age=1"
NEVER = "no-store"
"""Of errors: what is not there now may be there in a second."""


def text_response(request: HttpRequest, text: str, *, content_type: str, cache: str) -> HttpResponse:
    """Respond with a text of ours, or with 304 to a client that has it. It may be compressed later."""
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {"Cache-Control": cache, "ETag": etag}
    if has_current(request, etag):
        response: HttpResponse = HttpResponseNotModified(headers=headers)
    else:
        response = HttpResponse(text, content_type=content_type, headers=headers)
    patch_vary_headers(response, ["Accept-Encoding"])  # also where this one is too short to be compressed
    return response


def has_current(request: HttpRequest, etag: str) -> bool:
    """Tell whether a request says by If-None-Match that the client has what an ETag is of.

    The comparison is weak, as RFC 9110 wants it: a compressed copy has the same content.
    """
    known = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in known or etag in (each.removeprefix("W/") for each in known)
