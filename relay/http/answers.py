"""Responses of the relay: headers of streams, and problem documents."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from api.asgi import Send
from api.problems import RETRY_AFTER_SECONDS, Problem, any_problem_of, problem_of
from relay.errors import STATUSES
from relay.runs.run import Run
from transcoding.errors import TranscodeError

Headers = list[tuple[bytes, bytes]]

STREAM_HEADERS: Headers = [
    (b"content-type", b"video/mp2t"),
    (b"cache-control", b"no-store"),
    (b"connection", b"close"),
    (b"x-accel-buffering", b"no"),
]
_LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


def stream_headers(run: Run) -> Headers:
    """Return the headers of a stream: which encoder serves it, and why it is not the preferred one, if so."""
    headers = [
        *STREAM_HEADERS,
        (b"x-vodmill-session", str(run.id).encode()),
        (b"x-vodmill-encoder", run.encoder.encode("ascii", "replace")),
    ]
    if run.fallback:
        headers.append((b"x-vodmill-fallback", run.fallback.code.encode("ascii", "replace")))
    return headers


def stream_problem(error: Exception) -> Problem:
    """Translate why there is no stream. Unknown errors are logged, and become a 500."""
    code = getattr(error, "code", "")
    if not isinstance(error, TranscodeError) or code not in STATUSES:
        return problem_of(error) or any_problem_of(error)
    status = STATUSES[code]
    return Problem(
        status=status,
        code=code,
        detail=str(error),
        details=error.details,
        retryable=error.retryable,
        headers={"Retry-After": RETRY_AFTER_SECONDS} if status in _LATER else {},
    )


async def send_head(send: Send, headers: Headers) -> None:
    """Answer HEAD."""
    await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def send_document(send: Send, document: Mapping[str, object], *, status: int = HTTPStatus.OK) -> None:
    """Send a small JSON document that nobody may store."""
    await send_text(send, json.dumps(document).encode(), "application/json", status=status)


async def send_text(send: Send, body: bytes, media_type: str, *, status: int = HTTPStatus.OK) -> None:
    """Send a small body that nobody may store."""
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
