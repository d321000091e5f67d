"""Bounds of HTTP connections: bytes and seconds of a request's head, pipelined requests, and connections at a time."""

import asyncio
import ipaddress
import resource
from asyncio.events import TimerHandle
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.addresses import client_network

HEAD_BYTES = 64 * 1024
"""Limit of a request line and its headers, beyond the block of bytes in which they end."""
HEAD_SECONDS = 20.0
"""Deadline of a request's head, from the connection or the first byte on."""
RESERVED_FILES = 256
"""File descriptors that connections of clients leave to the database, the store and Redis."""
MAX_FILES = 1 << 16
"""File descriptors of this process, where it is allowed more."""

ADDRESS_SHARE = 4
"""Divisor of the limit of connections for those from one address. Named proxies may have all of them."""

PIPELINED = 32
"""Requests of one connection that wait for the response to an earlier one; a client that sends more is cut off."""

_RESPONSE = b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_RETRY_AFTER = b"\r\nRetry-After: 5"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_open: Counter[str] = Counter()
"""Connections of this process by the network of their client."""


@cache
def connection_limit() -> int:
    """Raise the number of files that this process may open, as far as it is allowed; return what clients may have."""
    now, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = max(now, MAX_FILES if allowed == resource.RLIM_INFINITY else min(allowed, MAX_FILES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, allowed))
    return max(1, files - RESERVED_FILES)


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, which has no bounds of its own for what comes before a request.

    A connection beyond `connection_limit` is closed with status 503, one beyond the share of an address with 429.
    """

    named_proxies: ClassVar[Sequence[Network]] = ()
    """Networks of the proxies through which clients come."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        super().__init__(*args, **kwargs)
        self._unfinished_bytes = 0
        self._advanced = False
        self._in_head = True
        self._deadline: TimerHandle | None = None
        self._running: RequestResponseCycle | None = None
        self._network = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        super().connection_made(transport)
        self._network = self._client_network()
        _open[self._network] += 1
        if len(self.connections) > connection_limit():
            self._close(b"503 Service Unavailable" + _RETRY_AFTER)
        elif self._network and _open[self._network] > max(1, connection_limit() // ADDRESS_SHARE):
            self._close(b"429 Too Many Requests" + _RETRY_AFTER)
        else:
            self._set_deadline()

    def _client_network(self) -> str:
        """Return the network that the connection counts for; empty: that of a named proxy, or of no address."""
        host = self.client[0] if self.client else ""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return ""
        return "" if any(address in proxies for proxies in self.named_proxies) else client_network(host)

    def connection_lost(self, exc: Exception | None) -> None:
        _open[self._network] -= 1
        if not _open[self._network]:
            del _open[self._network]
        self._unset_deadline()
        super().connection_lost(exc)
        # uvicorn tells only the newest of pipelined requests.
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def data_received(self, data: bytes) -> None:
        self._advanced = False
        super().data_received(data)
        if self._in_head or not self._answering:  # a body may still come after its response
            self._set_deadline()
        # Blocks of bytes that end neither a head nor a request, and are no body: a head, trailers, sizes of chunks.
        self._unfinished_bytes = 0 if self._advanced else self._unfinished_bytes + len(data)
        if self._unfinished_bytes > HEAD_BYTES:
            self._close(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        self._in_head = True
        self._set_deadline()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else a trailer, which is no header
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._advanced = True
        self._unset_deadline()
        self._in_head = False
        if self.transport.is_closing():
            return
        super().on_headers_complete()
        if len(self.pipeline) > PIPELINED:
            self._close(b"")

    def on_body(self, body: bytes) -> None:
        self._advanced = True
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._advanced = True
        if not self.transport.is_closing():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, but not in the middle of the response to an earlier request."""
        if self._answering and not self.cycle.more_body:
            self.cycle.keep_alive = False
        else:
            super().send_400_response(msg)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_later()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - an ASGI application
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _set_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._late)

    def _unset_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._unset_deadline()
        if self._answering:  # the client may wait for that before it sends the rest
            self._set_deadline()
        else:
            self._close(b"408 Request Timeout")

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close(self, status: bytes) -> None:
        """Close the connection with a status, or without one in the middle of an earlier request's response."""
        self._unset_deadline()
        if self.transport.is_closing():
            return
        if not self._answering:
            self.transport.write(_RESPONSE % status)
        self.transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        """Closing waits until everything is sent, which a client that does not read never lets happen."""
        self.loop.call_later(HEAD_SECONDS, self.transport.abort)
