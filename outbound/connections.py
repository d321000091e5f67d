"""Connections to checked addresses, and the time that the other side has."""

import math
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import certifi
import httpcore2

from outbound.addresses import Reach

_CONNECT_SECONDS = 5.0
_LOOK_SECONDS = 1.0


class TimeLimit:
    """Time that the other side may take: until `ends_at` (monotonic) in all, and `idle_seconds` without sending.

    Received bytes earn it idle time again, at `min_bytes_per_second`. Our own time between two reads does not count.
    `on_wait` is called every second of it, and may raise what ends the wait.
    """

    def __init__(
        self,
        ends_at: float,
        *,
        idle_seconds: float = math.inf,
        min_bytes_per_second: int = 1,
        on_wait: Callable[[], object] = lambda: None,
    ) -> None:
        self.ends_at = ends_at
        self.on_wait = on_wait
        self._max_idle = self._idle = idle_seconds
        self._min_bytes_per_second = min_bytes_per_second

    def left(self, expired: type[Exception] = TimeoutError) -> float:
        """Return the seconds until one of the limits is reached. Raises `expired` afterwards."""
        left = min(self.ends_at - time.monotonic(), self._idle)
        if left <= 0:
            raise expired
        return left

    def waited(self, seconds: float, received: int) -> None:
        """Record a read."""
        self._idle = min(self._max_idle, self._idle - seconds + received / self._min_bytes_per_second)


class _Stream(httpcore2.NetworkStream):
    """A connection that is over when its time is over, however slowly the other side talks."""

    def __init__(self, inner: httpcore2.NetworkStream, limit: TimeLimit) -> None:
        self._inner = inner
        self._limit = limit

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore2's signature
        while True:
            left, started = self._limit.left(httpcore2.ReadTimeout), time.monotonic()
            try:
                data = self._inner.read(max_bytes, min(left, _LOOK_SECONDS))
            except httpcore2.ReadTimeout:
                self._limit.waited(time.monotonic() - started, 0)
                self._limit.on_wait()
            else:
                self._limit.waited(time.monotonic() - started, len(data))
                return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore2's signature
        self._inner.write(buffer, self._limit.left(httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        left = self._limit.left(httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._limit)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore2's signature
        return self._inner.get_extra_info(info)


class CheckedNetwork(httpcore2.NetworkBackend):
    """Connects to the checked address of a name, not to the name. `inner`: to one that strangers cannot reach."""

    def __init__(self, reach: Reach, limit: TimeLimit, *, plain: bool) -> None:
        self.inner = False
        self._reach = reach
        self._limit = limit
        self._plain = plain
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        first = self._reach.addresses(host, port, plain=self._plain, ends_at=self._limit.ends_at)[0]
        self.inner = not self._reach.is_public(first)
        timeout_seconds = min(_CONNECT_SECONDS, max(0.001, self._limit.ends_at - time.monotonic()))
        stream = self._sockets.connect_tcp(str(first), port, timeout_seconds, local_address, socket_options)
        return _Stream(stream, self._limit)


def tls_context() -> ssl.SSLContext:
    """Return the context that trusts the authorities of browsers."""
    return ssl.create_default_context(cafile=certifi.where())
