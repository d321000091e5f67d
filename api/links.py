"""Absolute addresses. The only place of this package that reads settings."""

from django.conf import settings
from django.http import HttpRequest

from configuration import Config


def absolute(request: HttpRequest, path: str) -> str:
    """Make a path absolute: under the public address if there is one, else under the one that was asked."""
    base = _public_url()
    return f"{base}{path}" if base else request.build_absolute_uri(path)


def _public_url() -> str:
    config: Config = settings.TRANSCODER
    return config.site.public_url.rstrip("/")
