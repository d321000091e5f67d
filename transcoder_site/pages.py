"""The API in a browser: pages that show documents with links, and forms that send requests.

Each page is the API's own response to the logged-in person, who acts for an owner.
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
from django.urls import URLPattern, URLResolver, get_resolver, get_script_prefix
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe
from rest_framework.views import APIView

from access.authentication import required_scope
from access.callers import key_in_headers
from api.problems import MEDIA_TYPE

_API = "/api/v1"
_PLAY = "/play/"
_DOCUMENTS = {"application/json", "application/problem+json"}
_PRIVATE = "private, no-store"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the API."""

    method: str
    route: str
    """Path without the first slash, with Django's converters for parameters."""
    scope: str
    """Scope that a key requires."""
    summary: str
    """First line of the view's docstring."""

    @property
    def url(self) -> str:
        """Path of the operation; empty when it has parameters."""
        return "" if "<" in self.route else f"{get_script_prefix()}{self.route}"

    @property
    def template(self) -> str:
        """Path of the operation with Django's converters for parameters."""
        return f"{get_script_prefix()}{self.route}"


@cache
def operations() -> tuple[Operation, ...]:
    """List all operations of Django's views, by route."""
    found: dict[str, list[Operation]] = {}
    for pattern in _patterns(get_resolver().url_patterns):
        route = str(pattern.pattern)
        view = getattr(pattern.callback, "cls", APIView)
        methods = [method for method in getattr(view, "scopes", ()) if hasattr(view, method.lower())]
        found.setdefault(route, [_operation(view, method, route) for method in methods])  # HEAD has the scope of GET
    return tuple(each for route in sorted(found) for each in found[route])


def _patterns(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield pattern
        elif not str(pattern.pattern):  # the included URLs of applications, without the admin's
            yield from _patterns(pattern.url_patterns)


def _operation(view: type[APIView], method: str, route: str) -> Operation:
    docstring = getattr(view, method.lower()).__doc__ or ""
    return Operation(method, route, required_scope(view, method) or "", docstring.strip().partition("\n")[0])


@require_safe
@login_required
def index(request: HttpRequest) -> HttpResponse:
    """List all operations."""
    return _private(render(request, "pages/index.html", {"operations": operations()}))


class BrowsablePages:
    """Middleware that renders documents of the API as pages when a browser prefers HTML."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not _prefers_page(request):
            response = self._get_response(request)
            return _problem_page(request, response) if _fails_for_a_person(response, request) else response
        request.META["HTTP_ACCEPT"] = "application/json"
        response = self._get_response(request)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            return redirect_to_login(request.get_full_path())
        return _page(request, response) if _is_document(response) else response


def _prefers_page(request: HttpRequest) -> bool:
    if request.method != "GET" or not request.path_info.startswith(_API) or "format" in request.GET:
        return False
    return _is_from_a_browser(request)


def _is_from_a_browser(request: HttpRequest) -> bool:
    if key_in_headers(request.headers) is not None:
        return False
    return request.get_preferred_type(["application/json", "text/html"]) == "text/html"


def _fails_for_a_person(response: HttpResponseBase, request: HttpRequest) -> TypeGuard[HttpResponse]:
    """Return True for problems outside of the API, such as a login whose form was too old."""
    if request.path_info.startswith((_API, _PLAY)) or response.headers.get("Content-Type") != MEDIA_TYPE:
        return False
    return _is_from_a_browser(request)


def _problem_page(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    context = {"problem": json.loads(response.content)}
    return _private(render(request, "pages/problem.html", context, status=response.status_code))


def _is_document(response: HttpResponseBase) -> TypeGuard[HttpResponse]:
    """Return True for JSON documents; redirects, files and streams are passed on."""
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    return isinstance(response, HttpResponse) and kind in _DOCUMENTS and bool(response.content)


def _page(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Render a response as a page, with the other operations of the same resource."""
    related = [*_related(request)]
    context = {
        "response": response,
        "document": _linked(json.dumps(json.loads(response.content), indent=2, ensure_ascii=False)),
        "links": [each for each in related if each.method == "GET"],
        "forms": [each for each in related if each.method != "GET"],
    }
    page = _private(render(request, "pages/document.html", context, status=response.status_code))
    for name in response.headers.keys() - {"Content-Type", "Content-Length", "ETag", "Cache-Control"}:
        page.headers.setdefault(name, response.headers[name])
    return page


def _related(request: HttpRequest) -> Iterator[Operation]:
    """Yield the other operations of this URL, and those below it without further parameters."""
    route = request.resolver_match.route if request.resolver_match else None
    if not route:
        return
    for each in operations():
        if (each.route == route and each.method != "GET") or each.route.startswith(f"{route}/"):
            path = request.path_info[1:] + each.route.removeprefix(route)
            own = Operation(each.method, path, each.scope, each.summary)
            if own.url:
                yield own


def _linked(text: str) -> SafeString:
    """Render JSON with links for its URLs; all other strings are escaped text."""
    path = re.escape(f"{get_script_prefix()}api/")
    parts = re.split(rf'"((?:https?://|{path})[^"\\\s]*)"', text)
    return format_html_join("", "{}", ((_link(part) if position % 2 else part,) for position, part in enumerate(parts)))


def _link(url: str) -> SafeString:
    return format_html('"<a href="{}" rel="noreferrer noopener">{}</a>"', url, url)


def _private(page: HttpResponse) -> HttpResponse:
    page.headers["Cache-Control"] = _PRIVATE
    return page
