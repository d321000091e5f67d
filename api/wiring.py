"""Builds what this package reads from the settings. Nothing else here reads them."""

from django.conf import settings
from django.http import HttpRequest

from configuration import SiteConfig


def absolute_url(request: HttpRequest | None, path: str) -> str:
    """Make a path an absolute URL, under the configured public URL or otherwise under the host of the request.

    A path from `reverse` has the prefix of the public URL already, except in threads that handle no request. Where
    neither URL nor request is there, the path itself is returned.
    """
    site = _site()
    if not site.public_origin:
        return request.build_absolute_uri(path) if request else path
    prefix = site.url_prefix
    return f"{site.public_origin}{path if path.startswith(f'{prefix}/') else prefix + path}"


def _site() -> SiteConfig:
    site: SiteConfig = settings.TRANSCODER.site
    return site
