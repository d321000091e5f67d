"""Answers that are kept as the bytes they are sent as."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from rest_framework.renderers import JSONRenderer

from api.links import absolute
from coordination.cache import Made
from coordination.wiring import answer_cache


def cached_answer(kind: str, name: object, *, variant: str, make: Callable[[], tuple[Any, float]]) -> HttpResponse:
    """The JSON answer about `kind:name` for this variant. `make` gives the document, and for how many seconds.

    What `make` raises is raised, and nothing is kept.
    """

    def made() -> Made:
        document, seconds = make()
        return Made(JSONRenderer().render(document), seconds)

    cache = answer_cache()
    body = cache.answer(kind, str(name), variant, made) if cache else made().body
    return HttpResponse(body, content_type="application/json")


def variant_for(request: HttpRequest, owner_id: UUID, *, whole: bool = False) -> str:
    """For whom an answer with absolute addresses is, and under which; `whole`: also to which query."""
    asked = request.get_full_path() if whole else "/"
    return f"{owner_id} {absolute(request, asked)}"
