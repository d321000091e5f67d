"""Cached JSON responses."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from rest_framework.renderers import JSONRenderer

from api.links import absolute
from coordination.cache import Rendered
from coordination.wiring import response_cache


def cached_response(kind: str, name: object, *, variant: str, render: Callable[[], tuple[Any, float]]) -> HttpResponse:
    """Return the JSON response of `kind:name` for this variant. `render` returns document and TTL in seconds.

    Exceptions of `render` are raised, and nothing is cached.
    """

    def rendered() -> Rendered:
        document, seconds = render()
        return Rendered(JSONRenderer().render(document), seconds)

    cache = response_cache()
    body = cache.get(kind, str(name), variant, rendered) if cache else rendered().body
    return HttpResponse(body, content_type="application/json")


def variant_for(request: HttpRequest, owner_id: UUID, *, whole: bool = False) -> str:
    """Name the variant of a response with absolute URLs: owner and host; with `whole` also path and query."""
    path = request.get_full_path() if whole else "/"
    return f"{owner_id} {absolute(request, path)}"
