"""Static files of the admin, served from the packages that contain them, without collectstatic or another server.

They are few and do not change while the process runs, so each is read once. The path of a request is looked up in a
list of the files and never used as a path, which excludes path traversal.
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
"""Time that browsers use a file without revalidation, so also the time that they use old files after an upgrade."""


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str


@cache
def _paths() -> Mapping[str, Path]:
    """Map each name to its file; as with templates, the first application that has it wins."""
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
    """Serve a file that an installed application has in `static`."""
    file = _named(path)
    cached = {"Cache-Control": f"public, max-age={CACHE_SECONDS}"}
    return HttpResponse(file.content, content_type=file.media_type, headers=cached)
