"""URLs that clients name: their form, and how they are shown. No lookups."""

from collections.abc import Sequence
from urllib.parse import urlsplit


def url_problem(text: str, *, schemes: Sequence[str]) -> str:
    """Say what is wrong with the form of a URL; empty: nothing. It is absolute, in ASCII, and has no credentials."""
    try:
        url = urlsplit(text)
        port_given = url.port is None or url.port > 0
    except ValueError:
        return "must be an absolute address"
    if url.scheme not in schemes or not url.hostname or not port_given or not text.isascii():
        return f"must be an absolute address that begins with {' or '.join(schemes)}://"
    if url.username or url.password or any(ord(character) <= ord(" ") for character in text):
        return "must not contain credentials or white space"
    return ""


def shown_url(url: str) -> str:
    """Return a URL as people and logs may see it: what grants access is in its query."""
    return url.partition("#")[0].partition("?")[0]
