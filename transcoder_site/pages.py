"""The API in a browser: whoever logged in reads the documents as pages, follows their links and sends requests.

Each page is what the API answers programs with, in the name of the person's owner; nothing is asked in another way.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import TypeGuard

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe
from rest_framework.views import APIView

from access.authentication import scope_needed
from access.callers import key_sent

_API = "/api/v1/"
_DOCUMENTS = {"application/json", "application/problem+json"}
_PRIVATE = "private, no-store"
_ADDRESS = re.compile(r'"((?:https?://|/api/)[^"\\\s]*)"')


@dataclass(frozen=True, slots=True)
class Operation:
    """What may be asked for at an address; `scope` is what a key needs for it."""

    method: str
    route: str
    scope: str
    summary: str

    @property
    def address(self) -> str:
        """Where it is, if that needs no more than this; empty otherwise."""
        return "" if "<" in self.route else f"/{self.route}"


@cache
def operations() -> tuple[Operation, ...]:
    """Every operation that Django answers, in the order of its addresses."""
    found: dict[str, list[Operation]] = {}
    for pattern in _patterns(get_resolver().url_patterns):
        route = str(pattern.pattern)
        view = getattr(pattern.callback, "cls", APIView)
        found.setdefault(route, [_operation(view, method, route) for method in getattr(view, "scopes", ())])
    return tuple(each for route in sorted(found) for each in found[route])


def _patterns(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield pattern
        elif not str(pattern.pattern):  # those of the applications; the admin's are another matter
            yield from _patterns(pattern.url_patterns)


def _operation(view: type[APIView], method: str, route: str) -> Operation:
    said = getattr(view, method.lower()).__doc__ or ""
    return Operation(method, route, scope_needed(view, method) or "", said.strip().partition("\n")[0])


@require_safe
@login_required
def index(request: HttpRequest) -> HttpResponse:
    """What there is."""
    return _private(render(request, "pages/index.html", {"operations": operations()}))


class BrowsablePages:
    """Middleware that shows what the API answers as a page, to browsers that ask for pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not _wants_page(request):
            return self._get_response(request)
        request.META["HTTP_ACCEPT"] = "application/json"
        answer = self._get_response(request)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            return redirect_to_login(request.get_full_path())
        return _page(request, answer) if _is_document(answer) else answer


def _wants_page(request: HttpRequest) -> bool:
    if request.method != "GET" or not request.path.startswith(_API) or "format" in request.GET:
        return False
    preferred = request.get_preferred_type(["application/json", "text/html"])
    return preferred == "text/html" and key_sent(request.headers) is None


def _is_document(answer: HttpResponseBase) -> TypeGuard[HttpResponse]:
    """Whether it can be shown; redirects, files and streams are what they are."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    return isinstance(answer, HttpResponse) and kind in _DOCUMENTS and bool(answer.content)


def _page(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """The answer as a page, with what else may be asked of the same thing."""
    around = [*_around(request)]
    shown = {
        "answer": answer,
        "document": _linked(json.dumps(json.loads(answer.content), indent=2, ensure_ascii=False)),
        "links": [each for each in around if each.method == "GET"],
        "forms": [each for each in around if each.method != "GET"],
    }
    page = _private(render(request, "pages/document.html", shown, status=answer.status_code))
    for name in answer.headers.keys() - {"Content-Type", "Content-Length", "ETag", "Cache-Control"}:
        page.headers.setdefault(name, answer.headers[name])
    return page


def _around(request: HttpRequest) -> Iterator[Operation]:
    """Operations at this address, and below it those that need to know no more."""
    route = request.resolver_match.route if request.resolver_match else None
    if not route:
        return
    for each in operations():
        if (each.route == route and each.method != "GET") or each.route.startswith(f"{route}/"):
            own = Operation(each.method, request.path[1:] + each.route.removeprefix(route), each.scope, each.summary)
            if own.address:
                yield own


def _linked(text: str) -> SafeString:
    """JSON with its addresses as links; every other string is but text."""
    parts = _ADDRESS.split(text)
    return format_html_join("", "{}", ((_link(part) if place % 2 else part,) for place, part in enumerate(parts)))


def _link(address: str) -> SafeString:
    return format_html('"<a href="{}" rel="noreferrer noopener">{}</a>"', address, address)


def _private(page: HttpResponse) -> HttpResponse:
    page.headers["Cache-Control"] = _PRIVATE
    return page
