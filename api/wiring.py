"""Builds what this package reads from the settings. Nothing else here reads them."""

from django.conf import settings
from django.http import HttpRequest

from configuration import Config


def absolute_url(request: HttpRequest, path: str) -> str:
    """Make a path an absolute URL, under the configured public URL or otherwise under the host of the request."""
    base = _public_url()
    return f"{base}{path}" if base else request.build_absolute_uri(path)


def _public_url() -> str:
    config: Config = settings.TRANSCODER
    return config.site.public_url.rstrip("/")
