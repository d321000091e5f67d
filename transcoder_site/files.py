"""The admin's styles, scripts and fonts, from the packages they are installed in: nothing to collect, no other server.

They are few and never change while a process lives, so each is read once. What a request names is looked up in a list
that was made from the disk; no path of a request reaches it.
"""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.contrib.staticfiles import finders
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import condition, require_safe

CACHE_SECONDS = 600
"""How long browsers do not even ask whether a file has changed; after an upgrade they look odd for no longer."""


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str


@cache
def _paths() -> Mapping[str, Path]:
    """Where the file of each name is; as with templates, the first application that has one wins."""
    found: dict[str, Path] = {}
    for finder in finders.get_finders():
        for name, storage in finder.list([]):
            found.setdefault(name, Path(storage.path(name)))
    return found


@cache
def _read(path: Path) -> _File:
    content = path.read_bytes()
    media_type, _ = mimetypes.guess_type(path.name)
    return _File(content, media_type or "application/octet-stream", f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _named(name: str) -> _File:
    if name not in _paths():
        raise Http404
    return _read(_paths()[name])


def _etag(_request: HttpRequest, path: str) -> str:
    return _named(path).etag


@require_safe
@condition(etag_func=_etag)
def static_file(_request: HttpRequest, path: str) -> HttpResponse:
    """Give one of the files that installed applications have in `static`."""
    file = _named(path)
    cached = {"Cache-Control": f"public, max-age={CACHE_SECONDS}"}
    return HttpResponse(file.content, content_type=file.media_type, headers=cached)
