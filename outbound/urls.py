"""URLs that clients name: their form, and how they are shown. No lookups."""

from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

_MAX_FILE = 60
_LEFT_OUT = "…"


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


def url_host(url: str) -> str:
    """Return the host of a URL, with its port if it has one; empty for what is no URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port else host


def shown_url(url: str) -> str:
    """Return scheme, host and the end of the path of a URL, as people and logs may see it.

    Credentials, the query and folders are left out: services put tokens, user names and passwords there. The keys of
    objects in buckets are no secrets.
    """
    host = url_host(url)
    if not host:
        return ""
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return f"s3://{host}{parts.path}"
    folders, _, file = parts.path.rpartition("/")
    shown = file if len(file) <= _MAX_FILE else f"{file[:_MAX_FILE]}{_LEFT_OUT}"
    return f"{parts.scheme}://{host}{f'/{_LEFT_OUT}' if folders else ''}/{shown}"


def joined_url(base: str, reference: str) -> str:
    """Return the absolute URL of a reference within what is at another URL; empty for what is none."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return ""
