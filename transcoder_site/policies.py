"""The Content-Security-Policy of all pages: those of `webui`, the admin and the API."""

from collections.abc import Callable, Mapping
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from configuration import Config

_ADMIN = "/admin"
_WEBUI = "webui"
_WATCH = "webui:watch"
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
            response.headers.setdefault("Content-Security-Policy", _page_policy(request))
        return response


def _page_policy(request: HttpRequest) -> str:
    match = request.resolver_match
    if match is None or _WEBUI not in match.app_names:
        return _header(_PAGE)
    return _watch_policy() if match.view_name == _WATCH else _header(_media_page())


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


def _media_page() -> dict[str, str]:
    media = " ".join(["'self'", *_media_origins()])
    texts = "data:"  # an empty text, by which hls.js adds a track to the video
    return _PAGE | {"connect-src": media, "img-src": f"{media} data:", "media-src": f"{media} blob: {texts}"}


def _watch_policy() -> str:
    """Return the policy of the page that sites may frame: all, or those that may play videos."""
    config: Config = settings.TRANSCODER
    sites = " ".join(["'self'", *config.playback.playback_origins]) if config.playback.playback_origins else "*"
    return _header(_media_page() | {"form-action": "'none'", "frame-ancestors": sites})


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
