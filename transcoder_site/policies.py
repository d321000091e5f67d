"""What browsers may load and run on the admin's pages."""

from collections.abc import Callable
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from configuration import Config

_ADMIN = "/admin"
_AWS = "https://*.amazonaws.com"


class AdminContentPolicy:
    """The admin's pages run no script but their own files, and load media from where players get them.

    The theme's framework reads expressions from attributes, which takes 'unsafe-eval'; inline scripts stay forbidden.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if request.path.startswith(_ADMIN):
            response.headers["Content-Security-Policy"] = _policy()
        return response


@cache
def _policy() -> str:
    media = " ".join(["'self'", *_media_origins()])
    rules = {
        "default-src": "'none'",
        "script-src": "'self' 'unsafe-eval'",
        "style-src": "'self' 'unsafe-inline'",
        "font-src": "'self'",
        "img-src": f"{media} data:",
        "media-src": f"{media} blob:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{rule} {value}" for rule, value in rules.items())


def _media_origins() -> list[str]:
    """Where playback addresses are and lead to, besides the admin's own origin."""
    config: Config = settings.TRANSCODER
    found = [config.site.public_url]
    if config.storage.storage == "s3" and config.playback.playback_delivery == "redirect":
        found.append(config.storage.s3_public_endpoint_url or config.storage.s3_endpoint_url or _AWS)
    return [f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in found if url]
