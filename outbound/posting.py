"""Posting to receivers: never for long, and redirects are answers like any other."""

import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpcore2

from outbound.addresses import AddressRefused, Reach
from outbound.answers import Answer
from outbound.connections import CheckedNetwork, TimeLimit, tls_context

_RESPONSE_BYTES = 4096
"""As much of an answer as is read and kept; what comes after it is nobody's business."""


class OutboundClient:
    """Posts to addresses that are not ours. One connection per request: nothing is shared between receivers."""

    def __init__(self, reach: Reach, *, seconds: float) -> None:
        self._reach = reach
        self._seconds = seconds
        self._tls = tls_context()

    def of(self, party: object) -> "OutboundClient":
        """Return the same for URLs that somebody names, say an owner (`Reach.of`)."""
        found = copy(self)
        found._reach = self._reach.of(party)  # noqa: SLF001 - its own class
        return found

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send, and say what came of it. Never raises for what the other side does."""
        started = time.monotonic()
        answer = self._answer(url, body, headers, started + self._seconds)
        return answer(round((time.monotonic() - started) * 1000))

    def _answer(self, url: str, body: bytes, headers: Mapping[str, str], ends_at: float) -> "_Timed":
        plain = urlsplit(url).scheme == "http"
        network = CheckedNetwork(self._reach, TimeLimit(ends_at), plain=plain)
        fields = [("Host", urlsplit(url).netloc), ("Connection", "close"), *headers.items()]
        try:
            with (
                httpcore2.ConnectionPool(ssl_context=self._tls, network_backend=network) as pool,
                pool.stream("POST", url, headers=fields, content=body) as response,
            ):
                shown = "" if network.inner else _beginning(response)
                return _Timed(response.status, "", shown, _retry_after(response.headers))
        except AddressRefused as error:
            return _Timed(None, str(error), "", None)
        except (httpcore2.TimeoutException, TimeoutError):
            return _Timed(None, f"no answer within {self._seconds:g} s", "", None)
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol, OSError) as error:
            reason = "" if network.inner else f": {error}"  # it can quote what was answered
            return _Timed(None, f"{type(error).__name__}{reason}"[:200], "", None)


@dataclass(frozen=True, slots=True)
class _Timed:
    """An answer whose time is taken last."""

    status: int | None
    error: str
    response: str
    retry_after: int | None

    def __call__(self, milliseconds: int) -> Answer:
        return Answer(
            status=self.status,
            error=self.error,
            response=self.response,
            milliseconds=milliseconds,
            retry_after=self.retry_after,
        )


def _beginning(response: httpcore2.Response) -> str:
    """The first bytes of a body. That it never ends, or ends badly, changes nothing about the status."""
    read = b""
    try:
        for block in response.iter_stream():
            read += block
            if len(read) >= _RESPONSE_BYTES:
                break
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        pass
    return read[:_RESPONSE_BYTES].decode("utf-8", "replace").replace("\x00", "")


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> int | None:
    value = next((value for name, value in headers if name.lower() == b"retry-after"), b"")
    return int(value) if value.isdigit() and len(value) <= 6 else None  # noqa: PLR2004 - a number of seconds, not a date
