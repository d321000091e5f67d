"""The Content-Security-Policy of all pages: those of `webui`, the admin and the API."""

from collections.abc import Callable, Mapping
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from configuration import Config

_ADMIN = "/admin"
_WEBUI = "webui"
_AWS = "https://*.amazonaws.com"


class ContentPolicy:
    """Middleware that sets the policy, unless the view has set one. Pages run only our script files.

    The admin and the pages of `webui` also load media of playback URLs; those send files to the store, too. The admin's
    theme evaluates expressions in attributes, which requires 'unsafe-eval'. Inline scripts are forbidden.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if request.path_info.startswith(_ADMIN):
            response.headers["Content-Security-Policy"] = _admin_policy()
        elif response.headers.get("Content-Type", "").startswith("text/html"):
            policy = _media_page_policy() if _is_of_webui(request) else _header(_PAGE)
            response.headers.setdefault("Content-Security-Policy", policy)
        return response


def _is_of_webui(request: HttpRequest) -> bool:
    return request.resolver_match is not None and _WEBUI in request.resolver_match.app_names


_PAGE = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


@cache
def _media_page_policy() -> str:
    media = " ".join(["'self'", *_media_origins()])
    return _header(_PAGE | {"connect-src": media, "img-src": f"{media} data:", "media-src": f"{media} blob:"})


@cache
def _admin_policy() -> str:
    media = " ".join(["'self'", *_media_origins()])
    own = {
        "script-src": "'self' 'unsafe-eval'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": f"{media} data:",
        "media-src": f"{media} blob:",
    }
    return _header(_PAGE | own)


def _header(rules: Mapping[str, str]) -> str:
    return "; ".join(f"{rule} {value}" for rule, value in rules.items())


def _media_origins() -> list[str]:
    """List the origins of playback URLs, of the store, and of the CDN that they redirect to."""
    config: Config = settings.TRANSCODER
    found = [config.site.public_origin, config.playback.playback_public_base]
    if config.storage.storage == "s3" and config.playback.playback_delivery == "redirect":
        found.append(config.storage.player_endpoint_url or _AWS)
    return [f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in found if url]
