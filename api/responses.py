"""Responses from the response cache, and ETags of documents."""

import hashlib
import json
from collections.abc import Callable, Collection
from functools import cache
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.http import ConditionalGetMiddleware
from rest_framework.renderers import JSONRenderer
from rest_framework.serializers import BaseSerializer

from api.wiring import absolute_url
from coordination.wiring import response_cache

_API = "/api/"
SECONDS_PER_MINUTE = 60
_PRIVATE = "private, no-cache"
"""Clients may store a document and must revalidate it.

It also keeps shared caches from storing documents, which a key in `X-API-Key` does not.
"""


def as_document(kind: Callable[[], BaseSerializer[Any]], value: object) -> Any:  # noqa: ANN401 - as the serializer's own
    """Convert a value to a document by a serializer that only reads.

    All requests use one instance: each new one copies its fields, which takes longer than the conversion.
    """
    return _serializer(kind).to_representation(value)


@cache
def _serializer(kind: Callable[[], BaseSerializer[Any]]) -> BaseSerializer[Any]:
    return kind()


def cached_response(kind: str, name: object, *, variant: str, render: Callable[[], tuple[Any, float]]) -> HttpResponse:
    """Respond with the document of `kind:name` in this variant, from the cache if it has it.

    `render` returns the document and its TTL in seconds. Its exceptions are raised, and nothing is cached then.
    """

    def entry() -> tuple[bytes, float]:
        document, seconds = render()
        return JSONRenderer().render(document), seconds

    cache = response_cache()
    body = cache.get(kind, str(name), variant, entry) if cache else entry()[0]
    return HttpResponse(body, content_type="application/json")


def variant_for(request: HttpRequest, owner_id: UUID, *, with_query: bool = False) -> str:
    """Build the variant of a document that depends on its owner, the host of its URLs and, optionally, the query."""
    path = request.get_full_path() if with_query else "/"
    return f"{owner_id} {absolute_url(request, path)}"


def with_weak_etag(response: HttpResponse, *, ages: Collection[str]) -> HttpResponse:
    """Give a JSON document an ETag that stays the same while ages grow within a minute; `ages` are their names."""

    def by_the_minute(found: dict[str, Any]) -> dict[str, Any]:
        return {name: value // SECONDS_PER_MINUTE if name in ages else value for name, value in found.items()}

    document = json.loads(response.content, object_hook=by_the_minute)
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    response.headers["ETag"] = f'W/"{digest[:32]}"'
    return response


class ApiEtags(ConditionalGetMiddleware):
    """Django's middleware for `ETag`, `If-None-Match` and 304, for the API only. Other responses have a max-age."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not request.path_info.startswith(_API):
            return response
        response.headers.setdefault("Cache-Control", _PRIVATE)
        return super().process_response(request, response)
