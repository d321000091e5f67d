"""Request ids, and the access log: one line for each request.

A line names the route and never the URL, whose path and query may have secrets of clients.
"""

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

from api.asgi import App, Message, Receive, Scope, Send, header, path_below_prefix
from observability.logs import bound
from observability.version import VERSION

HEADER = "X-Request-ID"
VERSION_HEADER = "Vodmill-Version"
_API = "/api/"
PROBES = frozenset({"/health", "/healthz", "/metrics", "/readyz"})
"""Routes whose successful requests are not logged: there is one every few seconds."""
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,128}")
_KEY = "vodmill.request"
_CLIENT_ERROR = 400

log = logging.getLogger(__name__)


@dataclass(slots=True)
class RequestRecord:
    """Facts of one request, which the parts that handle it add."""

    id: str
    """From `X-Request-ID` where a client or proxy sends one of harmless characters; else a new one."""
    route: str = ""
    """Pattern of the path; empty where none matched."""
    owner_id: UUID | None = None
    """Owner that the caller acts for; None without a working key or session."""
    quiet: bool = False
    """It is one of so many that it is logged only if it fails."""


def describe_request(
    scope: Mapping[str, object], *, route: str = "", owner_id: UUID | None = None, quiet: bool = False
) -> None:
    """Add facts to the record of a request, if the server keeps one."""
    record = scope.get(_KEY)
    if isinstance(record, RequestRecord):
        record.route = route or record.route
        record.quiet = quiet or record.quiet
        record.owner_id = owner_id or record.owner_id


@contextmanager
def log_context(scope: Scope) -> Iterator[None]:
    """Add the id of a request to every line that is logged inside, and to the problems that are raised."""
    record = scope.get(_KEY)
    if record is None:
        yield
        return
    with bound(request_id=record.id):
        yield


class RequestLog:
    """ASGI middleware that gives each request an id, returns it in the response, and logs the request at its end."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, HEADER.lower().encode()) or ""
        record = RequestRecord(given if _ACCEPTED.fullmatch(given) else uuid4().hex)
        started, status, size = time.monotonic(), 0, 0

        async def recorded(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *_headers(scope, record)]}
            size += len(message.get("body", b""))
            await send(message)

        scope = {**scope, _KEY: record}
        with log_context(scope):
            try:
                await self._app(scope, receive, recorded)
            finally:
                if not ((record.quiet or record.route in PROBES) and 0 < status < _CLIENT_ERROR):
                    _write(scope["method"], record, status, size, time.monotonic() - started)


def _headers(scope: Scope, record: RequestRecord) -> list[tuple[bytes, bytes]]:
    version = [(VERSION_HEADER.lower().encode(), VERSION.encode())] if path_below_prefix(scope).startswith(_API) else []
    return [(HEADER.lower().encode(), record.id.encode()), *version]


def _write(method: str, record: RequestRecord, status: int, size: int, seconds: float) -> None:
    log.info(
        "%s %s: %s", method, record.route or "unknown", status or "no response",
        extra={
            "event": "http_request", "method": method, "route": record.route, "status": status or None, "bytes": size,
            "duration_seconds": round(seconds, 4), "owner_id": record.owner_id,
        },
    )  # fmt: skip
