"""Sources as sessions show them: host and file, nothing secret."""

from urllib.parse import urlsplit

_MAX_FILE = 60
_LEFT_OUT = "…"


def source_host(url: str) -> str:
    """Return the host of a source, with its port if the URL has one; empty for what is no URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port else host


def shown_source(url: str) -> str:
    """Return scheme, host and the end of the path of a source, without credentials and query.

    Folders are left out: services put user names and passwords there.
    """
    host = source_host(url)
    if not host:
        return ""
    parts = urlsplit(url)
    folders, _, file = parts.path.rpartition("/")
    shown = file if len(file) <= _MAX_FILE else f"{file[:_MAX_FILE]}{_LEFT_OUT}"
    return f"{parts.scheme}://{host}{f'/{_LEFT_OUT}' if folders else ''}/{shown}"
