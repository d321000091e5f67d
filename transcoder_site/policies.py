"""The Content-Security-Policy of the pages of the admin and the API."""

from collections.abc import Callable, Mapping
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from configuration import Config

_ADMIN = "/admin"
_AWS = "https://*.amazonaws.com"


class ContentPolicy:
    """Middleware that sets the policy. Pages run only our script files; the admin also loads media of playback URLs.

    The admin's theme evaluates expressions in attributes, which requires 'unsafe-eval'. Inline scripts are forbidden.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if request.path_info.startswith(_ADMIN):
            response.headers["Content-Security-Policy"] = _admin_policy()
        elif response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers["Content-Security-Policy"] = _header(_PAGE)
        return response


_PAGE = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


@cache
def _admin_policy() -> str:
    media = " ".join(["'self'", *_media_origins()])
    own = {
        "script-src": "'self' 'unsafe-eval'",
        "style-src": "'self' 'unsafe-inline'",
        "font-src": "'self'",
        "img-src": f"{media} data:",
        "media-src": f"{media} blob:",
    }
    return _header(_PAGE | own)


def _header(rules: Mapping[str, str]) -> str:
    return "; ".join(f"{rule} {value}" for rule, value in rules.items())


def _media_origins() -> list[str]:
    """List the origins of playback URLs and of the store that they redirect to."""
    config: Config = settings.TRANSCODER
    found = [config.site.public_origin]
    if config.storage.storage == "s3" and config.playback.playback_delivery == "redirect":
        found.append(config.storage.player_endpoint_url or _AWS)
    return [f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in found if url]
